"""Read the inbox: the accepted files, and those that wait; `validate` checks them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from schemas.errors import InputError
from schemas.results import InboxFile, RawDataset
from schemas.rules import Rules
from schemas.shards import ShardManifest
from schemas.text import printable
from tasks.inbox.folder import Inbox, digest_file
from tasks.orchestration.retries import RETRIED, is_transient
from tasks.orchestration.stopwatch import timed


@task(task_run_name="read {inbox}", **RETRIED)
@timed
def read_inbox(raw: RawDataset, inbox: Path, rules: Rules) -> RawDataset:
    """Return the source with the accepted and the waiting files of the inbox, read but not checked.

    Raises InputError if the source is sharded, so that no files can be added, and the inbox isn't empty.
    """
    from schemas.pixel_frame import labelled_column_fault

    folder = Inbox(inbox)
    for part in raw.parts.values():
        if isinstance(part, ShardManifest):
            folder.check_unused(raw.name)
            return raw
        if labelled_column_fault(part) or not len(part):
            return raw  # validation will reject the source; the inbox stays unchanged
    with folder.locked(get_run_logger().warning):
        files = [_read(path, rules, is_accepted=True) for path in folder.accepted()]
        stable, changing = folder.waiting()
        files += [_read(path, rules, is_accepted=False) for path in stable]
    for path in changing:
        get_run_logger().warning("%s: changed just now; left for the next run", printable(path))
    return dataclasses.replace(raw, inbox=inbox, inbox_files=tuple(files))


def _read(path: Path, rules: Rules, *, is_accepted: bool) -> InboxFile:
    """Read a file. Permanent read errors are stored in `fault`; transient ones are raised."""
    from tasks.inbox.merger import read_file

    digest = ""
    try:
        if not is_accepted:
            digest = digest_file(path)
        return InboxFile(path, is_accepted, digest, frame=read_file(path, rules))
    except InputError as error:
        if is_transient(error):
            raise
        return InboxFile(path, is_accepted, digest, fault=str(error))
