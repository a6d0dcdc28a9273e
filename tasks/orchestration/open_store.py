"""Open the store of a flow run, and log what it ignores."""

from __future__ import annotations

from prefect.logging import get_run_logger

from artifacts.store.store import Store


def open_store(uri: str) -> Store:
    """Return a store; log damaged files, and versions of other stores, none of which are used."""
    store = Store(uri)
    for line in store.ignored():
        get_run_logger().warning(line)
    return store
