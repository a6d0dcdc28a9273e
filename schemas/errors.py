"""The errors that a person causes and can mend; everything else is a fault of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class InputError(Exception):
    """Tell of bad input in one line: what is wrong, where, and what is allowed.

    The command line prints the line and exits with 1; in the Prefect UI it is the state's message.
    """


class UnavailableError(InputError):
    """Tell, in one line, of input that can't be had now, but perhaps in a minute."""


class StorageError(InputError):
    """Tell, in one line, that what a store lies in may not be used, or not for this."""


class TrainingError(Exception):
    """Tell, in one line, why a training ended without a model worth publishing."""


class StoreError(InputError):
    """Tell, in one line, what is wrong with a store or a version in it."""


ENVIRONMENT_ERRORS = (UnavailableError, StorageError, StoreError)
"""What bad input is told by that is no fault of the data being read."""


MOST_LISTED = 10


def listed(faults: Sequence[str]) -> str:
    """Put faults into one line, of many the first ones."""
    more = f"; and {len(faults) - MOST_LISTED:,} more" if len(faults) > MOST_LISTED else ""
    return f"{'; '.join(faults[:MOST_LISTED])}{more}"


def first_line(error: BaseException) -> str:
    """Give the first line of what a library says of a fault, with the next one if it only announces that."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:200]
