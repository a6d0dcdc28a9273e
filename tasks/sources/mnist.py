"""The embedded MNIST, `data/mnist.npz`: 60,000 digits to train on and 10,000 to test with."""

import hashlib
from pathlib import Path

from schemas.errors import InputError

PATH = Path(__file__).parents[2] / "data" / "mnist.npz"
SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
RESTORE = "git checkout -- data/mnist.npz"


def check() -> None:
    """Raise InputError if the file is missing or has another SHA-256."""
    if not PATH.is_file():
        raise InputError(f"{PATH}: no such file; it belongs to the project, restore it: {RESTORE}")
    with PATH.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise InputError(
            f"{PATH}: damaged, expected the SHA-256 {SHA256[:12]}…, got {digest[:12]}…; restore it: {RESTORE}"
        )
