"""Entry points: each module defines one Prefect flow, which is also a script.

Each imports this package before Prefect, which needs a home folder, logs names and tracebacks as they are, and takes a
second to import.
"""

import atexit
import contextlib
import gc
import io
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import NoReturn

from schemas.errors import InputError, TrainingError
from schemas.text import printable

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
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _exit_on_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def check_home() -> None:
    """Exit with one line if this user has no home folder, as in some containers: Prefect can't be imported then."""
    try:
        Path.home()
    except RuntimeError:
        sys.exit("error: this user has no home folder; set HOME to a folder that the user can write to")


def make_printable(record: logging.LogRecord) -> bool:
    """Log one line without credentials, whatever names it has; drop the traceback of an error that users can fix."""
    record.msg, record.args = printable(record.getMessage()), None
    if record.exc_info and isinstance(record.exc_info[1], (InputError, TrainingError, MemoryError)):
        record.exc_info, record.is_reported = None, True
    return True


def exit_at_once(code: int, message: str) -> NoReturn:
    """Exit with one line and without cleaning up, from any thread: files survive even a kill."""
    with contextlib.suppress(OSError):  # standard error may be a pipe that nobody reads any more
        os.write(2, f"error: {message}\n".encode())
    os._exit(code)


def _exit_on_interrupt(_number: int, _frame: object) -> NoReturn:
    exit_at_once(INTERRUPTED, "interrupted")  # an exception could be caught by a half imported library


if Path(sys.argv[0]).parent.absolute() == Path(__file__).parent:
    prepare_script()
if isinstance(sys.stdout, io.TextIOWrapper):  # a locale's encoding may lack a character of a message
    sys.stdout.reconfigure(errors="backslashreplace")
check_home()
# Prefect warns if its folder can't be created, needed or not; command_line reports it if it is.
warnings.filterwarnings("ignore", category=UserWarning, module="prefect.context")
for logger in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger).addFilter(make_printable)
