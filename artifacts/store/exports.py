"""The exports of versions, such as `exports/7/onnx/`, each with an `export.json` that says how it was checked.

A version's own folder never changes, and an export may be made long after it. `export.json` names the weights that the
export was made from, and the SHA-256 of each file. It is written last: a folder without it isn't an export.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from artifacts.files import differences, temporary_folder, tree_checksums
from artifacts.store.storage import Storage
from schemas.errors import StoreError

RECORD = "export.json"


class Exports:
    """The exports of all versions of a store, in `exports/`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def uri(self, version: int, name: str) -> str:
        return str(self._of(version).child(name))

    def names(self, version: int) -> list[str]:
        """Return the formats in which a version is exported."""
        return sorted({path.split("/")[0] for path in self._of(version).sizes() if path.endswith(f"/{RECORD}")})

    def add(self, version: int, name: str, source: Path, record: dict[str, Any]) -> dict[str, Any]:
        """Add or replace an export, a copy of a folder; return its record, with the SHA-256 of each file."""
        exports = self._of(version)
        with temporary_folder(exports.scratch()) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)
            record |= {"files": tree_checksums(folder)}
            exports.child(name).remove(RECORD)
            exports.remove_folder(name)
            try:
                exports.add_folder(folder, name)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise StoreError(f"{self.uri(version, name)}: another run exports it; wait for that") from error
        exports.child(name).write(RECORD, f"{json.dumps(record, indent=2)}\n".encode())
        return record

    def faults(self, version: int, card: dict[str, Any]) -> list[str]:
        """Return the differences between a version's exports, their records and its card; hashes all files."""
        return [
            f"export {name}: {fault}; export it again"
            for name in self.names(version)
            for fault in self._differences(version, name, card)
        ]

    def _differences(self, version: int, name: str, card: dict[str, Any]) -> list[str]:
        folder = self._of(version).local_dir(name, fresh=True)
        digests = tree_checksums(folder)
        digests.pop(RECORD)
        try:
            record = json.loads((folder / RECORD).read_bytes())
            files, weights = record["files"], record["weights_digest"]
        except (ValueError, KeyError, TypeError) as error:
            return [f"{RECORD} can't be read ({error!r})"]
        faults = [] if weights == card["weights_digest"] else ["was made from other weights"]
        return faults + differences(digests, files, f"in {RECORD}")

    def remove(self, version: int) -> None:
        """Remove all exports of a version."""
        self._storage.remove_folder(str(version))

    def tidy(self, versions: Callable[[], Collection[int]], idle_seconds: float) -> None:
        """Remove what killed processes left behind, and exports of versions that were removed meanwhile."""
        exported = [int(name) for name in self._storage.names() if name.isdecimal()]
        existing = versions()  # listed later: each of these exports was made of a version
        for version in exported:
            if version in existing:
                self._of(version).tidy(idle_seconds)
            else:
                self.remove(version)

    def _of(self, version: int) -> Storage:
        return self._storage.child(str(version))
