"""Folders of data that are empty at first, and files to put there; no network."""

import gzip
import struct
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

BITS = np.random.default_rng(0).integers(0, 2, (9, 13), dtype=np.uint8)
GREY = np.random.default_rng(1).random((6, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path):
    """An empty HARMONIUM_DATA and cache, and no network, for every test."""

    def offline(*_args, **_options):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HARMONIUM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write_idx(path: Path, array: np.ndarray, kind: int = 0x08) -> Path:
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def pack(path: Path, **splits: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {name: np.packbits(X, axis=1) for name, X in splits.items()}
    np.savez(path, n_visible=splits["train"].shape[1], **packed)
    return path
