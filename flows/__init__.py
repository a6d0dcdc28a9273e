"""Entry points: each module defines one Prefect flow, which is also a script.

Each imports this package before Prefect, which needs a home folder, logs names and tracebacks as they are, and takes a
second to import.
"""

import flows.script  # noqa: F401, before what takes time to import

# isort: split
import io
import logging
import sys
import warnings
from pathlib import Path

from schemas.errors import InputError, TrainingError
from schemas.text import printable


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


if isinstance(sys.stdout, io.TextIOWrapper):  # a locale's encoding may lack a character of a message
    sys.stdout.reconfigure(errors="backslashreplace")
check_home()
# Prefect warns if its folder can't be created, needed or not; command_line reports it if it is.
warnings.filterwarnings("ignore", category=UserWarning, module="prefect.context")
for logger in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger).addFilter(make_printable)
