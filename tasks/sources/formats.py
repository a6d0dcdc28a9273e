"""The formats of sources. To add one, write its reader and add a `Format` to `FORMATS`; nothing else has to change.

Readers are imported when something is read, so that a bad source is refused before pandas is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from artifacts.uri import SCHEME, check_uri, local_path, strip_file_scheme
from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from schemas.shards import ShardManifest
from tasks.sources import files, keras_sets, mnist, shards

if TYPE_CHECKING:
    import pandas as pd

    from schemas.results import RawDataset
    from tasks.sources.frames import Frames

HEAD = 1024
"""Number of bytes that a file is recognised by."""
UNSUITABLE = {
    "cifar10": "photographs in colour, 32 × 32",
    "cifar100": "photographs in colour, 32 × 32, of a hundred classes",
    "imdb": "texts",
    "reuters": "texts",
    "california-housing": "house prices",
    "boston-housing": "house prices",
}
"""The other sets of `keras.datasets`, and their contents."""


@dataclass(frozen=True)
class Format:
    """A format: how it is recognised, the module that reads it, and its part of help texts.

    `reader` names a module whose `read(path, rules)` returns labelled `Frames` to train on, and whose
    `batches(path, rules, n_rows)` yields frames to predict on, with `n_rows` rows in memory at a time and with labels
    where the source has them. If a file is one image, its `batches_of(files, rules, n_rows)` reads several, given by
    name and path. Of the formats that match a file, the first one is taken.
    """

    name: str
    reader: str
    layout: str
    file: str = ""
    """What help texts call such a file: `.npz`, as in "an .npz file". Empty if it is never a file."""
    folder: str = ""
    """What help texts call the contents of such a folder. Empty if it is never a folder."""
    matches_file: Callable[[bytes], bool] | None = None
    """Recognises a file by its first bytes, expanded if it is gzipped."""
    matches_folder: Callable[[Path], bool] | None = None
    built_in: bool = False
    """Whether the source is a name, not a path."""
    path: Path | None = None
    """The path of a built-in source that is on this machine."""
    check: Callable[[], None] = lambda: None
    """Raises InputError unless a built-in source is intact."""
    download: Callable[[], Path] | None = None
    """Downloads a built-in source; returns its path."""
    has_labels: bool = True
    """Whether a single file has labels, so that it can be trained on."""
    may_be_gzipped: bool = False
    may_be_shard: bool = False
    one_image: bool = False

    def read(self, path: Path, rules: Rules) -> Frames:
        """Read a source to train on."""
        return cast("Frames", import_module(self.reader).read(self._locate(path), rules))

    def batches(self, path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read a source to predict on, about `n_rows` rows at a time."""
        return cast("Iterator[pd.DataFrame]", import_module(self.reader).batches(self._locate(path), rules, n_rows))

    def batches_of(self, images: Sequence[tuple[str, Path]], rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read files of one image each to predict on, `n_rows` at a time."""
        return cast("Iterator[pd.DataFrame]", import_module(self.reader).batches_of(images, rules, n_rows))

    def _locate(self, path: Path) -> Path:
        return self.download() if self.download else self.path or path


FORMATS: tuple[Format, ...] = (
    Format("mnist", "tasks.sources.npz", "embedded", built_in=True, path=mnist.PATH, check=mnist.check),
    Format(
        "fashion-mnist",
        "tasks.sources.idx",
        "downloaded by Keras into its cache and checked",
        built_in=True,
        download=keras_sets.download,
    ),
    Format(
        "npz",
        "tasks.sources.npz",
        "Keras' arrays `x_train, y_train, x_test, y_test`, or `x, y`; images as 28 × 28 or 784",
        file=".npz",
        matches_file=lambda head: head.startswith(files.NPZ),
    ),
    Format(
        "parquet",
        "tasks.sources.parquet_table",
        "the columns of a `.csv` file",
        file=".parquet",
        matches_file=lambda head: head.startswith(files.PARQUET),
        may_be_shard=True,
    ),
    Format(
        "pictures",
        "tasks.sources.pictures",
        "PNG, JPEG or BMP pictures in subfolders `0` to `9`, or those in `train` and `test`",
        file="picture",
        folder="pictures",
        matches_file=files.is_picture,
        matches_folder=files.is_picture_folder,
        has_labels=False,
        one_image=True,
    ),
    Format(
        "idx",
        "tasks.sources.idx",
        "the four IDX files as LeCun published them, gzipped or not",
        file="IDX",
        folder="IDX files",
        matches_file=lambda head: head.startswith(files.IDX_IMAGES),
        matches_folder=files.is_idx_folder,
        has_labels=False,
        may_be_gzipped=True,
    ),
    Format(
        "csv",
        "tasks.sources.csv_table",
        "a header `label,pixel0,…,pixel783` (Kaggle) or `pixel1,…,pixel784,class` (OpenML), or none and the label "
        "first; gzipped or not",
        file=".csv",
        matches_file=files.is_text,  # last: other formats may be text, too
        may_be_gzipped=True,
        may_be_shard=True,
    ),
)
SHARDS = Format(
    "shards",
    "",
    "any number of `.parquet` or `.csv` files of labelled rows (see [Larger than memory](#larger-than-memory))",
)
"""A folder, a pattern or an address of many files. They have no reader: they are listed, and cached one by one."""


def source_help() -> str:
    """Return the help on `--source`: all that can be trained on. Errors end with it, too."""
    file = _either([one.file for one in FORMATS if one.file and one.has_labels])
    folder = _either([one.folder for one in FORMATS if one.folder])
    return f"{_names()}, an {file} file, a folder of {folder}, or shards"


def input_help() -> str:
    """Return the help on `--input`: all that can be predicted on. Errors end with it, too."""
    file = _either([one.file for one in FORMATS if one.file])
    return f"{_names()}, an {file} file, a folder, a pattern or an address"


def source_table() -> str:
    """Return the documentation's table of sources to train on."""
    rows = [f"| {_source_cell(one)} | {one.layout} |" for one in FORMATS]
    rows.append(f"| a folder, a pattern or an address of shards | {SHARDS.layout} |")
    return "\n".join(["| source | layout |", "|---|---|", *rows])


def check(*sources: str | None) -> None:
    """Raise InputError, within a few hundredths of a second, if one of the sources can't be trained on."""
    for source in sources:
        if source is not None:
            find(source)


def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read a source and, if there is one, the test source, which replaces the source's own test part."""
    from schemas.results import RawDataset

    train, test = _read(source, rules)
    name = _name(source)
    if test_source is not None:
        its_train, its_test = _read(test_source, rules)
        test = its_train if its_test is None else its_test
        name += f" with {_name(test_source)}"
    return RawDataset(name, train, test, _uri(source), test_source and _uri(test_source))


def find(source: str, expected: str = "") -> Format:
    """Return a source's format; raise InputError, which ends with `expected`, if it has none."""
    expected = expected or f"expected {source_help()}"
    if named := built_in(source):
        named.check()
        return named
    if not source.strip():
        raise InputError(f"the source is empty; {expected}")
    if source in UNSUITABLE:
        raise InputError(f"{source}: {UNSUITABLE[source]}; {expected}")
    check_uri(source, expected)
    source = strip_file_scheme(source)
    path = Path(source)
    try:
        if path.is_dir() and (found := find_folder_format(path)):
            return found
        if shards.is_sharded(source):
            shards.check(source)
            return SHARDS
        if path.is_dir():
            layouts = [one.layout.replace("`", "") for one in FORMATS if one.folder]
            raise InputError(f"{path}: no known format; expected a folder with {_either([*layouts, 'shards'])}")
        found = find_file_format(path, expected)
    except OSError as error:
        raise InputError(f"{source}: {files.unreadable(error)}; {expected}") from error
    if not found.has_labels:
        raise InputError(f"{path}: a file without labels ({found.file}); {expected}")
    return found


def built_in(source: str) -> Format | None:
    """Return the format of a built-in source; None for a path or an address."""
    return next((one for one in FORMATS if one.built_in and one.name == source), None)


def find_folder_format(path: Path) -> Format | None:
    """Return the format of a folder as a whole; None if it has none."""
    return next((one for one in FORMATS if one.matches_folder and one.matches_folder(path)), None)


def find_file_format(path: Path, expected: str) -> Format:
    """Return a file's format by its content; raise InputError, which ends with `expected`, if it has none."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'a pipe or a device'}; {expected}")
    gzipped = files.is_gzipped(path)
    try:
        with files.open_expanded(path) as file:
            head = file.read(HEAD)
    except files.DAMAGED:
        if not gzipped:
            raise
        head = b""  # its reader reports the damage
    if not head and not gzipped:
        raise InputError(f"{path}: empty; {expected}")
    for one in FORMATS:
        if one.matches_file and one.matches_file(head) and (one.may_be_gzipped or not gzipped):
            return one
    raise InputError(f"{path}: unknown content; {expected}")


def find_shard_format(path: Path) -> Format:
    """Return a shard's format; raise InputError for a file that can't be a shard."""
    found = find_file_format(path, shards.EXPECTED)
    if not found.may_be_shard:
        raise InputError(f"{path}: {found.name}; {shards.EXPECTED}")
    return found


def place(source: str | None) -> Path | None:
    """Return a source's path on this machine; None if it is elsewhere, or if there is no source."""
    if source is None:
        return None
    named = built_in(source)
    path = named.path if named else local_path(source)
    return path and path.resolve()


def _read(source: str, rules: Rules) -> tuple[pd.DataFrame | ShardManifest, pd.DataFrame | ShardManifest | None]:
    found, source = find(source), strip_file_scheme(source)
    return (shards.list_shards(source), None) if found is SHARDS else found.read(Path(source), rules)


def _name(source: str) -> str:
    if SCHEME in source:
        return source.rstrip("/").rsplit("/", 1)[-1]
    return source if built_in(source) else Path(source).resolve().name


def _uri(source: str) -> str:
    path = None if built_in(source) else local_path(source)
    return source if path is None else str(path.resolve())


def _names() -> str:
    return ", ".join(one.name for one in FORMATS if one.built_in)


def _source_cell(one: Format) -> str:
    if one.built_in:
        return f"`{one.name}`"
    return f"a folder of {one.folder}" if one.folder else f"`{one.file}`"


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
