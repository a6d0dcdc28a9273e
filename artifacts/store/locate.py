"""Find the storage that a path or URI names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.store.storage import FolderStorage
from artifacts.uri import check_uri, local_path

if TYPE_CHECKING:
    from pathlib import Path

    from artifacts.store.storage import Storage


def storage_at(uri: str | Path) -> Storage:
    """Return the storage at a path or URI; raise InputError for a protocol that no installed package knows."""
    check_uri(uri, "a store is a folder or is at an address")
    path = local_path(uri)
    if path is not None:
        return FolderStorage(path)
    from artifacts.store.object_storage import ObjectStorage  # noqa: PLC0415, it imports fsspec

    return ObjectStorage.checked(str(uri))
