"""Check the folder for the queue's first images, before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from artifacts.uri import check_local
from schemas.errors import InputError


def check(folder: Path) -> None:
    """Raise InputError unless a folder can be created at a path."""
    check_local(folder, "--output")
    if folder.exists():
        raise InputError(f"--output {folder}: exists; move it into the inbox or away, or choose another folder")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"--output {folder}: {folder.absolute().parent} isn't a folder; create it first")
