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
RESTORE = "git checkout -- data/mnist.npz"


def check() -> None:
    """Raise InputError unless the file is there, byte for byte."""
    if not PATH.is_file():
        raise InputError(f"{PATH}: no such file; it belongs to the project, restore it: {RESTORE}")
    with PATH.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise InputError(
            f"{PATH}: damaged, expected the SHA-256 {SHA256[:12]}…, got {found[:12]}…; restore it: {RESTORE}"
        )


# This module is imported to check the file; npz brings in pandas.
def read(_source: Path, rules: Rules) -> Frames:
    """Read the training and the test part."""
    from tasks.sources import npz

    check()
    return npz.read(PATH, rules)


def batches(_source: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the test part."""
    from tasks.sources import npz

    check()
    return npz.batches(PATH, rules, n_rows)
