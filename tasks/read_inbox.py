"""Read the inbox: the accepted files, and those that wait; `validate` checks them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import InputError
from schemas.results import InboxFile, RawDataset
from schemas.rules import Rules
from schemas.shards import ShardManifest
from schemas.text import printable
from tasks.inbox.folder import Inbox
from tasks.inbox.reader import Reader
from tasks.orchestration.retries import RETRIED, is_transient
from tasks.orchestration.stopwatch import timed


@task(task_run_name="read {inbox}", **RETRIED)
@timed
def read_inbox(raw: RawDataset, inbox: Path, rules: Rules, store: Store, *, only_accepted: bool = False) -> RawDataset:
    """Return the source with the accepted and, by default, the waiting files of the inbox, read but not checked.

    Images that corrections name are taken from the store's review queue. Raises InputError if the source is sharded, so
    that no files can be added, and the inbox isn't empty.
    """
    from artifacts.store import review
    from schemas.pixel_frame import labelled_column_fault

    folder = Inbox(inbox)
    for part in raw.parts.values():
        if isinstance(part, ShardManifest):
            folder.check_unused(raw.name)
            return raw
        if labelled_column_fault(part) or not len(part):
            return raw  # validation will reject the source; the inbox stays unchanged
    with folder.locked(get_run_logger().warning), Reader(rules) as reader:
        files = [_read(reader, path, is_accepted=True) for path in folder.accepted()]
        stable, changing = ([], []) if only_accepted else folder.waiting()
        files += [_read(reader, path, is_accepted=False) for path in stable]
    for path in changing:
        get_run_logger().warning("%s: changed just now; left for the next run", printable(path))
    return dataclasses.replace(raw, inbox=inbox, inbox_files=review.complete(store, files))


def _read(reader: Reader, path: Path, *, is_accepted: bool) -> InboxFile:
    """Read a file; raise its fault if the error behind it is transient."""
    file, error = reader.read(path, is_accepted=is_accepted)
    if is_transient(error):
        raise InputError(file.fault) from error
    return file
