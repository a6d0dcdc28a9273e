"""The names of a store's folders, and its `store.json`: the number of the layout, and the store's id."""

from __future__ import annotations

import json

from artifacts.store.records import LayoutFile, parse
from artifacts.store.storage import Storage
from schemas.errors import StoreError

HISTORY, VERSIONS, CLAIMS, WORK = "history", "versions", "claims", "work"
QUARANTINE, AUDITS, REVIEW, EXPORTS, INPUTS = "quarantine", "audits", "review", "exports", "inputs"
LAYOUT_FILE, LAYOUT = "store.json", 2
OLD_CHAMPION, OLD_HISTORY = "champion", "history.jsonl"
"""Files of a store of layout 1, which has no `store.json`; `migrate` converts it."""


def read_id(root: Storage) -> str | None:
    """Return the id in a store's `store.json`, "" in one of an earlier release, None if there is no such file.

    Raises StoreError for a store of another layout.
    """
    try:
        layout = parse(LayoutFile, root.read(LAYOUT_FILE))
    except FileNotFoundError:
        names = {*root.names()}
        if {OLD_CHAMPION, OLD_HISTORY} & names or (VERSIONS in names and not {CLAIMS, HISTORY} & names):
            remedy = f"migrate it with `python -m artifacts.store.migrate {root}`"
            raise StoreError(f"{root}: its layout is 1, not {LAYOUT}; {remedy}") from None
        return None
    except ValueError as error:
        remedy = "restore it, or remove it, and the next training writes it again"
        raise StoreError(f"{root.child(LAYOUT_FILE)}: can't be read ({error}); {remedy}") from error
    if layout["layout"] != LAYOUT:
        raise StoreError(f"{root}: its layout is {layout['layout']}, this release reads {LAYOUT}")
    return str(layout.get("id", ""))


def create(root: Storage, store_id: str) -> None:
    """Create `store.json`, unless it exists."""
    root.create(LAYOUT_FILE, f"{json.dumps({'layout': LAYOUT, 'id': store_id})}\n".encode())
