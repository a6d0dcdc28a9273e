"""Checkpoints of a training under way: `epoch-00012-00003-<SHA-256>.npz`, whole or absent, told from damaged ones.

That is the one after twelve epochs and three blocks of the next one.
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
from schemas.results import EpochRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from artifacts.store.storage import Storage

KEPT = 2  # the newest, and one to fall back on
BEGINNING, END = "epoch-", ".npz"


class EpochProgress(NamedTuple):
    """What the blocks so far of an epoch under way add up to."""

    blocks: int
    loss: float
    correct: int
    seconds: float


NOTHING = EpochProgress(0, 0.0, 0, 0.0)


class State(NamedTuple):
    """Everything that training needs to go on: the values of all variables, the best weights, what was done."""

    variables: Sequence[NDArray[np.generic]]
    best: Sequence[NDArray[np.generic]]
    history: Sequence[EpochRecord]
    under_way: EpochProgress


def save(place: Storage, state: State) -> None:
    """Write the state as the checkpoint of its last block; remove those it makes superfluous."""
    buffer = io.BytesIO()
    done = {"history": [dataclasses.asdict(record) for record in state.history], "under_way": state.under_way}
    arrays = {f"variable{number}": value for number, value in enumerate(state.variables)}
    arrays |= {f"best{number}": value for number, value in enumerate(state.best)}
    np.savez(buffer, allow_pickle=False, done=np.frombuffer(json.dumps(done).encode(), np.uint8), **arrays)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    place.write(f"{BEGINNING}{len(state.history):05}-{state.under_way.blocks:05}-{digest}{END}", content)
    for superfluous in _newest_first(place)[KEPT:]:
        place.remove(superfluous)


def load_newest(place: Storage, tell: Callable[[str], None]) -> State | None:
    """Give the newest whole checkpoint, or None; `tell` hears of each damaged one that was removed."""
    for name in _newest_first(place):
        try:
            content = place.read(name)
        except FileNotFoundError:  # another process, which trains the same, has removed it
            continue
        if _is_whole(name, content):
            return _parsed(content)
        tell(f"the checkpoint {place.child(name)} is damaged and was removed")
        place.remove(name)  # or it would count as one to fall back on
    return None


def poll_newest(place: Storage, seen: str = "") -> tuple[str, State | None]:
    """Give the newest whole checkpoint and its name, while another process saves them; nothing is removed.

    Where there is none newer than the one that was seen, that name is given again and no state.
    """
    with contextlib.suppress(UnavailableError, StorageError, OSError):  # out of reach until the next glance
        for name in _newest_first(place):
            if name <= seen:
                break
            with contextlib.suppress(OSError):  # superfluous by now, and on a shared folder not only gone but stale
                content = place.read(name)
                if _is_whole(name, content):
                    return name, _parsed(content)
    return seen, None


def _is_whole(name: str, content: bytes) -> bool:
    return name.endswith(f"{hashlib.sha256(content).hexdigest()}{END}")


def _newest_first(place: Storage) -> list[str]:
    return sorted((name for name in place.names() if name.startswith(BEGINNING) and name.endswith(END)), reverse=True)


def _parsed(content: bytes) -> State:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        done = json.loads(archive["done"].tobytes())
        history = [EpochRecord(**record) for record in done["history"]]
        return State(
            _numbered(archive, "variable"), _numbered(archive, "best"), history, EpochProgress(*done["under_way"])
        )


def _numbered(archive: np.lib.npyio.NpzFile, prefix: str) -> list[NDArray[np.generic]]:
    count = sum(name.startswith(prefix) for name in archive)
    return [archive[f"{prefix}{number}"] for number in range(count)]
