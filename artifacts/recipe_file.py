"""Recipes as TOML files: read one by a preset's name or a file's path."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import FlagError, InputError
from schemas.recipe import PRESETS, Preset, parse_preset

SUFFIX = ".toml"


def read(recipe: str) -> Preset:
    """Return a preset by its name, or the contents of a recipe file by its path.

    Raises FlagError for neither, and InputError for a file that can't be read.
    """
    if recipe in PRESETS:
        return PRESETS[recipe]
    if not recipe.endswith(SUFFIX):
        raise FlagError(f"--recipe {recipe}: expected {', '.join(PRESETS)}, or the path of a recipe file, …{SUFFIX}")
    try:
        return parse_preset(_text(Path(recipe)))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--recipe {recipe}: can't be read as UTF-8 text ({error})") from error
    except InputError as error:
        raise InputError(f"--recipe {recipe}: {error}") from error


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would block
        raise InputError("no such file")
    return path.read_text("utf-8")
