"""The location of predictions: a CSV or Parquet file, and a folder with a copy of each run's; imports nothing slow."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from artifacts.files import new_file
from artifacts.store.folder_storage import FolderStorage
from artifacts.uri import check_local
from schemas.errors import FlagError, InputError
from schemas.prediction import OutputFormat

SUFFIXES = (".csv", ".parquet")


def check(path: Path, output_format: OutputFormat = "predictions") -> None:
    """Raise InputError unless predictions can be written to a path."""
    check_local(path, "--output")
    if output_format == "kaggle" and path.suffix != ".csv":
        raise FlagError(f"--output {path}: must end with .csv, as --format is kaggle")
    if path.suffix not in SUFFIXES:
        raise FlagError(f"--output {path}: must end with {' or '.join(SUFFIXES)}")
    try:
        if path.is_dir():
            raise InputError(f"--output {path}: is a folder; choose a file")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            return
    except OSError as error:
        raise unwritable(path, error) from error


def check_archive(folder: Path) -> None:
    """Raise InputError unless copies can be kept in a folder, which may not exist yet."""
    check_local(folder, "--archive")
    FolderStorage(folder).check_writable()


def keep_copy(output: Path, folder: Path, run: str) -> Path:
    """Copy a predictions file into a folder, under a name with the time (UTC) and the run; return the copy's path."""
    name = "-".join([output.stem, f"{datetime.now(tz=UTC):%Y%m%dT%H%M%SZ}", *([run] if run else [])])
    copy = folder / f"{name}{output.suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with new_file(copy) as temporary:
            shutil.copyfile(output, temporary)
    except OSError as error:
        raise InputError(f"--archive {folder}: can't be written ({error.strerror or error})") from error
    return copy


def unwritable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that the operating system doesn't let us write."""
    return InputError(f"--output {path}: can't be written ({error.strerror or error})")
