"""The conditions of the alarms: each function returns why to raise one, or "".

`deployment/automations.yaml` has the alarm that no run can raise: that there was none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from schemas.counts import count
from schemas.watch import WatchRules
from tasks.watching.status import StoreStatus

DRIFTING_BATCHES = 3


def champion_age(status: StoreStatus, rules: WatchRules, now: datetime) -> str:
    """Check the time since the champion was trained."""
    if status.made is None:
        return ""
    days = (now - status.made).total_seconds() / 86_400
    if days <= rules.max_champion_days:
        return ""
    return (
        f"the champion, version {status.champion}, is {days:.0f} days old; the threshold is {rules.max_champion_days:g}"
    )


def free_disk(status: StoreStatus, rules: WatchRules) -> str:
    """Check the space on the store's disk."""
    if status.free_mib is None or status.free_mib >= rules.min_free_mib:
        return ""
    return f"{status.free_mib:,} MiB are free on the store's disk; the threshold is {rules.min_free_mib:,} MiB"


def inbox(n_accepted: int, n_rejected: int) -> str:
    """Check the files of the inbox that one run has accepted and rejected."""
    return (
        f"all new files of the inbox were rejected: {count(n_rejected, 'file')}" if n_rejected > n_accepted == 0 else ""
    )


def drift(drifted: Sequence[bool]) -> str:
    """Check the predictions on a source, the newest first."""
    newest = drifted[:DRIFTING_BATCHES]
    if len(newest) < DRIFTING_BATCHES or not all(newest):
        return ""
    return f"the last {DRIFTING_BATCHES} predictions on this source have drifted from the training images"
