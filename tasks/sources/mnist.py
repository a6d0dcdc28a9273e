"""The embedded MNIST, `data/mnist.npz`: 60,000 digits to train on and 10,000 to test with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from schemas.rules import InputRules, Rules
    from tasks.sources.frames import Frames

PATH = Path(__file__).parents[2] / "data" / "mnist.npz"
SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"


def check() -> None:
    """Raise InputError unless the file is there, byte for byte."""
    if not PATH.is_file():
        raise InputError(f"{PATH}: no such file; it belongs to the project: git checkout -- data/mnist.npz")
    with PATH.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise InputError(
            f"{PATH}: damaged, its SHA-256 is {found[:12]}… in place of {SHA256[:12]}…; "
            "restore it: git checkout -- data/mnist.npz"
        )


def read(_source: Path, rules: Rules) -> Frames:
    """Give the training and the test frame of the file, checked."""
    from tasks.sources import npz

    check()
    return npz.read(PATH, rules)


def batches(_source: Path, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give the test digits of the file, checked, so many at a time."""
    from tasks.sources import npz

    check()
    return npz.batches(PATH, rules, rows)
