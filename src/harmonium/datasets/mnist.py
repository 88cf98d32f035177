"""The whole of MNIST: found in a folder, or downloaded once and kept."""

from __future__ import annotations

import http.client
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.arrays import read_arrays
from harmonium.datasets.data_folder import cache_folder, data_folder, describe_data_folder
from harmonium.datasets.dataset import Dataset
from harmonium.datasets.idx import read_idx
from harmonium.errors import DataUnavailable, UnreadableFile
from harmonium.io import atomic_write

N_TRAINING, N_VALID, N_TEST = 60_000, 10_000, 10_000
SIDE = 28
_STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def load_mnist() -> Dataset:
    """MNIST: 50,000 train, 10,000 valid and 10,000 test images of 28x28 grey levels, divided by 255.

    The last 10,000 images of the training file are `valid`, in the file's order, as in the literature. The first
    that exists is taken: the four idx files, gzipped or not, in ``mnist`` of HARMONIUM_DATA; in ``mnist`` of the
    cache; ``mnist/mnist.npz`` in the cache; OpenML's copy (``mnist_784``), which is then kept as the latter.

    Raises
    ------
    DataUnavailable
        None of these works, or a folder holds only some of the four files.
    UnreadableFile
        A file is damaged, or does not have MNIST's shape.
    """
    images, labels, origin = _find()
    X = np.divide(images, np.float32(255), dtype=np.float32)
    ends = [N_TRAINING - N_VALID, N_TRAINING]
    train, valid, test = np.split(X, ends)
    y_train, y_valid, y_test = np.split(labels, ends)
    source = f"MNIST, handwritten digits by LeCun, Cortes and Burges, from {origin}."
    return Dataset("mnist", train, valid, test, y_train, y_valid, y_test, (SIDE, SIDE), source)


def _find() -> tuple[npt.NDArray[Any], npt.NDArray[Any], str]:
    data, cache = data_folder(), cache_folder() / "mnist"
    for folder in ([data / "mnist"] if data else []) + [cache]:
        if paths := _idx_files(folder):
            return *_read_idx_files(paths), str(folder)
    kept = cache / "mnist.npz"
    if kept.exists():
        return *_read_kept(kept), str(kept)
    images, labels = _download(cache)
    try:
        _keep(kept, images, labels)
    except OSError as error:
        warnings.warn(f"MNIST could not be kept, and will be downloaded again. {error}", stacklevel=4)
    return images, labels, "OpenML (mnist_784)"


def _idx_files(folder: Path) -> list[Path]:
    """The four files in `folder`, or none. Some but not all is a mistake to report, not a reason to download."""
    found = []
    for stem in _STEMS:
        n_dimensions = 3 if stem.endswith("images") else 1
        names = [f"{stem}{mark}idx{n_dimensions}-ubyte{zipped}" for mark in "-." for zipped in ("", ".gz")]
        found.append(next((folder / name for name in names if (folder / name).is_file()), None))
    missing = [stem for stem, path in zip(_STEMS, found, strict=True) if path is None]
    if 0 < len(missing) < len(_STEMS):
        raise DataUnavailable(
            f"{folder} must hold MNIST's four idx files. Missing: {', '.join(missing)}. "
            "Add them, or remove the others to have MNIST looked for elsewhere."
        )
    return [path for path in found if path is not None]


def _read_idx_files(paths: list[Path]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    parts = [read_idx(path) for path in paths]
    shapes = [(N_TRAINING, SIDE, SIDE), (N_TRAINING,), (N_TEST, SIDE, SIDE), (N_TEST,)]
    for path, part, shape in zip(paths, parts, shapes, strict=True):
        _check(part, shape, path)
    images = np.concatenate([parts[0], parts[2]]).reshape(-1, SIDE * SIDE)
    return images, np.concatenate([parts[1], parts[3]])


def _keep(path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, images=images, labels=labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content.getvalue())


def _read_kept(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    arrays = read_arrays(path)
    if not {"images", "labels"} <= arrays.keys():
        raise UnreadableFile(f"{path} must hold images and labels. Got: {', '.join(arrays)}. Delete it and try again.")
    _check(arrays["images"], (N_TRAINING + N_TEST, SIDE * SIDE), path)
    _check(arrays["labels"], (N_TRAINING + N_TEST,), path)
    return arrays["images"], arrays["labels"]


def _check(array: npt.NDArray[Any], shape: tuple[int, ...], path: Path) -> None:
    if array.shape != shape or array.dtype != np.uint8:
        raise UnreadableFile(
            f"{path} must hold bytes (uint8) of MNIST's shape {shape}. Got {array.dtype} of shape {array.shape}. "
            "Put MNIST's own file there, or delete this one, then try again."
        )


def _download(cache: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    from sklearn.datasets import fetch_openml

    try:
        # scikit-learn works in a folder that goes away again: what it leaves there is no use once we keep our own.
        with tempfile.TemporaryDirectory() as folder:
            bunch = fetch_openml("mnist_784", version=1, as_frame=False, data_home=folder)
        images, labels = np.asarray(bunch.data), np.asarray(bunch.target).astype(np.uint8)
        if images.shape != (N_TRAINING + N_TEST, SIDE * SIDE) or labels.shape != (N_TRAINING + N_TEST,):
            raise ValueError(f"images of shape {images.shape} and labels of shape {labels.shape}")
    except (OSError, ValueError, ImportError, http.client.HTTPException) as error:
        raise DataUnavailable(
            f"MNIST must be in a folder or be downloadable. Got neither: {describe_data_folder()}, there is nothing "
            f"in {cache}, and OpenML gave {type(error).__name__}: {error}. Put the four idx files in the folder mnist "
            f"of HARMONIUM_DATA or in {cache}, or use mnist-5k (5,000 of the digits), which needs no download."
        ) from error
    return images.astype(np.uint8), labels
