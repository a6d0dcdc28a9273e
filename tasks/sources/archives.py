"""Unpack zip and tar archives, and compressed files, to a temporary folder, from which they are read."""

from __future__ import annotations

import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from schemas.errors import InputError, first_line
from tasks.sources import foreign
from tasks.sources.files import EMPTY_ZIP, PIECE_BYTES, ZIP, check_expanded, is_hidden, open_expanded, open_regular
from tasks.sources.parts import is_ignored, root_of

PREFIX = "unpacked-"
"""Prefix of temporary folders."""
MIN_FREE_BYTES = 256 << 20
"""Bytes that stay free on the disk of temporary folders."""
_FOLDERS: set[Path] = set()
"""Folders with the content of archives that are being read; archives in them aren't unpacked."""


@contextmanager
def unpacked(path: Path, max_mib: int) -> Iterator[Path]:
    """Unpack an archive; yield the path of its only file, or of a folder with all of them."""
    if _FOLDERS & set(path.parents):
        raise InputError(f"{path}: an archive within an archive; unpack it")
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        _FOLDERS.add(folder)
        try:
            _unpack(path, folder, max_mib)
            yield _content(path, folder)
        except InputError as error:  # readers name the unpacked file
            raise InputError(str(error).replace(name, str(path))) from error
        finally:
            _FOLDERS.remove(folder)


def _unpack(path: Path, folder: Path, max_mib: int) -> None:
    n_bytes = 0
    try:
        for name, file in _members(path):
            target = folder / _safe_name(path, name)
            if any(map(is_hidden, target.relative_to(folder).parts)):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with file, target.open("xb") as copy:
                while piece := file.read(PIECE_BYTES):
                    n_bytes += len(piece)
                    check_expanded(path, n_bytes, max_mib)
                    _check_free(path, folder)
                    copy.write(piece)
    except InputError:
        raise
    except Exception as error:  # damaged content makes zipfile, tarfile and the decompressors raise many kinds
        raise InputError(f"{path}: not a readable archive ({first_line(error)})") from error


def _check_free(path: Path, folder: Path) -> None:
    """Raise InputError before a disk is full, which may be that of others, too."""
    if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        raise InputError(f"{path}: too large to be unpacked in {folder.parent}; unpack it where there is room")


def _content(path: Path, folder: Path) -> Path:
    root = root_of(folder)
    files = [entry for entry in root.iterdir() if not is_ignored(entry)]
    if not files:
        raise InputError(f"{path}: an archive without data; an archive of a source is needed")
    return files[0] if len(files) == 1 and files[0].is_file() else root


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and content of each file; raise InputError for anything but files and folders."""
    with open_regular(path) as file:
        is_zip = file.read(len(ZIP)) in (ZIP, EMPTY_ZIP)
    if is_zip:
        yield from _zip_members(path)
    elif tarfile.is_tarfile(path):
        yield from _tar_members(path)
    else:
        with open_expanded(path) as file:
            yield path.stem or path.name, file


def _zip_members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    check_kind(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{path}: {member.filename} is a link; files are needed")
            if member.flag_bits & 1:
                raise InputError(f"{path}: {member.filename} is encrypted; unpack it")
            yield member.filename, archive.open(member)


def _tar_members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isfile() or not (file := archive.extractfile(member)):
                raise InputError(f"{path}: {member.name} is a link or a device; files are needed")
            yield member.name, file


def check_kind(path: Path) -> None:
    """Raise InputError for a zip archive that is known to be something else, such as an Excel file."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:  # reading reports damage
        if kind := foreign.describe_members(archive.namelist()):
            raise InputError(f"{path}: {kind}")


def _safe_name(path: Path, name: str) -> PurePosixPath:
    """Return a member's name; raise InputError for one that leads out of the folder."""
    safe = PurePosixPath(name.replace("\\", "/"))
    if safe.is_absolute() or ".." in safe.parts or ":" in safe.parts[0]:
        raise InputError(f"{path}: {name} leads out of the archive; unpack it with care")
    return safe
