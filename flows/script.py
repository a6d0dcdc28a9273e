"""How a flow's script begins and ends: Ctrl-C during the imports, the garbage collector, and the last exit handlers.

The package imports this first, and it imports little itself.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

exit_stack = contextlib.ExitStack()
"""Closes when this process exits, after Prefect's exit handlers: they were registered later, and need a server."""
exit_stack.callback(gc.freeze)  # or the interpreter would search all modules' objects for garbage, for two seconds
atexit.register(exit_stack.close)


def prepare_script() -> None:
    """Make a script's imports quick, and end it without a traceback if Ctrl-C interrupts them."""
    gc.disable()  # imports leave no garbage
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell has it ignored in background processes
        signal.signal(signal.SIGINT, _exit_on_interrupt)


def finish_imports() -> None:
    """Undo what `prepare_script` did: the flow handles Ctrl-C itself."""
    gc.freeze()  # the modules stay: the collector would search their objects several times, for 0.3 seconds each
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _exit_on_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def exit_at_once(code: int, message: str) -> NoReturn:
    """Exit with one line and without cleaning up, from any thread: files survive even a kill."""
    with contextlib.suppress(OSError):  # standard error may be a pipe that nobody reads any more
        os.write(2, f"error: {message}\n".encode())
    os._exit(code)


def _exit_on_interrupt(_number: int, _frame: object) -> NoReturn:
    exit_at_once(INTERRUPTED, "interrupted")  # an exception could be caught by a half imported library


if Path(sys.argv[0]).parent.absolute() == Path(__file__).parent:
    prepare_script()
