"""What alarms and metrics need to know about a store."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from datetime import datetime

from artifacts.store.store import Store
from artifacts.uri import local_path
from schemas.errors import StoreError


@dataclass(frozen=True)
class StoreStatus:
    """A store's champion, when it was trained, and the space on the store's disk; None where there is none."""

    champion: int | None = None
    made: datetime | None = None
    accuracy: float | None = None
    free_mib: int | None = None


def read(store: Store) -> StoreStatus:
    """Return a store's status; a champion whose card is damaged is left out."""
    path = local_path(store.uri)
    free_mib = shutil.disk_usage(path).free >> 20 if path else None
    champion = store.champion()
    with contextlib.suppress(StoreError):  # `open_store` has logged it
        if champion is not None:
            card = store.card(champion)
            return StoreStatus(champion, datetime.fromisoformat(card["made"]), card["figures"]["accuracy"], free_mib)
    return StoreStatus(free_mib=free_mib)
