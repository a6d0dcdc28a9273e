"""Write and read files of a version: its reference profile, the digests of its training rows, its corrections."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import StoreError
from schemas.profile import Profile
from schemas.review import Correction

PROFILE, TRAINING_ROWS, CORRECTIONS = "reference.npz", "training_rows.npy", "corrections.parquet"
KEYS = {field.name: field.name for field in dataclasses.fields(Profile)} | {"outlier_threshold": "furthest"}
"""Each field's key in a profile's file; `furthest` was its name before 0.1.0, and keeps those files readable."""
del KEYS["percentiles"]
PERCENTILES = "percentiles of "
"""The beginning of the keys of percentiles, before the measure's name."""


def write_profile(path: Path, profile: Profile) -> None:
    """Write a reference profile as an `.npz` file; its name becomes an array of UTF-8 bytes."""
    arrays = {key: getattr(profile, name) for name, key in KEYS.items()}
    arrays["name"] = np.frombuffer(profile.name.encode(), np.uint8)
    percentiles = {f"{PERCENTILES}{measure}": values for measure, values in profile.percentiles.items()}
    np.savez_compressed(path, allow_pickle=False, **arrays, **percentiles)


def read_profile(path: Path) -> Profile:
    """Read a reference profile; raise StoreError if another release of this project wrote it with other fields."""
    with np.load(path, allow_pickle=False) as archive:
        keys = {key for key in archive.files if not key.startswith(PERCENTILES)}
        if keys != set(KEYS.values()):
            raise StoreError(f"{path}: made by another release, its fields are {', '.join(sorted(archive.files))}")
        fields = {name: archive[key] for name, key in KEYS.items()}
        percentiles = {key.removeprefix(PERCENTILES): archive[key] for key in archive.files if key not in keys}
    numbers = {name: float(array) for name, array in fields.items() if not array.ndim}
    name = fields["name"].tobytes().decode()
    return Profile(**fields | numbers | {"name": name, "percentiles": percentiles})


def write_training_rows(folder: Path, digests: NDArray[np.uint64]) -> None:
    """Write the digests of the training images, 8 bytes each."""
    np.save(folder / TRAINING_ROWS, digests, allow_pickle=False)


def read_training_rows(folder: Path) -> NDArray[np.uint64]:
    """Read the digests; none if an earlier release made the version."""
    path = folder / TRAINING_ROWS
    return np.load(path, allow_pickle=False) if path.exists() else np.empty(0, np.uint64)


def write_corrections(folder: Path, corrections: Sequence[Correction]) -> None:
    """Write the corrections of the data, if there are any."""
    if corrections:
        pq.write_table(pa.Table.from_pylist([dataclasses.asdict(one) for one in corrections]), folder / CORRECTIONS)


def read_corrections(folder: Path) -> tuple[Correction, ...]:
    """Read the corrections of the data."""
    path = folder / CORRECTIONS
    return tuple(Correction(**row) for row in pq.read_table(path).to_pylist()) if path.exists() else ()
