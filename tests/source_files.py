"""Write pixel frames in every format that can be a source."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from schemas.pixel_frame import PIXEL_COLUMNS, labels_of, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd


def npz(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.npz"
    np.savez(path, x=pixels_of(frame).reshape(-1, 28, 28), y=labels_of(frame))
    return path


def packed_npz(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.npz"
    np.savez_compressed(path, x_train=pixels_of(frame).astype(np.int64), y_train=labels_of(frame)[:, None])
    return path


def csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def csv_without_header(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.txt"
    frame.to_csv(path, index=False, header=False, lineterminator="\r\n")
    return path


def csv_of_openml(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.csv"
    names = {name: f"pixel{number}" for number, name in enumerate(PIXEL_COLUMNS, start=1)}
    renamed = frame.rename(columns={**names, "label": "class"})
    renamed[[*names.values(), "class"]].to_csv(path, index=False)
    return path


def csv_gz(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.csv.gz"
    path.write_bytes(gzip.compress(csv(frame, folder).read_bytes()))
    return path


def parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.parquet"
    frame.to_parquet(path)
    return path


def parquet_of_int64(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.parquet"
    frame.astype("int64").to_parquet(path, row_group_size=7)
    return path


def idx(frame: pd.DataFrame, folder: Path) -> Path:
    folder = folder / "idx"
    folder.mkdir(exist_ok=True)
    (folder / "train-images-idx3-ubyte").write_bytes(idx_images(frame))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_labels(frame))
    return folder


def idx_gz(frame: pd.DataFrame, folder: Path) -> Path:
    folder = folder / "idx"
    folder.mkdir(exist_ok=True)
    (folder / "train-images.idx3-ubyte.gz").write_bytes(gzip.compress(idx_images(frame), 1))
    (folder / "train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx_labels(frame), 1))
    return folder


def idx_images(frame: pd.DataFrame) -> bytes:
    return struct.pack(">4I", 0x803, len(frame), 28, 28) + np.ascontiguousarray(pixels_of(frame)).tobytes()


def idx_labels(frame: pd.DataFrame) -> bytes:
    return struct.pack(">2I", 0x801, len(frame)) + labels_of(frame).tobytes()


def pictures(frame: pd.DataFrame, folder: Path) -> Path:
    """Write PNGs that are read in the frame's order only if its labels ascend."""
    folder = folder / "pictures"
    for number, (image, label) in enumerate(zip(pixels_of(frame), labels_of(frame), strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.reshape(28, 28)).save(place / f"{number:06}.png")
    return folder


TABLES: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "npz": npz,
    "packed npz": packed_npz,
    "csv": csv,
    "csv without header": csv_without_header,
    "csv of OpenML": csv_of_openml,
    "csv.gz": csv_gz,
    "parquet": parquet,
    "parquet of int64": parquet_of_int64,
    "idx": idx,
    "idx gzipped": idx_gz,
}
ALL = TABLES | {"pictures": pictures}
