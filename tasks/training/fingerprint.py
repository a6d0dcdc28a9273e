"""The fingerprint of a training: same fingerprint and kind of machine, same weights, bit for bit."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.training.block_sampler import block_rows

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from schemas.results import Dataset

ROOT = Path(__file__).parents[2]
CODE = ("schemas/digits.py", "schemas/images.py", "schemas/pixel_frame.py", "tasks/training")
LOCK = ROOT / "requirements.txt"
LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn")


def fingerprint(dataset: Dataset, recipe: Recipe, workers: int = 1) -> str:
    """Digest what decides the weights: data, recipe, blocks, the code that trains, locked and installed libraries.

    And how many workers share a batch: their sums are rounded otherwise.
    """
    parts = {
        "data": dataset.fingerprint,
        "block rows": block_rows(dataset, recipe),
        "workers": workers,
        "recipe": recipe.model_dump(mode="json"),
        "code": {str(path.relative_to(ROOT)): _digest(path) for path in _code()},
        "lock": _digest(LOCK) if LOCK.exists() else None,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _code() -> list[Path]:
    places = [ROOT / place for place in CODE]
    return sorted(file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place]))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
