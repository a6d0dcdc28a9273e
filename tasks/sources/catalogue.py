"""The sources that there are: built-in names, and files and folders, told by what they hold.

What reading needs is imported when something is read: a wrong name is answered before pandas is loaded.
"""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from schemas.digits import CLASSES
from schemas.errors import InputError
from tasks.sources import mnist

if TYPE_CHECKING:
    from schemas.results import Loaded
    from schemas.rules import Rules
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
    f"{' or '.join(BUILT_IN)}, an .npz, .csv, .csv.gz or .parquet file, or a folder with IDX files or with pictures in "
    "subfolders named 0 to 9 is allowed"
)
PICTURES_IN = ("", "train")
IDX_NAME = re.compile(r"(train|t10k|test)[-_.]?(images|labels)", re.IGNORECASE)
GZIP = b"\x1f\x8b"
KINDS = {b"PK\x03\x04": "npz", b"PK\x05\x06": "npz", b"PAR1": "parquet", GZIP: "csv"}
"""What files begin with; one that holds neither these nor a zero byte is text."""
HEAD = 1024

READERS = {
    MNIST: "tasks.sources.mnist:read",
    FASHION_MNIST: "tasks.sources.keras_sets:read_fashion_mnist",
    "npz": "tasks.sources.npz:read",
    "csv": "tasks.sources.tables:read_csv",
    "parquet": "tasks.sources.tables:read_parquet",
    "idx": "tasks.sources.idx:read",
    "pictures": "tasks.sources.pictures:read",
}
"""Each reader takes the source's path and the rules, and gives frames."""


def check(*sources: str | None) -> None:
    """Raise InputError, in a few hundredths of a second, if one of the sources can't be what is wanted."""
    for source in sources:
        if source is not None:
            kind(source)


def load(source: str, test_source: str | None, rules: Rules) -> Loaded:
    """Read a source and, where there is one, that of the test part, which then replaces the source's own."""
    from schemas.results import Loaded

    train, test = _read(source, rules)
    name = _name(source)
    if test_source is not None:
        other = _read(test_source, rules)
        test = other.train if other.test is None else other.test
        name += f" with {_name(test_source)}"
    return Loaded(name, train, test, _place(source), test_source and _place(test_source))


def kind(source: str) -> str:
    """Tell of what kind a source is, one of READERS; raise InputError if of none."""
    if source == MNIST:
        mnist.check()
    if source in BUILT_IN:
        return source
    if source in UNFIT:
        raise InputError(f"{source}: {UNFIT[source]}; {ALLOWED}")
    path = Path(source)
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file or folder" if missing else f"can't be read ({error.strerror})"
        raise InputError(f"{source}: {reason}; {ALLOWED}") from error


def _read(source: str, rules: Rules) -> Frames:
    frames: Frames = resolve_name(READERS[kind(source)])(Path(source), rules)
    return frames


def _name(source: str) -> str:
    return source if source in BUILT_IN else Path(source).resolve().name


def _place(source: str) -> str:
    return source if source in BUILT_IN else str(Path(source).resolve())


def _of_folder(path: Path) -> str:
    if any((path / part / str(label)).is_dir() for part in PICTURES_IN for label in CLASSES):
        return "pictures"
    if any(IDX_NAME.match(entry.name) for entry in path.iterdir()):
        return "idx"
    raise InputError(f"{path}: neither IDX files nor subfolders named 0 to 9; {ALLOWED}")


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise InputError(f"{path}: empty; {ALLOWED}")
    for beginning, found in KINDS.items():
        if head.startswith(beginning):
            return found
    if b"\0" in head:
        raise InputError(f"{path}: neither text nor an .npz or .parquet file; {ALLOWED}")
    return "csv"
