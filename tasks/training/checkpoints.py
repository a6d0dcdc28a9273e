"""Checkpoints of a training: `epoch-00012-00003-<SHA-256>.npz` is the state after 12 epochs and 3 blocks of the next.

A checkpoint is written in one step, and the hash in its name shows whether it is intact.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.errors import StorageError, UnavailableError
from schemas.training import EpochRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from artifacts.store.storage import Storage

N_KEPT = 2  # the newest, and one to fall back on
PREFIX, SUFFIX = "epoch-", ".npz"


class EpochProgress(NamedTuple):
    """Sums over the blocks of the current epoch so far."""

    n_blocks: int
    loss: float
    correct: int
    seconds: float


EPOCH_START = EpochProgress(0, 0.0, 0, 0.0)


class TrainingState(NamedTuple):
    """Everything that a training needs to resume: all variables, the weights of the best epoch, the epochs so far."""

    variables: Sequence[NDArray[np.generic]]
    best: Sequence[NDArray[np.generic]]
    history: Sequence[EpochRecord]
    progress: EpochProgress


def save(checkpoints: Storage, state: TrainingState) -> None:
    """Write the state as the newest checkpoint and remove all but the two newest."""
    buffer = io.BytesIO()
    done = {"history": [dataclasses.asdict(record) for record in state.history], "progress": state.progress}
    arrays = {f"variable{number}": value for number, value in enumerate(state.variables)}
    arrays |= {f"best{number}": value for number, value in enumerate(state.best)}
    np.savez(buffer, allow_pickle=False, done=np.frombuffer(json.dumps(done).encode(), np.uint8), **arrays)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{PREFIX}{len(state.history):05}-{state.progress.n_blocks:05}-{digest}{SUFFIX}"
    checkpoints.write(name, content)
    for old in _newest_first(checkpoints)[N_KEPT:]:
        checkpoints.remove(old)


def load_newest(checkpoints: Storage, log: Callable[[str], None]) -> TrainingState | None:
    """Return the newest intact checkpoint, or None; damaged ones are removed, and logged."""
    for name in _newest_first(checkpoints):
        try:
            content = checkpoints.read(name)
        except FileNotFoundError:  # removed by another process with the same training
            continue
        if _is_intact(name, content):
            return _parse(content)
        log(f"the checkpoint {checkpoints.child(name)} is damaged and was removed")
        checkpoints.remove(name)  # or `save` would keep it as the one to fall back on
    return None


def poll_newest(checkpoints: Storage, seen: str = "") -> tuple[str, TrainingState | None]:
    """Return the name and state of the newest intact checkpoint while another process saves them; remove nothing.

    If there is none newer than `seen`, or the storage doesn't answer now, return `seen` and None.
    """
    with contextlib.suppress(UnavailableError, StorageError, OSError):
        for name in _newest_first(checkpoints):
            if name <= seen:
                break
            with contextlib.suppress(OSError):  # removed meanwhile; on NFS that may be a stale handle
                content = checkpoints.read(name)
                if _is_intact(name, content):
                    return name, _parse(content)
    return seen, None


def _is_intact(name: str, content: bytes) -> bool:
    return name.endswith(f"{hashlib.sha256(content).hexdigest()}{SUFFIX}")


def _newest_first(checkpoints: Storage) -> list[str]:
    names = (name for name in checkpoints.names() if name.startswith(PREFIX) and name.endswith(SUFFIX))
    return sorted(names, reverse=True)


def _parse(content: bytes) -> TrainingState:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        done = json.loads(archive["done"].tobytes())
        history = [EpochRecord(**record) for record in done["history"]]
        return TrainingState(
            _numbered(archive, "variable"), _numbered(archive, "best"), history, EpochProgress(*done["progress"])
        )


def _numbered(archive: np.lib.npyio.NpzFile, prefix: str) -> list[NDArray[np.generic]]:
    count = sum(name.startswith(prefix) for name in archive)
    return [archive[f"{prefix}{number}"] for number in range(count)]
