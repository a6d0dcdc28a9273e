"""A lock for object stores, which know no locks but let one of many put an object that isn't there.

Whoever holds it has put the object of the highest number, and renews it as long as it lives. The lock is free when that
object says so, or when nobody has renewed it for a minute: then the one who puts the next number has it. No clock is
compared with another machine's. Who stood still for longer finds out by the higher number before it changes anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from schemas.errors import InputError, StoreError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifacts.store.storage import Storage

EXPIRES_SECONDS = 60.0
RENEWED_SECONDS = 10.0
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
"""How long a store that doesn't answer is asked again while the lock is waited for."""
FREE = b"free"


@contextlib.contextmanager
def held(places: Storage) -> Iterator[Callable[[], None]]:
    """Hold the lock whose objects are in a storage of their own; give what raises StoreError once it is lost."""
    holder = uuid4().hex
    mine = _taken(places, holder)

    def check() -> None:
        if _highest(places) != mine:
            raise StoreError(f"{places}: this process stood still for so long that another one has taken the lock")

    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(places, mine, holder, ended), daemon=True)
    renewing.start()
    try:
        _forget_older(places, mine)
        yield check
        check()
    finally:
        ended.set()
        renewing.join()
        with contextlib.suppress(InputError, OSError):  # it expires by itself
            if _highest(places) == mine:
                places.write(str(mine), FREE)


def _taken(places: Storage, holder: str) -> int:
    """Wait until the lock is free and take it; give its number."""
    seen, since = None, time.monotonic()
    answered = since
    while True:
        try:
            highest = _highest(places)
            state = _state(places, highest)
            answered = time.monotonic()
            if (highest, state) != seen:
                seen, since = (highest, state), answered
            if state.startswith(holder.encode()):  # put, though the answer was lost
                return highest
            # The second look is for who was slow: the number may have been held, given back and removed meanwhile.
            if state == FREE or answered - since > EXPIRES_SECONDS:
                mine = highest + 1
                if places.claim(str(mine), _life(holder, 0)):
                    if _highest(places) == mine:
                        return mine
                    places.remove(str(mine))
        except UnavailableError:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
        time.sleep(POLL_SECONDS)


def _renew(places: Storage, mine: int, holder: str, ended: threading.Event) -> None:
    """Show that its holder lives, until it ends or another one has the lock."""
    beat = 0
    while not ended.wait(RENEWED_SECONDS):
        with contextlib.suppress(InputError, OSError):  # out of reach; the next time, perhaps
            if _highest(places) != mine:
                return
            beat += 1
            places.write(str(mine), _life(holder, beat))


def _forget_older(places: Storage, mine: int) -> None:
    for name in places.names():
        if name.isdecimal() and int(name) < mine:
            places.remove(name)


def _highest(places: Storage) -> int:
    return max((int(name) for name in places.names() if name.isdecimal()), default=0)


def _state(places: Storage, number: int) -> bytes:
    if not number:
        return FREE
    try:
        return places.read(str(number))
    except FileNotFoundError:  # removed by who holds the next one
        return b""


def _life(holder: str, beat: int) -> bytes:
    return f"{holder} {beat}".encode()
