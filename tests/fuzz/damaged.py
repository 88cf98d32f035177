"""Sound files and what becomes of them: the strategies of the fuzz targets."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import scipy.io
import scipy.sparse
from hypothesis import strategies as st

from harmonium import RBM, Config, TrainingRun
from harmonium.training import RunDirectory

BITS = (np.arange(35).reshape(7, 5) * 7 % 3 == 0).astype(np.uint8)
GREY = (np.arange(35).reshape(7, 5) / 40).astype(np.float32)
HOLES = np.where(BITS[::-1] > 0, np.nan, GREY)

# Numbers at which sizes, signs and types turn over.
EDGES = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = b"null true NaN -inf 1e999 -1 0x1 [[[[ {{{{ }} ]] \" \\ \xff\xfe \0\0\0\0 \r\n , ; \t # ' \xef\xbb\xbf".split(
    b" "
)


@st.composite
def damaged(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """A sound file with up to six places changed: bytes, numbers, words; cut, doubled, moved, or cut off."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        end = at + draw(st.integers(0, 64))
        change = draw(st.integers(0, 6))
        if change == 0:
            content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif change == 1:
            size, order = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from(["little", "big"]))
            content[at : at + size] = (draw(st.sampled_from(EDGES)) % 256**size).to_bytes(size, order)
        elif change == 2:
            content[at:at] = draw(st.sampled_from(WORDS) | st.binary(max_size=8))
        elif change == 3:
            del content[at:end]
        elif change == 4:
            content[at:at] = content[at:end] * draw(st.integers(1, 3))
        elif change == 5:
            piece, to = content[at:end], draw(st.integers(0, len(content)))
            content[to : to + len(piece)] = piece
        else:
            del content[at:]
    return bytes(content)


def models(folder: Path) -> list[bytes]:
    """A machine, and checkpoints of two kinds of runs."""
    RBM([[1.0, -2.0]], [0.5, 0.25], [3.0]).save(folder / "model")
    found = [(folder / "model").read_bytes()]
    for method, options in {"pcd": {"chains": 3}, "pt": {"chains": 2, "temperatures": 3}}.items():
        run = TrainingRun(BITS, Config(3, method, epochs=1, engine="numpy", **options))
        directory = RunDirectory.create(folder / method, run.config, data="x", X=BITS, state=run.state)
        found.append(directory.checkpoint_file.read_bytes())
    return found


def tables() -> list[bytes]:
    """Text of several habits."""
    rows = [",".join(map(str, row)) for row in GREY]
    head = ",".join("abcde")
    return [
        "\n".join(rows).encode(),
        "\n".join([head, *rows]).encode(),
        "\r\n".join(row.replace(",", ";") for row in rows).encode(),
        "\n".join(row.replace("0.0", "") for row in rows).encode(),
        b"# note\n" + "\n".join(row.replace(",", " ") for row in rows).encode(),
        "\n".join('"' + row.replace(",", '","') + '"' for row in rows).encode("utf-16"),
    ]


def data_files() -> dict[str, list[bytes]]:
    """Sound files of every kind that is read, by the ending of the name."""

    def saved(save, *arguments, **named) -> bytes:
        buffer = io.BytesIO()
        save(buffer, *arguments, **named)
        return buffer.getvalue()

    def hdf5(buffer: io.BytesIO) -> None:
        with h5py.File(buffer, "w") as file:
            file["train"] = GREY
            file.create_dataset("valid", data=BITS, compression="gzip")

    idx = bytes([0, 0, 8, 2, 0, 0, 0, 7, 0, 0, 0, 5]) + BITS.tobytes()
    table = pyarrow.table({name: GREY[:, j] for j, name in enumerate("abcde")} | {"words": list("uvwuvwu")})
    numbers = table.drop_columns(["words"])
    text = tables()
    return {
        ".npy": [saved(np.save, GREY), saved(np.save, np.asfortranarray(BITS)), saved(np.save, BITS[:, :, None] * 255)],
        ".npz": [
            saved(np.savez, train=GREY, valid=BITS),
            saved(np.savez_compressed, HOLES),
            saved(scipy.sparse.save_npz, scipy.sparse.csr_matrix(BITS)),
        ],
        ".csv": text,
        ".csv.gz": [gzip.compress(text[0], mtime=0)],
        ".idx": [idx],
        ".idx.gz": [gzip.compress(idx, mtime=0)],
        ".mat": [
            saved(scipy.io.savemat, {"X": GREY}),
            saved(scipy.io.savemat, {"X": scipy.sparse.csc_matrix(BITS)}, do_compression=True),
            saved(scipy.io.savemat, {"X": GREY}, format="4"),
        ],
        ".h5": [saved(hdf5)],
        ".parquet": [saved(lambda to, x=x: pyarrow.parquet.write_table(x, to)) for x in (table, numbers)],
        ".feather": [saved(lambda to, x=x: pyarrow.feather.write_feather(x, to)) for x in (table, numbers)],
    }


def values() -> st.SearchStrategy:
    """What may stand for a choice: numbers at the edges, words, and what is neither."""
    numbers = st.sampled_from([*EDGES, *(-x for x in EDGES)]) | st.integers(-3, 30) | st.floats()
    words = (
        st.sampled_from(["pcd", "cd", "pt", "exact", "fpcd", "sgd", "adam", "none", "native", "numpy", ""]) | st.text()
    )
    return numbers | words | st.none() | st.booleans() | st.lists(st.integers(), max_size=2)


def choices() -> st.SearchStrategy:
    """Keyword arguments of `Config`."""
    names = st.sampled_from(sorted(asdict(Config(1))))
    return st.dictionaries(names, values(), max_size=6)


def configurations(folder: Path) -> list[bytes]:
    """The ``config.toml`` of a run, and its history."""
    (text,) = (path.read_bytes() for path in folder.glob("pcd/config.toml"))
    return [text, json.dumps({"epoch": 1, "step": 2}).encode() + b"\n"]
