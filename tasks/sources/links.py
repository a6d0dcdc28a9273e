"""Follow no link out of the folder that a person named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def check_inside(path: Path, root: Path) -> None:
    """Raise InputError for a link that leads out of a folder."""
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path}: a link that leads out of {root}")
