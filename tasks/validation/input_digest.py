"""Digest everything that the fingerprint of a training is computed from, without reading rows.

Equal digests mean that files, rules, recipe, code and libraries are the same, so that an unchanged run needs neither
its data nor TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from artifacts.code_digest import ROOT
from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.errors import InputError
from schemas.recipe import Overrides, Preset
from schemas.review import Correction
from schemas.rules import Rules
from tasks.inbox.folder import WALK_ERRORS, Inbox, digest_content, total_bytes
from tasks.sources import datasets
from tasks.training.fingerprint import precision, variables

CODE = ("schemas", "artifacts", "tasks", "flows", "requirements.txt", "data/mnist-reference.npz")
"""Folders and files of this project that decide what a run does; data is validated against the embedded profile."""
MAX_BYTES = 1 << 30
"""Size of a source up to which it is hashed: a run with new data hashes it before reading it, and again after that."""


class Inputs(NamedTuple):
    """The parameters of a training that its fingerprint depends on."""

    source: str
    test_source: str
    inbox: str
    rules: Rules
    preset: Preset
    overrides: Overrides
    compute: Compute

    @property
    def key(self) -> str:
        """A digest of the parameters alone, which names the record of the last run with them."""
        models = (self.rules, self.overrides.applied_to(self.preset), self.overrides, self.compute)
        fields = [model.model_dump(mode="json") for model in models]
        return _digest([self.source, self.test_source, self.inbox, self.preset.min_steps, fields])


class Snapshot(NamedTuple):
    """The inputs of a run, with their digest, None in doubt, and the champion that the data is validated against.

    `queue` is the digest of the names of the review queue's files, from which corrections get their images.
    """

    inputs: Inputs
    digest: str | None
    champion: int | None
    queue: str


def take_snapshot(inputs: Inputs, store: Store) -> Snapshot:
    """Return the state of the inputs now; this reads all of their files."""
    return Snapshot(inputs, digest_inputs(inputs), store.champion(), _digest(sorted(store.review.names())))


def digest_inputs(inputs: Inputs) -> str | None:
    """Digest the parameters, the files that they name, the code, the libraries and the settings.

    Returns None in doubt: for files that aren't on this machine, can't be read, are links or too large, and for files
    of the inbox that aren't accepted yet.
    """
    inbox = Inbox(Path(inputs.inbox)) if inputs.inbox else None
    try:
        sources = [datasets.resolve_path(source) for source in (inputs.source, inputs.test_source) if source]
        # The waiting files first: another run may move one to done/ meanwhile.
        if None in sources or (inbox and any(inbox.waiting())):
            return None
        accepted = inbox.accepted() if inbox else []
        files = {str(path): _digest_path(path) for path in [*sources, *accepted] if path}
        # The times and owners of a correction's files decide whether a newer one replaces it.
        stats = [entry.stat() for path in accepted for entry in sorted([path, *path.rglob("*")])]
    except (*WALK_ERRORS, InputError):
        return None
    if not all(files.values()):
        return None
    stamps = [(each.st_mtime_ns, each.st_uid) for each in stats]
    settings = [sys.version, precision(inputs.overrides.applied_to(inputs.preset)), variables()]
    return _digest([inputs.key, files, stamps, _code(), _packages(), *settings])


def are_all_added(inputs: Inputs, added: Sequence[str], corrections: Sequence[Correction]) -> bool:
    """Check whether the rows and the corrections of all accepted files were added: each run reports the others."""
    n_files = len(added) + len({correction.file for correction in corrections})
    return not inputs.inbox or n_files == len(Inbox(Path(inputs.inbox)).accepted())


def _digest_path(path: Path) -> str | None:
    """Digest a file, or a folder's files; None if it is missing, too large or has links, which may lead out of it."""
    has_links = any(entry.is_symlink() for entry in path.rglob("*"))
    return None if has_links or not 0 < total_bytes(path) <= MAX_BYTES else digest_content(path)


def _code() -> list[str]:
    files = (file for name in CODE for file in [ROOT / name, *sorted((ROOT / name).rglob("*"))] if file.is_file())
    return [
        f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in files
        if file.suffix != ".pyc"
    ]


def _packages() -> list[str]:
    """Return the names and versions of all installed packages; reading their metadata would take much longer."""
    return sorted(path.name for folder in sys.path for path in Path(folder).glob("*.dist-info"))


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
