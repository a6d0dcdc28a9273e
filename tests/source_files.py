"""Write pixel frames in every format that can be a source."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from typing import IO, TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import sklearn.datasets
from PIL import Image

from schemas.pixel_frame import PIXEL_COLUMNS, labels_of, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray


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


def pictures_as(suffix: str) -> Callable[[pd.DataFrame, Path], Path]:
    """Return a writer of pictures of another format."""

    def write(frame: pd.DataFrame, folder: Path) -> Path:
        for path in sorted(pictures(frame, folder).rglob("*.png")):
            Image.open(path).save(path.with_suffix(f".{suffix}"), lossless=True)
            path.unlink()
        return folder / "pictures"

    return write


def packed(name: str, opener: Callable[..., IO[bytes]]) -> Callable[[pd.DataFrame, Path], Path]:
    """Return a writer of a compressed CSV file."""

    def write(frame: pd.DataFrame, folder: Path) -> Path:
        path = folder / name
        with opener(path, "wb") as file:
            file.write(frame.to_csv(index=False).encode())
        return path

    return write


def npz_of_torch(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.npz"
    np.savez(path, images=pixels_of(frame).reshape(-1, 1, 28, 28), labels=np.eye(10)[labels_of(frame)])
    return path


def npz_of_rows_last(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.npz"
    pixels = pixels_of(frame).reshape(-1, 28, 28).transpose(1, 2, 0)
    np.savez(path, arr_0=pixels, arr_1=labels_of(frame).astype(str)[:, None])
    return path


def npy_folder(frame: pd.DataFrame, folder: Path) -> Path:
    folder = folder / "npy"
    folder.mkdir(exist_ok=True)
    np.save(folder / "train_images.npy", pixels_of(frame).reshape(-1, 28, 28, 1))
    np.save(folder / "train_labels.npy", labels_of(frame))
    return folder


def mat(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.mat"
    part = {"images": pixels_of(frame), "labels": labels_of(frame)[:, None].astype(float)}
    scipy.io.savemat(path, {"dataset": {"train": part}}, do_compression=True)
    return path


def hdf5(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("train")
        group.create_dataset("data", data=pixels_of(frame), compression="gzip")
        group.create_dataset("target", data=labels_of(frame))
    return path


def parquet_of_lists(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.parquet"
    texts = pa.array(labels_of(frame).astype(str)).dictionary_encode()
    pq.write_table(pa.table({"image": list(pixels_of(frame)), "class": texts}), path, row_group_size=7)
    return path


def parquet_of_bytes(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"image": list(map(bytes, pixels_of(frame))), "label": labels_of(frame)}), path)
    return path


def parquet_of_pictures(frame: pd.DataFrame, folder: Path) -> Path:
    """Write what Hugging Face's datasets are; only digits like MNIST's are read as written."""
    path = folder / "rows.parquet"
    pictures = [{"bytes": png(image), "path": None} for image in pixels_of(frame)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(pictures, kind), "label": labels_of(frame).astype("int64")}), path)
    return path


def png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.reshape(28, 28)).save(buffer, "PNG")
    return buffer.getvalue()


def feather(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.feather"
    frame.to_feather(path)
    return path


def arrow_stream(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.arrow"
    table = pa.table({"image": pa.FixedSizeListArray.from_arrays(pixels_of(frame).ravel(), 784), "y": labels_of(frame)})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return path


def arff(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.arff"
    attributes = "".join(f"@ATTRIBUTE pixel{number} REAL\n" for number in range(1, 785))
    lines = frame[[*PIXEL_COLUMNS, "label"]].to_csv(index=False, header=False)
    path.write_text(f"% Digits\n@RELATION 'digits'\n\n{attributes}@attribute 'class' {{0,1,2,3}}\n\n@DATA\n{lines}")
    return path


def libsvm(frame: pd.DataFrame, folder: Path) -> Path:
    """Write rows of which the first has ink, or it isn't recognised."""
    path = folder / "rows.libsvm"
    sklearn.datasets.dump_svmlight_file(
        pixels_of(frame).astype(float), labels_of(frame).astype(float), str(path), zero_based=False
    )
    return path


def libsvm_of_all_pixels(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.libsvm"
    rows = zip(labels_of(frame), pixels_of(frame), strict=True)
    lines = [f"{label} {' '.join(f'{number}:{value}' for number, value in enumerate(row, 1))}\n" for label, row in rows]
    path.write_text("".join(lines))
    return path


def zipped_csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("digits/rows.csv", frame.to_csv(index=False))
        archive.writestr("__MACOSX/digits/._rows.csv", b"\0\5\x16\7")
        archive.writestr("digits/README.txt", "Digits")
    return path


def tar_of_idx(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(idx(frame, folder), "MNIST/raw")
    return path


def qmnist(frame: pd.DataFrame, folder: Path) -> Path:
    folder = folder / "qmnist"
    folder.mkdir(exist_ok=True)
    labels = np.zeros((len(frame), 8), ">i4")
    labels[:, 0], labels[:, 1] = labels_of(frame), 4
    (folder / "qmnist-train-images-idx3-ubyte").write_bytes(idx_images(frame))
    (folder / "qmnist-train-labels-idx2-int").write_bytes(struct.pack(">3I", 0xC02, *labels.shape) + labels.tobytes())
    return folder


TABLES: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "npz": npz,
    "packed npz": packed_npz,
    "npz of torch": npz_of_torch,
    "npz of rows last": npz_of_rows_last,
    "npy": npy_folder,
    "mat": mat,
    "hdf5": hdf5,
    "csv": csv,
    "csv without header": csv_without_header,
    "csv of OpenML": csv_of_openml,
    "csv.gz": csv_gz,
    "csv.bz2": packed("rows.csv.bz2", bz2.open),
    "csv.xz": packed("rows.csv.xz", lzma.open),
    "arff": arff,
    "parquet": parquet,
    "parquet of int64": parquet_of_int64,
    "parquet of lists": parquet_of_lists,
    "parquet of bytes": parquet_of_bytes,
    "libsvm of all pixels": libsvm_of_all_pixels,
    "feather": feather,
    "arrow stream": arrow_stream,
    "idx": idx,
    "idx gzipped": idx_gz,
    "qmnist": qmnist,
    "zip": zipped_csv,
    "tar": tar_of_idx,
}
ALL = TABLES | {f"pictures as {suffix}": pictures_as(suffix) for suffix in ("gif", "tif", "webp")}
ALL |= {"pictures": pictures, "parquet of pictures": parquet_of_pictures, "libsvm": libsvm}
"""Every format: rows are read as they were written, and the same rows have the same fingerprint."""
