"""Recipes as TOML files: read one by a preset's name or a file's path, and write one."""

from __future__ import annotations

import json
from pathlib import Path

from artifacts.files import write_atomically
from schemas.errors import FlagError, InputError
from schemas.recipe import PRESETS, Preset, Recipe, parse_preset

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


def check_output(path: Path) -> None:
    """Raise InputError if a recipe file can't be written there."""
    if path.suffix != SUFFIX:
        raise FlagError(f"--output {path}: must end with {SUFFIX}")
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"--output {path}: can't be written; name a file in a folder that exists")


def write(path: Path, recipe: Recipe, comment: str) -> None:
    """Write all fields of a recipe, after a comment of one line."""
    fields = recipe.model_dump(mode="json").items()
    lines = [
        f"# {comment}",
        *(f"{name} = {json.dumps(value)}" for name, value in fields),
    ]  # scalars are the same in TOML
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would block
        raise InputError("no such file")
    return path.read_text("utf-8")
