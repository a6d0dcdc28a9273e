"""Test data and helpers: drawn digits, sources, versions in a store, Prefect's events and artifacts."""

from __future__ import annotations

import dataclasses
import os
import struct
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.recipe import Overrides

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from prefect.client.schemas.objects import Artifact

    from artifacts.store.store import Store
    from schemas.results import Dataset
    from tasks.sharding.images import PixelFile

ROOT = Path(__file__).parents[1]
QUICK = Overrides.model_validate({"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1})
"""A training of a second that learns drawn digits."""
DAMAGED = [
    b"",
    b"null",
    b"5",
    b"[]",
    b"{}",
    b"{",
    b'{"version": 2}',
    b"not JSON",
    b"\xff\xfe{\x00}\x00",
    b"[" * 100_000,
    b"\0" * 500,
]
"""Contents of a file that was damaged or edited by hand."""
VERSION_FILES = {"model.keras", "metrics.json", "card.json"}
"""The files that `fill_version` writes."""


def draw_digits(rows: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images that are learned within seconds, and labels: class k is a bar at its own height, with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.uint8) % 10
    pixels = random.integers(0, 60, (rows, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 4 + 2 * label : 6 + 2 * label, 4:24] += 150
    return pixels, labels


def lying_png(side: int) -> bytes:
    """Return a PNG of about 70 bytes whose header declares side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def write_shards(folder: Path, rows: int, count: int) -> Path:
    """Write drawn digits as `count` Parquet shards into a new folder; return it."""
    import pandas as pd

    folder.mkdir()
    pixels, labels = draw_digits(rows, seed=4)
    names = ["label", *(f"pixel{number}" for number in range(784))]
    table = pd.DataFrame(np.column_stack([labels, pixels.reshape(rows, -1)]), columns=names)
    for number, piece in enumerate(np.array_split(np.arange(rows), count)):
        table.iloc[piece].to_parquet(folder / f"{number:02}.parquet", index=False)
    return folder


def on_disk(dataset: Dataset, folder: Path, count: int, memory: int) -> Dataset:
    """Return the dataset with its training images in `count` files, to be trained on within `memory` MiB."""
    from tasks.sharding.images import ShardedImages

    files = []
    for number, rows in enumerate(np.array_split(np.arange(len(dataset.train)), count)):
        np.save(folder / f"{number}.npy", dataset.train.read(rows))
        files.append(pixel_file(folder / f"{number}.npy", len(rows)))
    train = ShardedImages(files, dataset.train.labels, np.arange(len(dataset.train)))
    return dataclasses.replace(dataset, train=train, memory=memory)


def pixel_file(path: Path, rows: int) -> PixelFile:
    """Return the cached file at a path, of `rows` images."""
    from artifacts.store.folder_storage import FolderStorage
    from tasks.sharding.images import PixelFile

    return PixelFile(FolderStorage(path.parent.parent), path.parent.name, path.name, rows)


def fill_version(number: int, folder: Path, fingerprint: str = "f", **decision: object) -> dict[str, Any]:
    """Write the minimal files of a version; return its card; `decision` overrides fields of the card's decision."""
    from artifacts.files import checksums

    (folder / "model.keras").write_bytes(b"weights")
    (folder / "metrics.json").write_text("{}")
    return {
        "version": number,
        "made": "2026-01-01T00:00:00+00:00",
        "fingerprint": fingerprint,
        "figures": {"accuracy": 0.99, "interval": [0.98, 0.995], "errors": 100},
        "run": "test",
        "decision": {
            "fixed": None,
            "made": None,
            "accuracy": 0.99,
            "reason": "said so",
            "promoted": False,
            "forced": False,
            "is_proven": True,
            "counts": True,
            **decision,
        },
        "recipe": {"network": "mlp", "epochs": 14},
        "data": {"name": "mnist", "rows": {"test": 10_000}},
        "files": checksums(folder),
    }


def publish(
    store: Store, fingerprint: str = "f", *, keep: int = 1000, promoted: bool = False, **decided: object
) -> int:
    """Publish a minimal version, after whatever event is the newest; return its number.

    `decided` overrides fields of the decision.
    """
    while True:
        state = store.state()
        with store.new_version() as (number, folder):
            decision = {"after_event": state.event, "champion": state.champion, "promoted": promoted, **decided}
            card = fill_version(number, folder, fingerprint, **decision)
            if store.publish(number, folder, card, keep):
                return number


def promote(store: Store, version: int) -> None:
    """Make a version the champion."""
    store.promote(version, replaced=store.champion(), run="test", reason="better")


def store_of_three(path: Path | str) -> Store:
    """Return a new store of three versions, the second of them the champion, after the first."""
    from artifacts.store.store import Store

    store = Store(path)
    for _ in range(3):
        publish(store)
    promote(store, 1)
    promote(store, 2)
    return store


def visible_files(store: Store, version: int) -> set[str]:
    """Return the names of a version's files, those that the store itself keeps there left out."""
    return {file.name for file in store.local_dir(version).iterdir() if not file.name.startswith(".")}


def accepted(source: object) -> Dataset:
    """Return the dataset of a source that passes the default rules."""
    from schemas.rules import DEFAULT_RULES
    from tasks.sources import datasets
    from tasks.validation import inspection, profiles

    loaded = datasets.load(str(source), None, DEFAULT_RULES)
    validation, dataset = inspection.inspect(loaded, DEFAULT_RULES, profiles.load_embedded())
    assert dataset is not None, validation.errors
    return dataset


def fingerprint_of(train: pd.DataFrame, test: pd.DataFrame) -> str:
    """Return the fingerprint of a training and a test frame."""
    from tasks.validation import check_rows, inspection

    return inspection.fingerprint(*(check_rows.check_frame(frame, ()).keys for frame in (train, test)))


def clean_environment(prefect_home: Path) -> dict[str, str]:
    """Return the environment without the variables that would change a test."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "TF_", "KERAS_", "MLFLOW_"))
    }
    return ours | {"PREFECT_HOME": str(prefect_home), "COLUMNS": "120"}


def awaited_events(name: str, resource: str) -> list[dict[str, Any]]:
    """Return the events of a name and a resource, newest first, once the tests' Prefect server has some."""
    from prefect.client.orchestration import get_client

    wanted = {"event": {"name": [name]}, "resource": {"id": [resource]}}
    deadline = time.monotonic() + 30
    with get_client(sync_client=True) as client:
        while True:
            response = client.request("POST", "/events/filter", json={"filter": wanted})
            found: list[dict[str, Any]] = response.json()["events"]
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.3)


def newest_artifact(key: str) -> Artifact:
    """Return the newest artifact of a key from the tests' Prefect server."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC, limit=1)
    return found[0]
