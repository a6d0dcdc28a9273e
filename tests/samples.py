"""What tests are made of: the project's folder, an environment, digits that are learned within seconds."""

import dataclasses
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).parents[1]
VERSION_FILES = {"model.keras", "metrics.json", "card.json"}
"""What `fill_version` writes."""


def draw_digits(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images that are learned within seconds: class k is a bright bar at its own height, with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.uint8) % 10
    pixels = random.integers(0, 60, (rows, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 4 + 2 * label : 6 + 2 * label, 4:24] += 150
    return pixels, labels


def write_shards(folder: Path, rows: int, count: int) -> Path:
    """Write drawn digits as so many Parquet shards into a new folder; give it."""
    import pandas as pd

    folder.mkdir()
    pixels, labels = draw_digits(rows, seed=4)
    names = ["label", *(f"pixel{number}" for number in range(784))]
    table = pd.DataFrame(np.column_stack([labels, pixels.reshape(rows, -1)]), columns=names)
    for number, piece in enumerate(np.array_split(np.arange(rows), count)):
        table.iloc[piece].to_parquet(folder / f"{number:02}.parquet", index=False)
    return folder


def on_disk(dataset: object, folder: Path, count: int, memory: int):
    """Give a dataset whose training images are in so many files, and to be trained on with so many MiB of memory."""
    from tasks.sharding.images import ShardedImages

    files = []
    for number, rows in enumerate(np.array_split(np.arange(len(dataset.train)), count)):
        np.save(folder / f"{number}.npy", dataset.train.read(rows))
        files.append(pixel_file(folder / f"{number}.npy", len(rows)))
    train = ShardedImages(files, dataset.train.labels, np.arange(len(dataset.train)))
    return dataclasses.replace(dataset, train=train, memory=memory)


def pixel_file(path: Path, rows: int):
    """Give a file of so many rows at a path, as staged images have them."""
    from artifacts.store.storage import FolderStorage
    from tasks.sharding.images import PixelFile
    from tasks.sharding.shard_cache import CachedFile

    return PixelFile(CachedFile(FolderStorage(path.parent.parent), path.parent.name, path.name), rows)


def fill_version(number: int, folder: Path, fingerprint: str = "f", **decision: object) -> dict:
    """Write the least that a version consists of; return its card."""
    from artifacts.files import sums

    (folder / "model.keras").write_bytes(b"weights")
    (folder / "metrics.json").write_text("{}")
    return {
        "version": number,
        "made": "2026-01-01T00:00:00+00:00",
        "fingerprint": fingerprint,
        "figures": {"accuracy": 0.99, "interval": [0.98, 0.995], "errors": 100},
        "run": "test",
        "decision": {"fixed": None, "made": None, "accuracy": 0.99, "reason": "said so", "promoted": False, **decision},
        "recipe": {"network": "mlp", "epochs": 14},
        "files": sums(folder),
    }


def publish(store, fingerprint: str = "f", *, keep: int = 1000, promoted: bool = False) -> int:
    """Publish the least that a version consists of, whatever happens meanwhile; return its number."""
    while True:
        state = store.state()
        with store.new_version() as (number, folder):
            decision = {"after_event": state.event, "champion": state.champion, "promoted": promoted}
            card = fill_version(number, folder, fingerprint, **decision)
            if store.publish(number, folder, card, keep):
                return number


def promote(store, version: int) -> None:
    """Make a version the champion."""
    store.promote(version, replaced=store.champion(), run="test", reason="better")


def accepted(source: object):
    """Read a source by the default rules; give its dataset, which has to pass."""
    from schemas.rules import DEFAULT_RULES
    from tasks.sources import formats
    from tasks.validation import inspection, profiles

    loaded = formats.load(str(source), None, DEFAULT_RULES)
    validation, dataset = inspection.inspect(loaded, DEFAULT_RULES, profiles.embedded())
    assert dataset is not None, validation.errors
    return dataset


def fingerprint_of(train: object, test: object) -> str:
    """Give the fingerprint of two pixel frames."""
    from tasks.validation import check_rows, inspection

    return inspection.fingerprint(*(_labelled_digests(check_rows.check_frame(frame, ())) for frame in (train, test)))


def _labelled_digests(part: object) -> SimpleNamespace:
    return SimpleNamespace(labels=part.images.labels, digests=part.digests)


def clean_environment(prefect_home: Path) -> dict[str, str]:
    """Give the environment without what would reach a test from outside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TF_", "KERAS_"))}
    return ours | {"PREFECT_HOME": str(prefect_home), "COLUMNS": "120"}


def awaited_events(name: str, resource: str) -> list[dict]:
    """Give the events of a name and a resource, the newest first, once the Prefect server of the tests has some."""
    from prefect.client.orchestration import get_client

    wanted = {"event": {"name": [name]}, "resource": {"id": [resource]}}
    deadline = time.monotonic() + 30
    with get_client(sync_client=True) as client:
        while True:
            found = client.request("POST", "/events/filter", json={"filter": wanted}).json()["events"]
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.3)


def newest_artifact(key: str):
    """Give the newest artifact of a key from the Prefect server of the tests."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC, limit=1)
    return found[0]
