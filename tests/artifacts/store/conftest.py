"""Stores of three versions, in a folder and in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from samples import store_of_three

from artifacts.store import storage
from artifacts.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of_three(tmp_path / "store")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URI of fsspec's own object store, that of this process."""
    monkeypatch.setattr(storage, "RETRY_SECONDS", (0, 0))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield "memory://digits"
    MemoryFileSystem.store.clear()
