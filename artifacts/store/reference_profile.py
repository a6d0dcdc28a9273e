"""Write and read a reference profile as an `.npz` file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from schemas.errors import StoreError
from schemas.profile import Profile

NAME = "reference.npz"
KEYS = {field.name: field.name for field in dataclasses.fields(Profile)} | {"outlier_threshold": "furthest"}
"""Each field's key in the file; `furthest` was its name before 0.1.0, and keeps those files readable."""
del KEYS["percentiles"]
PERCENTILES = "percentiles of "
"""The beginning of the keys of percentiles, before the measure's name."""


def write(path: Path, profile: Profile) -> None:
    """Write a profile; its name becomes an array of UTF-8 bytes."""
    arrays = {key: getattr(profile, name) for name, key in KEYS.items()}
    arrays["name"] = np.frombuffer(profile.name.encode(), np.uint8)
    percentiles = {f"{PERCENTILES}{measure}": values for measure, values in profile.percentiles.items()}
    np.savez_compressed(path, allow_pickle=False, **arrays, **percentiles)


def read(path: Path) -> Profile:
    """Read a profile; raise StoreError if another release of this project wrote it with other fields."""
    with np.load(path, allow_pickle=False) as archive:
        keys = {key for key in archive.files if not key.startswith(PERCENTILES)}
        if keys != set(KEYS.values()):
            raise StoreError(f"{path}: made by another release, its fields are {', '.join(sorted(archive.files))}")
        fields = {name: archive[key] for name, key in KEYS.items()}
        percentiles = {key.removeprefix(PERCENTILES): archive[key] for key in archive.files if key not in keys}
    numbers = {name: float(array) for name, array in fields.items() if not array.ndim}
    name = fields["name"].tobytes().decode()
    return Profile(**fields | numbers | {"name": name, "percentiles": percentiles})
