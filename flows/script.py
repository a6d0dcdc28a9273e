"""How a flow's script begins and ends: Ctrl-C during the imports, the garbage collector, and the last exit handlers.

The package imports this first, and it imports little itself.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Options of glibc's mallopt, by the names and numbers of malloc.h."""
LARGE_BYTES = 8 << 20
"""More than a batch's arrays have, which each step allocates again; a data set's are larger."""

exit_stack = contextlib.ExitStack()
"""Closes when this process exits, after Prefect's exit handlers: they were registered later, and need a server."""
exit_stack.callback(gc.freeze)  # or the interpreter would search all modules' objects for garbage, for two seconds
atexit.register(exit_stack.close)


def prepare_script() -> None:
    """Make a script's imports quick and its heap small, and end it without a traceback if Ctrl-C interrupts them."""
    gc.disable()  # imports leave no garbage
    _limit_heap()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell has it ignored in background processes
        signal.signal(signal.SIGINT, _exit_on_interrupt)


def finish_imports() -> None:
    """Undo what `prepare_script` did: the flow handles Ctrl-C itself."""
    gc.freeze()  # the modules stay: the collector would search their objects several times, for 0.3 seconds each
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _exit_on_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _limit_heap() -> None:
    """Make glibc return the memory of freed arrays: one heap for all threads, and large arrays outside it.

    Otherwise each thread's heap keeps what it once needed: `make train` has 60 MiB more at its peak.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):  # the user has chosen
        return
    with contextlib.suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def exit_at_once(code: int, message: str) -> NoReturn:
    """Exit with one line and without cleaning up, from any thread: files survive even a kill."""
    with contextlib.suppress(OSError):  # standard error may be a pipe that nobody reads any more
        os.write(2, f"error: {message}\n".encode())
    os._exit(code)


def _exit_on_interrupt(_number: int, _frame: object) -> NoReturn:
    exit_at_once(INTERRUPTED, "interrupted")  # an exception could be caught by a half imported library


if Path(sys.argv[0]).parent.absolute() == Path(__file__).parent:
    prepare_script()
