"""The formats of sources.

To add one, write its reader and add a `Format` to `FORMATS`; `make docs` then updates the table in
docs/how-to/own-data.md.

Readers are imported when a source is read, so that a bad source is reported before pandas is loaded.
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
"""Number of first bytes by which a file's format is recognised."""
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
    """A format: how it is recognised, the module that reads it, and its words in help texts.

    `reader` names a module whose `read(path, rules)` returns labelled `Frames` to train on, and whose `check(path)`
    raises InputError for faults that show without reading them. Its `batches(path, rules, n_rows)` yields frames to
    predict on, with `n_rows` rows in memory at a time, and with labels if the source has them. If a file is one image,
    `batches_of(files, rules, n_rows)` reads several files, given by name and path. If several formats match a file, the
    first of them is used.
    """

    name: str
    reader: str
    layout: str
    file: str = ""
    """The word for such a file in help texts: `.npz`, as in "an .npz file". Empty if it is never a file."""
    folder: str = ""
    """The word for the contents of such a folder in help texts. Empty if it is never a folder."""
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

    def check_header(self, path: Path) -> None:
        """Raise InputError, within about a second, for what a source's beginning or its names show to be wrong."""
        import_module(self.reader).check(path)

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
"""A folder, pattern or address of many files. It has no reader: the files are listed, and cached one by one."""


def source_help() -> str:
    """Return the help on `--source`: everything that can be trained on. Error messages end with it, too."""
    file = _either([fmt.file for fmt in FORMATS if fmt.file and fmt.has_labels])
    folder = _either([fmt.folder for fmt in FORMATS if fmt.folder])
    return f"{_built_in_names()}, an {file} file, a folder of {folder}, or shards"


def input_help() -> str:
    """Return the help on `--input`: everything that can be predicted on. Error messages end with it, too."""
    file = _either([fmt.file for fmt in FORMATS if fmt.file])
    return f"{_built_in_names()}, an {file} file, a folder, a pattern or an address"


def source_table() -> str:
    """Return the table of sources to train on, for docs/how-to/own-data.md."""
    rows = [f"| {_source_cell(fmt)} | {fmt.layout} |" for fmt in FORMATS]
    rows.append(f"| a folder, a pattern or an address of shards | {SHARDS.layout} |")
    return "\n".join(["| source | layout |", "|---|---|", *rows])


def check(*sources: str | None) -> None:
    """Raise InputError, within tens of milliseconds, if one of the sources can't be trained on."""
    for source in sources:
        if source is not None:
            find(source)


def check_headers(*sources: str) -> None:
    """Raise InputError for what the beginnings of the sources' files show to be wrong; shards aren't opened."""
    for source in sources:
        fmt = find(source)
        if fmt is not SHARDS and not fmt.built_in:
            fmt.check_header(Path(strip_file_scheme(source)))


def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read a source and, if there is one, the test source, which replaces the source's own test part."""
    from schemas.results import RawDataset

    train, test = _read(source, rules)
    name = _name(source)
    if test_source is not None:
        all_rows, test_part = _read(test_source, rules)
        test = all_rows if test_part is None else test_part
        name += f" with {_name(test_source)}"
    return RawDataset(name, train, test, _uri(source), test_source and _uri(test_source))


def find(source: str, expected: str = "") -> Format:
    """Return a source's format; raise InputError, with a message that ends with `expected`, if it has none."""
    expected = expected or f"expected {source_help()}"
    if built_in_format := find_built_in(source):
        built_in_format.check()
        return built_in_format
    if not source.strip():
        raise InputError(f"the source is empty; {expected}")
    if source in UNSUITABLE:
        raise InputError(f"{source}: {UNSUITABLE[source]}; {expected}")
    check_uri(source, expected)
    source = strip_file_scheme(source)
    path = Path(source)
    try:
        if path.is_dir() and (folder_format := find_folder_format(path)):
            return folder_format
        if shards.is_sharded(source):
            shards.check(source)
            return SHARDS
        if path.is_dir():
            layouts = [fmt.layout.replace("`", "") for fmt in FORMATS if fmt.folder]
            raise InputError(f"{path}: no known format; expected a folder with {_either([*layouts, 'shards'])}")
        file_format = find_file_format(path, expected)
    except OSError as error:
        raise InputError(f"{source}: {files.unreadable(error)}; {expected}") from error
    if not file_format.has_labels:
        raise InputError(f"{path}: a file without labels ({file_format.file}); {expected}")
    return file_format


def find_built_in(source: str) -> Format | None:
    """Return the format of a built-in source; None for a path or an address."""
    return next((fmt for fmt in FORMATS if fmt.built_in and fmt.name == source), None)


def find_folder_format(path: Path) -> Format | None:
    """Return the format of a folder as a whole, or None."""
    return next((fmt for fmt in FORMATS if fmt.matches_folder and fmt.matches_folder(path)), None)


def find_file_format(path: Path, expected: str) -> Format:
    """Return a file's format by its content; raise InputError, with `expected` at the end, if it has none."""
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
    for fmt in FORMATS:
        if fmt.matches_file and fmt.matches_file(head) and (fmt.may_be_gzipped or not gzipped):
            return fmt
    raise InputError(f"{path}: unknown content; {expected}")


def find_shard_format(path: Path) -> Format:
    """Return a shard's format; raise InputError for a file that can't be a shard."""
    file_format = find_file_format(path, shards.EXPECTED)
    if not file_format.may_be_shard:
        raise InputError(f"{path}: {file_format.name}; {shards.EXPECTED}")
    return file_format


def resolve_path(source: str | None) -> Path | None:
    """Return a source's path on this machine; None if it is elsewhere, or if there is no source."""
    if source is None:
        return None
    built_in_format = find_built_in(source)
    path = built_in_format.path if built_in_format else local_path(source)
    return path and path.resolve()


def _read(source: str, rules: Rules) -> tuple[pd.DataFrame | ShardManifest, pd.DataFrame | ShardManifest | None]:
    fmt, source = find(source), strip_file_scheme(source)
    return (shards.list_shards(source), None) if fmt is SHARDS else fmt.read(Path(source), rules)


def _name(source: str) -> str:
    if SCHEME in source:
        return source.rstrip("/").rsplit("/", 1)[-1]
    return source if find_built_in(source) else Path(source).resolve().name


def _uri(source: str) -> str:
    path = None if find_built_in(source) else local_path(source)
    return source if path is None else str(path.resolve())


def _built_in_names() -> str:
    return ", ".join(fmt.name for fmt in FORMATS if fmt.built_in)


def _source_cell(fmt: Format) -> str:
    if fmt.built_in:
        return f"`{fmt.name}`"
    return f"a folder of {fmt.folder}" if fmt.folder else f"`{fmt.file}`"


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
