"""Accept or reject the inbox's files, for the task `validate`, and report to Prefect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from schemas.counts import count
from schemas.errors import InputError
from schemas.results import InboxFile
from schemas.text import printable
from tasks.inbox.folder import DONE, REJECTED, Inbox, has_changed
from tasks.orchestration import events
from tasks.orchestration.retries import is_transient
from tasks.watching import alarms

if TYPE_CHECKING:
    from tasks.inbox.merger import InboxMerger

FileReport = dict[str, str | int]
"""A row of the table on the inbox's files."""


def accept_or_reject_files(merger: InboxMerger, inbox: Path) -> None:
    """Add the accepted files' rows; check each waiting file and move it to done/ or rejected/; report to Prefect.

    Each file is read only once, so the added rows are those that were checked.
    """
    folder = Inbox(inbox)
    with folder.locked(get_run_logger().warning):
        reports = [
            _add_accepted(merger, file) if file.is_accepted else _accept_or_reject(merger, folder, file)
            for file in merger.files
        ]
    rows = [report for report in reports if report]
    n_rejected = sum(str(row["now"]).startswith(f"{REJECTED}/") for row in rows)
    n_accepted = sum(not row["reason"] for row in rows)
    events.raise_alarm(events.ALARM_INBOX, "data", printable(inbox), alarms.inbox(n_accepted, n_rejected))
    if rows:
        from artifacts.reports import markdown

        description = f"{markdown.inert(inbox)}: {count(len(rows), 'file')} accepted, rejected or left out"
        create_table_artifact(markdown.inert_rows(rows), key="inbox", description=description)


def _add_accepted(merger: InboxMerger, file: InboxFile) -> FileReport | None:
    """Add an accepted file's rows; if it can't be used any more, leave it out and report that."""
    try:
        merger.add(file.path, merger.check_rows(file))
    except InputError as error:
        return _report_refused(file.path, f"{DONE}/{printable(file.path.name)}, left out", error)
    return None


def _accept_or_reject(merger: InboxMerger, inbox: Inbox, file: InboxFile) -> FileReport | None:
    """Accept a waiting file and add its rows, or reject it."""
    accepted = inbox.find_accepted(file.digest)
    try:
        if not os.path.lexists(file.path):  # another run, or an earlier attempt of this one, has moved it
            if accepted is not None:
                merger.add(accepted, merger.check_rows(file))
            return None
        _check_copy(file.path, accepted)
        part = merger.check(file)
        target = inbox.accept(file.path, file.digest)
    except InputError as error:
        return _report_changed(file.path) if _has_changed(file) else _reject(inbox, file.path, error)
    if target is None:
        return _report_changed(file.path)
    n_rows = merger.add(target, part)
    added = count(n_rows, "correction" if file.corrections else "new row")
    get_run_logger().info("inbox: %s: added, %s", target.name, added)
    return _report(file.path, f"{DONE}/{target.name}", "", n_rows)


def _check_copy(path: Path, accepted: Path | None) -> None:
    """Raise InputError if a file's content was accepted before."""
    if accepted is not None:
        raise InputError(f"{path.name}: the same as {DONE}/{accepted.name}, which was already accepted")


def _has_changed(file: InboxFile) -> bool:
    """Return whether a file has changed since it was read, so that faults found in it are no longer valid."""
    try:
        return bool(file.digest) and has_changed(file.path, file.digest)
    except InputError:
        return False


def _reject(inbox: Inbox, path: Path, error: InputError) -> FileReport:
    """Move a file to rejected/ and report it. If the move fails, the file stays and the run continues."""
    if is_transient(error):
        raise error
    try:
        target = inbox.reject(path, str(error))
    except InputError as move_error:
        return _report_refused(path, printable(path.name), move_error)
    return _report_refused(path, f"{REJECTED}/{printable(target.name)}", error)


def _report_refused(path: Path, location: str, error: InputError) -> FileReport:
    """Log and report a file that isn't used, and emit an event; raise the error again if it is transient."""
    if is_transient(error):
        raise error
    reason = str(error)
    get_run_logger().warning("inbox: not added: %s", reason)
    events.emit(events.DATA_REFUSED, "data", printable(path), reason)
    return _report(path, location, reason)


def _report_changed(path: Path) -> FileReport:
    reason = f"{path.name}: changed while it was read; left for the next run"
    get_run_logger().warning("inbox: %s", reason)
    return _report(path, path.name, reason)


def _report(path: Path, location: str, reason: str, n_rows: int = 0) -> FileReport:
    return {"file": printable(path.name), "rows added": n_rows, "now": location, "reason": reason}
