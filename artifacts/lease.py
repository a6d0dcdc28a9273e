"""A lock for object stores, which know no locks but let one of many put an object that isn't there.

Whoever holds it has put the object of the highest number, and renews it as long as it lives. The lock is free when that
object says so, or when nobody has renewed it for a minute: then the one who puts the next number has it. No clock is
compared with another machine's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from schemas.errors import InputError, StoreError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifacts.storage import Storage

EXPIRES_SECONDS = 60.0
RENEWED_SECONDS = 10.0
POLL_SECONDS = 0.2
FREE = b"free"


@contextlib.contextmanager
def held(places: Storage) -> Iterator[None]:
    """Hold the lock whose objects are in a storage of their own; raise StoreError if it was lost meanwhile."""
    mine = _taken(places)
    ended, lost = threading.Event(), threading.Event()
    renewing = threading.Thread(target=_renew, args=(places, mine, ended, lost), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        with contextlib.suppress(UnavailableError):  # it expires by itself
            places.write(str(mine), FREE)
    if lost.is_set():
        raise StoreError(f"{places}: this process stood still for so long that another one has taken the lock")


def _taken(places: Storage) -> int:
    """Wait until the lock is free and take it; give its number."""
    seen, since = None, time.monotonic()
    while True:
        highest = _highest(places)
        state = (highest, _state(places, highest))
        if state != seen:
            seen, since = state, time.monotonic()
        if state[1] == FREE or time.monotonic() - since > EXPIRES_SECONDS:
            mine = highest + 1
            # The second look is for who was slow: the number may have been held, given back and removed meanwhile.
            if places.claim(str(mine), _life(0)):
                if _highest(places) == mine:
                    for name in places.names():
                        if name != str(mine):
                            places.remove(name)
                    return mine
                places.remove(str(mine))
        time.sleep(POLL_SECONDS)


def _renew(places: Storage, mine: int, ended: threading.Event, lost: threading.Event) -> None:
    """Show that its holder lives, until it ends or another one has it."""
    beat = 0
    while not ended.wait(RENEWED_SECONDS):
        with contextlib.suppress(InputError):  # out of reach; the next time, perhaps
            if _highest(places) != mine:
                lost.set()
                return
            beat += 1
            places.write(str(mine), _life(beat))


def _highest(places: Storage) -> int:
    return max((int(name) for name in places.names() if name.isdecimal()), default=0)


def _state(places: Storage, number: int) -> bytes:
    if not number:
        return FREE
    try:
        return places.read(str(number))
    except FileNotFoundError:  # removed by who holds the next one
        return b""


def _life(beat: int) -> bytes:
    return f"{socket.gethostname()} {os.getpid()} {beat}".encode()
