"""Keep a reference profile as an `.npz` file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from schemas.errors import StoreError
from schemas.profile import Profile

NAME = "reference.npz"
KEYS = {field.name: field.name for field in dataclasses.fields(Profile)} | {"outlier_threshold": "furthest"}
"""Each field's key in the file; files of earlier releases stay readable."""


def write(path: Path, profile: Profile) -> None:
    """Write a profile; the name as the bytes of its UTF-8."""
    arrays = {key: getattr(profile, name) for name, key in KEYS.items()}
    arrays["name"] = np.frombuffer(profile.name.encode(), np.uint8)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read(path: Path) -> Profile:
    """Read a profile; raise StoreError for one with other fields, which an earlier release wrote."""
    with np.load(path, allow_pickle=False) as archive:
        if set(archive.files) != set(KEYS.values()):
            raise StoreError(f"{path}: made by another release, its fields are {', '.join(sorted(archive.files))}")
        fields = {name: archive[key] for name, key in KEYS.items()}
    numbers = {name: float(array) for name, array in fields.items() if not array.ndim}
    return Profile(**fields | numbers | {"name": fields["name"].tobytes().decode()})
