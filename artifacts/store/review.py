"""Write and read a store's review queue, a file for each run that adds to it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from artifacts.store.store import Store
from schemas.errors import InputError, StoreError
from schemas.results import InboxFile
from schemas.review import COLUMNS

SUFFIX = ".parquet"
MAX_FILES = 30
"""Number of files from which on they become one, without the entries that newer ones replace."""
ATTEMPTS = 3


def add(store: Store, entries: pd.DataFrame) -> None:
    """Add entries (`schemas.review.COLUMNS`) to the queue, as a new file."""
    if entries.empty:
        return
    _write_file(store, entries, f"{datetime.now(tz=UTC):%Y%m%dT%H%M%S%f}")
    names = _names(store)
    if len(names) > MAX_FILES:
        with contextlib.suppress(InputError, FileNotFoundError):  # damaged, or another run does this just now
            _write_file(store, _read_files(store, names), names[0].partition("-")[0])
            for name in names:
                store.review.remove(name)


def read(store: Store) -> pd.DataFrame:
    """Read the queue; of several entries for an image and a reason, the newest is taken."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):  # files became one meanwhile
            return _read_files(store, _names(store))
    raise StoreError(f"{store.review}: its files can't be read, or change all the time; run this again")


def _names(store: Store) -> list[str]:
    """Return the names of the queue's files, the newest first."""
    names = (name for name in store.review.names() if name.endswith(SUFFIX) and not name.startswith("."))
    return sorted(names, reverse=True)


def _write_file(store: Store, entries: pd.DataFrame, time: str) -> None:
    content = io.BytesIO()
    entries[[*COLUMNS]].to_parquet(content, index=False)
    store.review.create(f"{time}-{uuid.uuid4().hex[:8]}{SUFFIX}", content.getvalue())


def _read_files(store: Store, names: Sequence[str]) -> pd.DataFrame:
    frames = [_read_file(store, name) for name in names]
    entries = pd.concat(frames or [pd.DataFrame(columns=[*COLUMNS])], ignore_index=True)
    return entries.drop_duplicates(["item", "reason"], ignore_index=True)


def _read_file(store: Store, name: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(store.review.read(name)), columns=[*COLUMNS])
    except (ValueError, pa.ArrowException) as error:
        message = f"{store.review.child(name)}: can't be read; remove it, and the queue is without its entries"
        raise StoreError(message) from error


def complete(store: Store, files: Sequence[InboxFile]) -> tuple[InboxFile, ...]:
    """Return an inbox's files; corrections get the pixels and the part that the queue has for their images."""
    if not any(file.corrections for file in files):
        return tuple(files)
    queue = read(store).sort_values("part", kind="stable")  # as a row of the data, if it was predicted, too
    known: dict[str, Any] = {row["item"]: row for row in queue[["item", "pixels", "part"]].to_dict("records")}

    def complete_file(file: InboxFile) -> InboxFile:
        corrections = tuple(dataclasses.replace(one, **known.get(one.item, {})) for one in file.corrections)
        return dataclasses.replace(file, corrections=corrections)

    return tuple(map(complete_file, files))
