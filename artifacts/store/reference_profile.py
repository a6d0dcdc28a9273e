"""Keep a reference profile as an `.npz` file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from schemas.errors import StoreError
from schemas.profile import Profile

NAME = "reference.npz"
KEYS = {"outlier_threshold": "furthest"}
"""Fields with another name in the file: files of earlier releases stay readable."""


def write(path: Path, profile: Profile) -> None:
    """Write a profile; the name as the bytes of its UTF-8."""
    fields = {KEYS.get(name, name): getattr(profile, name) for name in _field_names()}
    fields["name"] = np.frombuffer(profile.name.encode(), np.uint8)
    np.savez_compressed(path, allow_pickle=False, **fields)


def read(path: Path) -> Profile:
    """Read a profile; raise StoreError for one with other fields, which an earlier release wrote."""
    with np.load(path, allow_pickle=False) as archive:
        fields = {name: archive[KEYS.get(name, name)] for name in _field_names() if KEYS.get(name, name) in archive}
        if len(fields) != len(archive.files) or set(fields) != set(_field_names()):
            raise StoreError(f"{path}: made by another release, its fields are {', '.join(sorted(archive.files))}")
    numbers = {name: float(array) for name, array in fields.items() if not array.ndim}
    return Profile(**fields | numbers | {"name": fields["name"].tobytes().decode()})


def _field_names() -> list[str]:
    return [field.name for field in dataclasses.fields(Profile)]
