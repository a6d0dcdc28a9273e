"""The sources that there are: built-in names, and files and folders, told by what they hold.

What reading needs is imported when something is read: a wrong name is answered before pandas is loaded.
"""

from __future__ import annotations

import re
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.uri import SCHEME, check_intact, local, path_of
from schemas.digits import CLASSES
from schemas.errors import InputError
from tasks.sources import mnist, shards
from tasks.sources.files import GZIP, opened

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

    from schemas.results import RawDataset
    from schemas.rules import Rules
    from schemas.shards import ShardManifest
    from tasks.sources.frames import Frames

MNIST, FASHION_MNIST = "mnist", "fashion-mnist"
BUILT_IN = (MNIST, FASHION_MNIST)
UNFIT = {
    "cifar10": "photographs in colour, 32 × 32",
    "cifar100": "photographs in colour, 32 × 32, of a hundred classes",
    "imdb": "texts",
    "reuters": "texts",
    "california-housing": "figures",
    "boston-housing": "figures",
}
"""What else `keras.datasets` knows."""
ALLOWED = (
    f"{' or '.join(BUILT_IN)}, an .npz, .csv, .csv.gz or .parquet file, a folder with IDX files, with pictures in "
    "subfolders named 0 to 9 or with .parquet or .csv shards, or a pattern or an address of such shards is allowed"
)
PICTURES_IN = ("", "train", "test")
IDX_NAME = re.compile(r"(train|t10k|test)[-_.]?(images|labels)(?!.*\.(parquet|csv|csv\.gz)$)", re.IGNORECASE)
IDX, PICTURE, SHARDS = "idx", "picture", "shards"
IDX_IMAGES = b"\0\0\x08\x03"
BEGINNINGS = {
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"PAR1": "parquet",
    IDX_IMAGES: IDX,
    b"\x89PNG": PICTURE,
    b"\xff\xd8\xff": PICTURE,
}
"""What files begin with; one that begins with none of these and holds no zero byte is text."""
BITMAP = b"BM"  # a text may begin so, too
HEAD = 1024

READERS = {
    MNIST: "tasks.sources.mnist",
    FASHION_MNIST: "tasks.sources.keras_sets",
    "npz": "tasks.sources.npz",
    "csv": "tasks.sources.csv_table",
    "parquet": "tasks.sources.parquet_table",
    IDX: "tasks.sources.idx",
    "pictures": "tasks.sources.pictures",
}
"""Each module's `read` takes a source's path and the rules, and gives frames to train on. Its `batches` takes also how
many rows to have in memory at a time, and gives frames to predict on, with labels where the source has some."""


def source_help() -> str:
    """Return what can be trained on, for `--source`."""
    return "mnist, fashion-mnist, an .npz, .csv or .parquet file, a folder of IDX files or pictures, or shards"


def check(*sources: str | None) -> None:
    """Raise InputError, in a few hundredths of a second, if one of the sources can't be what is wanted."""
    for source in sources:
        if source is not None:
            kind(source)


def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read a source and, where there is one, that of the test part, which then replaces the source's own."""
    from schemas.results import RawDataset

    train: pd.DataFrame | ShardManifest
    test: pd.DataFrame | ShardManifest | None
    train, test = _read(source, rules)
    name = _name(source)
    if test_source is not None:
        others, tested = _read(test_source, rules)
        test = others if tested is None else tested
        name += f" with {_name(test_source)}"
    return RawDataset(name, train, test, _place(source), test_source and _place(test_source))


def kind(source: str, allowed: str = ALLOWED) -> str:
    """Tell of what kind a source is, one of READERS; raise InputError, telling what is allowed, if of none."""
    if source == MNIST:
        mnist.check()
    if source in BUILT_IN:
        return source
    if not source.strip():
        raise InputError(f"the source is empty; {allowed}")
    if source in UNFIT:
        raise InputError(f"{source}: {UNFIT[source]}; {allowed}")
    check_intact(source, allowed)
    source = local(source)
    path = Path(source)
    try:
        found = detect_folder_format(path) if path.is_dir() else None
        if found is None and shards.is_sharded(source):
            shards.check(source)
            return SHARDS
        if not path.is_dir():
            found = detect_file_format(path, allowed)
    except OSError as error:
        raise InputError(f"{source}: {unreadable(error)}; {allowed}") from error
    if found is None:
        raise InputError(f"{path}: neither IDX files, nor subfolders named 0 to 9, nor shards; {allowed}")
    if found == PICTURE or (found == IDX and not path.is_dir()):
        raise InputError(f"{path}: {'a picture' if found == PICTURE else 'images'} without labels; {allowed}")
    return found


def place(source: str | None) -> Path | None:
    """Give where on this machine a source lies; None for one that lies elsewhere, and for none."""
    if source is None or source == FASHION_MNIST:
        return None
    path = mnist.PATH if source == MNIST else path_of(source)
    return path and path.resolve()


def reader(kind: str) -> ModuleType:
    """Give the module that reads a kind of source."""
    return import_module(READERS[kind])


def unreadable(error: OSError) -> str:
    """Tell why a path can't be read."""
    missing = isinstance(error, FileNotFoundError)
    return "no such file or folder" if missing else f"can't be read ({error.strerror})"


def _read(source: str, rules: Rules) -> Frames | tuple[ShardManifest, None]:
    found, source = kind(source), local(source)
    if found == SHARDS:
        return shards.manifest(source), None
    frames: Frames = reader(found).read(Path(source), rules)
    return frames


def _name(source: str) -> str:
    if SCHEME in source:
        return source.rstrip("/").rsplit("/", 1)[-1]
    return source if source in BUILT_IN else Path(source).resolve().name


def _place(source: str) -> str:
    path = None if source in BUILT_IN else path_of(source)
    return source if path is None else str(path.resolve())


def detect_folder_format(path: Path) -> str | None:
    """Tell of what kind a folder is as a whole; None if it isn't one that can be trained on."""
    if any((path / part / str(label)).is_dir() for part in PICTURES_IN for label in CLASSES):
        return "pictures"
    if any(IDX_NAME.match(entry.name) for entry in path.iterdir()):
        return IDX
    return None


def detect_file_format(path: Path, allowed: str = ALLOWED) -> str:
    """Tell of what kind a file is by what it holds, expanded if it is gzipped; a picture is one of the kinds."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'a pipe or a device'}; {allowed}")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise InputError(f"{path}: empty; {allowed}")
    if head.startswith(GZIP):
        return IDX if _expanded(path).startswith(IDX_IMAGES) else "csv"
    for beginning, found in BEGINNINGS.items():
        if head.startswith(beginning):
            return found
    if b"\0" not in head:
        return "csv"
    if head.startswith(BITMAP):
        return PICTURE
    raise InputError(f"{path}: neither text nor an .npz or .parquet file; {allowed}")


def detect_shard_format(path: Path) -> str:
    """Tell of what kind a shard is, csv or parquet; raise InputError for any other file."""
    found = detect_file_format(path, shards.NEEDED)
    if found not in {"csv", "parquet"}:
        raise InputError(f"{path}: {found}; {shards.NEEDED}")
    return found


def _expanded(path: Path) -> bytes:
    try:
        with opened(path) as file:
            return file.read(HEAD)
    except (OSError, EOFError, zlib.error):
        return b""  # its reader tells what is wrong with it
