"""Checkpoints of a training: `epoch-00012-00003-<SHA-256>.npz` is the state after 12 epochs and 3 blocks of the next.

A checkpoint is written atomically, and the hash in its name shows whether it is intact. Equal trainings that run at the
same time share a folder: they compute the same states, so that each may resume from any of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StorageError, UnavailableError
from schemas.training import EpochRecord

if TYPE_CHECKING:  # the fingerprint would cover it
    from artifacts.store.storage import Storage

N_KEPT = 2  # the newest, and a fallback
PREFIX, SUFFIX = "epoch-", ".npz"


class EpochProgress(NamedTuple):
    """Sums over the blocks of the current epoch so far."""

    n_blocks: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0


class TrainingState(NamedTuple):
    """Everything needed to resume a training: all variables, the best epoch's weights, and the history so far."""

    variables: Sequence[NDArray[np.generic]]
    best: Sequence[NDArray[np.generic]]
    history: Sequence[EpochRecord]
    progress: EpochProgress


def save(checkpoints: Storage, state: TrainingState) -> None:
    """Write the state as the newest checkpoint and remove all but the two newest."""
    progress = {"history": [dataclasses.asdict(record) for record in state.history], "progress": state.progress}
    arrays = {f"variable{number}": value for number, value in enumerate(state.variables)}
    arrays |= {f"best{number}": value for number, value in enumerate(state.best)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, done=np.frombuffer(json.dumps(progress).encode(), np.uint8), **arrays)
    content = buffer.getvalue()
    position = f"{len(state.history):05}-{state.progress.n_blocks:05}"
    name = f"{PREFIX}{position}-{hashlib.sha256(content).hexdigest()}{SUFFIX}"
    try:
        checkpoints.write(name, content)
    except (FileExistsError, FileNotFoundError):  # meanwhile, an equal training has ended and removed the folder
        checkpoints.write(name, content)
    for old in _newest_first(checkpoints)[N_KEPT:]:
        checkpoints.remove(old)


def load_newest(checkpoints: Storage, log: Callable[[str], None]) -> TrainingState | None:
    """Return the newest intact checkpoint, or None. Damaged ones are logged and removed."""
    for name in _newest_first(checkpoints):
        with contextlib.suppress(FileNotFoundError):  # removed by another process with the same training
            if state := _read(checkpoints, name):
                return state
            log(f"the checkpoint {checkpoints.child(name)} is damaged and was removed")
            checkpoints.remove(name)  # or `save` would keep it as the fallback
    return None


def poll_newest(checkpoints: Storage, seen: str = "") -> tuple[str, TrainingState | None]:
    """Return the name and state of the newest intact checkpoint of a training in another process; remove nothing.

    Returns `seen` and None if no checkpoint is newer than `seen`, or the storage is temporarily unavailable.
    """
    with contextlib.suppress(UnavailableError, StorageError, OSError):
        for name in _newest_first(checkpoints):
            if name <= seen:
                break
            with contextlib.suppress(OSError):  # removed meanwhile; on NFS that may be a stale handle
                if state := _read(checkpoints, name):
                    return name, state
    return seen, None


def _newest_first(checkpoints: Storage) -> list[str]:
    names = (name for name in checkpoints.names() if name.startswith(PREFIX) and name.endswith(SUFFIX))
    return sorted(names, reverse=True)


def _read(checkpoints: Storage, name: str) -> TrainingState | None:
    """Return a checkpoint's state, or None if it is damaged."""
    content = checkpoints.read(name)
    if not name.endswith(f"{hashlib.sha256(content).hexdigest()}{SUFFIX}"):
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        done = json.loads(archive["done"].tobytes())
        # An archive keeps its arrays in the order in which they were saved.
        variables = [archive[key] for key in archive if key.startswith("variable")]
        best = [archive[key] for key in archive if key.startswith("best")]
    history = [EpochRecord(**record) for record in done["history"]]
    return TrainingState(variables, best, history, EpochProgress(*done["progress"]))
