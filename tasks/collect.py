"""Collect: add to what a source has to train on the files that people dropped into an inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from schemas.errors import InputError
from tasks import events
from tasks.sources.inbox import DONE, REJECTED, Inbox
from tasks.stage import may_pass, stage

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.results import Loaded
    from schemas.rules import Rules
    from tasks.validation.additions import Additions

INBOX_KEY = "inbox"


@stage(run_name="collect from {inbox}")
def collect(loaded: Loaded, inbox: Path, rules: Rules) -> Loaded:
    """Give the source with all files that count; those that wait are looked into and moved to done/ or rejected/."""
    from schemas.pixel_frame import labelled_column_fault
    from schemas.shards import Manifest
    from tasks.validation.additions import Additions

    if not isinstance(loaded.train, Manifest) and labelled_column_fault(loaded.train):
        return loaded  # a source that is refused anyway says nothing of files
    folder = Inbox(inbox)
    with folder.opened():
        additions = Additions(loaded, rules)
        for path in folder.accepted():
            additions.add(path)
        settled, changing = folder.waiting()
        told = [_judge(folder, path, additions) for path in settled]
    for path in changing:
        get_run_logger().warning("%s: changed just now; it waits for the next run", path)
    if told:
        create_table_artifact(told, key=INBOX_KEY, description=f"{inbox}: {len(told)} new")
    return additions.loaded()


def _judge(inbox: Inbox, path: Path, additions: Additions) -> dict[str, str | int]:
    """Let a file count if it is fit; tell what became of it."""
    from tasks.validation import profiles

    try:
        inbox.check_new(path)
        additions.judge(path, profiles.embedded())
    except InputError as error:
        if may_pass(error):
            raise
        reason = str(error)
        place = inbox.reject(path, reason)
        get_run_logger().warning("inbox: rejected: %s", reason)
        events.of_refused_data(str(path), reason)
        return {"file": path.name, "rows added": 0, "now": f"{REJECTED}/{place.name}", "reason": reason}
    place = inbox.accept(path)
    count = additions.add(place)
    get_run_logger().info("inbox: %s: added, %s new rows", place.name, f"{count:,}")
    return {"file": path.name, "rows added": count, "now": f"{DONE}/{place.name}", "reason": ""}
