"""The formats of sources.

To add one, write a function that opens it as a `tables.Table` or as `arrays.Arrays`, in a module that has the functions
of a reader, as `arrow_file` or `hdf5`, and add a `Format` to `FORMATS`; `make docs` then updates the table in
docs/how-to/own-data.md.

Readers are imported when a source is read, so that a bad source is reported before pandas is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from tasks.sources import files, foreign, keras_sets, mnist, parts, picture_formats
from tasks.sources.parts import root_of

if TYPE_CHECKING:
    import pandas as pd

    from tasks.sources.frames import Frames


@dataclass(frozen=True)
class Format:
    """A format: how it is recognised, the module that reads it, and its words in help texts.

    `reader` names a module whose `read(path, rules)` returns labelled `Frames` to train on, and whose
    `check(path, rules)` raises InputError for faults that show without reading them. Its `batches(path, rules, n_rows)`
    yields frames to predict on, with `n_rows` rows in memory at a time, and with labels if the source has them. If
    several formats match a file, the first of them is used.
    """

    name: str
    reader: str
    layout: str
    file: str = ""
    """The words for such a file in help texts: `.npz`, as in "an .npz file". Empty if it is never a file."""
    folder: str = ""
    """The word for the contents of such a folder in help texts. Empty if it is never a folder."""
    matches_file: Callable[[bytes], bool] | None = None
    """Recognises a file by its first bytes, expanded if it is compressed."""
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
    may_be_compressed: bool = False
    """Whether the reader expands a compressed file while it reads it; others are unpacked."""
    shard_suffixes: tuple[str, ...] = ()
    """Suffixes of such files in a folder of shards. Empty if such a file can't be a shard."""

    def read(self, path: Path, rules: Rules) -> Frames:
        """Read a source to train on."""
        return cast("Frames", self._reader.read(self._locate(path), rules))

    def check_header(self, path: Path, rules: InputRules) -> None:
        """Raise InputError, within about a second, for what a source's beginning or its names show to be wrong."""
        self._reader.check(self._locate(path), rules)

    def batches(self, path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read a source to predict on, about `n_rows` rows at a time."""
        return cast("Iterator[pd.DataFrame]", self._reader.batches(self._locate(path), rules, n_rows))

    @property
    def _reader(self) -> Any:  # noqa: ANN401, a module
        return import_module(self.reader)

    def _locate(self, path: Path) -> Path:
        if self.download:
            return self.download()
        return self.path or (root_of(path) if path.is_dir() else path)


ARCHIVE = Format(
    "archive",
    "",
    "any of these in a zip or tar archive, or compressed by gzip, bzip2 or xz",
    file=".zip, .tar.gz",
    matches_file=files.is_archive,
    may_be_compressed=True,
)
"""It has no reader: it is unpacked, and its content is read."""
PICTURES = Format(
    "pictures",
    "tasks.sources.pictures",
    f"{picture_formats.NAMES} pictures in subfolders `0` to `9`, or those in `train` and `test` or the like",
    file="picture",
    folder="pictures",
    matches_file=picture_formats.is_picture,
    matches_folder=parts.is_picture_folder,
    has_labels=False,
)
"""Many are read together: `tasks.sources.inputs` calls their reader itself."""
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
        "arrays named `x_train, y_train, x_test, y_test`, as Keras does, `x, y`, `images, labels` or the like; images "
        "of 28 × 28 or 784, along the first or the last axis; labels as numbers, text or one-hot",
        file=".npz",
        matches_file=files.is_npz,
    ),
    Format(
        "npy",
        "tasks.sources.npy",
        "`.npy` files named as the arrays of an `.npz` file are",
        file=".npy",
        folder=".npy files",
        matches_file=files.starts(files.NPY),
        matches_folder=lambda path: bool(files.npy_files(path)),
        has_labels=False,
    ),
    Format(
        "parquet",
        "tasks.sources.parquet_table",
        "the columns of a `.csv` file; or a column of labels and one of images: as PNG (Hugging Face), bytes or lists",
        file=".parquet",
        matches_file=files.starts(files.PARQUET),
        shard_suffixes=(".parquet",),
    ),
    Format(
        "arrow",
        "tasks.sources.arrow_file",
        "the columns of a `.parquet` file, as Feather or a stream",
        file=".arrow",
        matches_file=files.starts(files.ARROW, files.ARROW_STREAM),
        shard_suffixes=(".arrow", ".feather"),
    ),
    Format(
        "mat",
        "tasks.sources.mat",
        "the arrays of an `.npz` file, in structures or not",
        file=".mat",
        matches_file=files.starts(files.MAT),
    ),
    Format(
        "hdf5",
        "tasks.sources.hdf5",
        "the arrays of an `.npz` file, in groups or not",
        file=".h5",
        matches_file=files.is_hdf5,
    ),
    PICTURES,
    Format(
        "idx",
        "tasks.sources.idx",
        "the four IDX files as LeCun published them, with any prefix (EMNIST, QMNIST), gzipped or not",
        file="IDX",
        folder="IDX files",
        matches_file=files.starts(files.IDX_IMAGES),
        matches_folder=files.is_idx_folder,
        has_labels=False,
        may_be_compressed=True,
    ),
    ARCHIVE,
    Format(
        "arff",
        "tasks.sources.arff",
        "the attributes of a `.csv` file (OpenML)",
        file=".arff",
        matches_file=lambda head: files.is_text(head) and files.ARFF.match(head) is not None,
        may_be_compressed=True,
    ),
    Format(
        "libsvm",
        "tasks.sources.libsvm",
        "a label, and `number:value` for each pixel that isn't 0, counted from 0 or 1",
        file=".libsvm",
        matches_file=lambda head: files.is_text(head) and files.LIBSVM.match(head) is not None,
        may_be_compressed=True,
    ),
    Format(
        "csv",
        "tasks.sources.csv_table",
        "a header `label,pixel0,…,pixel783` (Kaggle) or `pixel1,…,pixel784,class` (OpenML), or none; "
        "[other layouts](#csv-files); compressed or not",
        file=".csv",
        matches_file=files.is_text,  # last: other formats may be text, too
        may_be_compressed=True,
        shard_suffixes=(".csv", ".csv.gz"),
    ),
)
SHARDS = Format("shards", "", "any number of files of labelled rows (see [Larger than memory](#larger-than-memory))")
"""A folder, pattern or address of many files. It has no reader: the files are listed, and cached one by one."""


def source_help() -> str:
    """Return the help on `--source`: everything that can be trained on. Error messages end with it, too."""
    return f"{_built_in_names()}, an {_labelled_files()} file, a folder of {_folders()}, or shards"


def inbox_help() -> str:
    """Return the end of error messages on files of the inbox: those that can be trained on, except shards."""
    return f"an {_labelled_files()} file or a folder of {_folders()}"


def shard_help() -> str:
    """Return the end of error messages on shards: the files that can be one."""
    return f"a {_either([fmt.file for fmt in FORMATS if fmt.shard_suffixes])} file"


def shard_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the shards of a folder; a pattern may match any name."""
    return tuple(suffix for fmt in FORMATS for suffix in fmt.shard_suffixes)


def input_help() -> str:
    """Return the help on `--input`: everything that can be predicted on. Error messages end with it, too."""
    file = _either([fmt.file for fmt in FORMATS if fmt.file])
    return f"{_built_in_names()}, an {file} file, a folder, a pattern or an address"


def source_table() -> str:
    """Return the table of sources to train on, for docs/how-to/own-data.md."""
    rows = [f"| {_source_cell(fmt)} | {fmt.layout} |" for fmt in FORMATS]
    shard_files = _either([f"`{fmt.file}`" for fmt in FORMATS if fmt.shard_suffixes])
    rows.append(f"| a folder, a pattern or an address of {shard_files} files | {SHARDS.layout} |")
    return "\n".join(["| source | layout |", "|---|---|", *rows])


def find_built_in(source: str) -> Format | None:
    """Return the format of a built-in source; None for a path or an address."""
    return next((fmt for fmt in FORMATS if fmt.built_in and fmt.name == source), None)


def find_folder_format(path: Path) -> Format | None:
    """Return the format of a folder as a whole, or None."""
    root = root_of(path)
    return next((fmt for fmt in FORMATS if fmt.matches_folder and fmt.matches_folder(root)), None)


def find_file_format(path: Path, expected: str) -> Format:
    """Return a file's format by its content; raise InputError, with `expected` at the end, if it has none."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {files.unsuitable(path)}; {expected}")
    compressed = files.is_compressed(path)
    try:
        with files.open_expanded(path) as file:
            head = file.read(files.HEAD)
    except files.DAMAGED:
        if not compressed:
            raise
        head = b""  # its reader reports the damage
    if not head and not compressed:
        raise InputError(f"{path}: empty; {expected}")
    if head and (kind := foreign.describe_head(head)):
        raise InputError(f"{path}: {kind}")
    matching = [fmt for fmt in FORMATS if fmt.matches_file and fmt.matches_file(head)]
    if not matching:
        raise InputError(f"{path}: unknown content; {expected}")
    return matching[0] if matching[0].may_be_compressed or not compressed else ARCHIVE


def find_shard_format(path: Path) -> Format:
    """Return a shard's format; raise InputError for a file that can't be a shard."""
    expected = f"expected {shard_help()}"
    file_format = find_file_format(path, expected)
    if not file_format.shard_suffixes:
        raise InputError(f"{path}: {file_format.name}; {expected}")
    return file_format


def describe_folder(folder: Path) -> str:
    """Return what a folder without a format holds, and what is needed instead, for error messages."""
    expected = f"expected a folder of {_folders()}, or shards"
    return parts.picture_fault(folder) or f"no known format; {expected}"


def _built_in_names() -> str:
    return ", ".join(fmt.name for fmt in FORMATS if fmt.built_in)


def _labelled_files() -> str:
    return _either([fmt.file for fmt in FORMATS if fmt.file and fmt.has_labels])


def _folders() -> str:
    return _either([fmt.folder for fmt in FORMATS if fmt.folder])


def _source_cell(fmt: Format) -> str:
    if fmt.built_in:
        return f"`{fmt.name}`"
    return f"a folder of {fmt.folder}" if fmt.folder else f"`{fmt.file}`".replace(", ", "`, `")


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
