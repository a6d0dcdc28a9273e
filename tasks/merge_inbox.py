"""Collect: add to what a source has to train on the files that people dropped into an inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from schemas.errors import InputError
from tasks.inbox.folder import DONE, REJECTED, Inbox
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED, is_transient
from tasks.orchestration.stopwatch import timed
from tasks.sources.files import printable

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.results import RawDataset
    from schemas.rules import Rules
    from tasks.inbox.merger import InboxMerger

    Told = dict[str, str | int]
    """A line of the table on what became of each file."""

INBOX_KEY = "inbox"


@task(task_run_name="merge {inbox}", **RETRIED)
@timed
def merge_inbox(loaded: RawDataset, inbox: Path, rules: Rules) -> RawDataset:
    """Give the source with all files that count; those that wait are looked into and moved to done/ or rejected/.

    Shards take no files: the inbox has to be empty then.
    """
    from schemas.pixel_frame import labelled_column_fault
    from schemas.shards import ShardManifest
    from tasks.inbox.merger import InboxMerger

    folder = Inbox(inbox)
    for part in loaded.parts.values():
        if isinstance(part, ShardManifest):
            folder.check_unused(loaded.name)
            return loaded
        if labelled_column_fault(part):
            return loaded  # a source that is refused anyway says nothing of files
    with folder.opened():
        additions = InboxMerger(loaded, rules)
        told = [row for path in folder.accepted() if (row := _count_again(path, additions))]
        settled, changing = folder.waiting()
        told += [_judge(folder, path, additions) for path in settled]
    for path in changing:
        get_run_logger().warning("%s: changed just now; it waits for the next run", printable(path))
    if told:
        create_table_artifact(told, key=INBOX_KEY, description=f"{inbox}: {len(told)} to tell of")
    return additions.loaded()


def _count_again(path: Path, additions: InboxMerger) -> Told | None:
    """Let a file of done/ count; tell of one that can't be read any more, and leave it out."""
    try:
        additions.add(path, additions.read(path))
    except InputError as error:
        return _refused(path, f"{DONE}/{printable(path.name)}, left out", error)
    return None


def _judge(inbox: Inbox, path: Path, additions: InboxMerger) -> Told:
    """Let a file count if it is fit; tell what became of it. What is judged and what is added is read but once."""
    from tasks.validation import profiles

    try:
        digest = inbox.digest(path)
        frame = additions.read(path)
        additions.check(path.name, frame, profiles.embedded())
        place = inbox.accept(path, digest)
    except InputError as error:
        return _put_aside(inbox, path, error)
    if place is None:
        reason = f"{path.name}: changed while it was read; it waits for the next run"
        get_run_logger().warning("inbox: %s", reason)
        return _told(path, path.name, reason)
    count = additions.add(place, frame)
    get_run_logger().info("inbox: %s: added, %s new rows", place.name, f"{count:,}")
    return _told(path, f"{DONE}/{place.name}", "", count)


def _put_aside(inbox: Inbox, path: Path, error: InputError) -> Told:
    """Move a file to rejected/; where that can't be done it stays, and holds up nothing."""
    if is_transient(error):
        raise error
    try:
        place = inbox.reject(path, printable(str(error)))
    except InputError as unmoved:
        return _refused(path, printable(path.name), unmoved)
    return _refused(path, f"{REJECTED}/{printable(place.name)}", error)


def _refused(path: Path, now: str, error: InputError) -> Told:
    """Tell of a file that doesn't count, in the log and by an event too, unless the next try may find it right."""
    if is_transient(error):
        raise error
    reason = printable(str(error))
    get_run_logger().warning("inbox: not added: %s", reason)
    events.emit_refused_data(printable(path), reason)
    return _told(path, now, reason)


def _told(path: Path, now: str, reason: str, count: int = 0) -> Told:
    return {"file": printable(path.name), "rows added": count, "now": now, "reason": reason}
