"""Keep a reference profile as an `.npz` file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import StoreError
from schemas.profile import Profile

if TYPE_CHECKING:
    from pathlib import Path

NAME = "reference.npz"


def write(path: Path, profile: Profile) -> None:
    """Write a profile; the name as the bytes of its UTF-8."""
    fields = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}
    fields["name"] = np.frombuffer(profile.name.encode(), np.uint8)
    np.savez_compressed(path, allow_pickle=False, **fields)


def read(path: Path) -> Profile:
    """Read a profile; raise StoreError for one with other fields, which an earlier release wrote."""
    with np.load(path, allow_pickle=False) as archive:
        fields = dict(archive)
    if set(fields) != {field.name for field in dataclasses.fields(Profile)}:
        raise StoreError(f"{path}: made by another release, its fields are {', '.join(sorted(fields))}")
    numbers = {name: float(array) for name, array in fields.items() if not array.ndim}
    return Profile(**fields | numbers | {"name": fields["name"].tobytes().decode()})
