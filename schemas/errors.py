"""The errors that a person can cause and fix; any other exception is a bug."""

from __future__ import annotations

from collections.abc import Sequence

MAX_LISTED = 10


class InputError(Exception):
    """Bad input. The message is one line for the command line and the Prefect UI: what is wrong, where, what to do."""


class UnavailableError(InputError):
    """Input that can't be had now, but perhaps in a minute."""


class StorageError(InputError):
    """A store's location may not be used, or not for this."""


class TrainingError(Exception):
    """A training ended without a model worth publishing."""


class StoreError(InputError):
    """A store, or a version in it, isn't as it should be."""


ENVIRONMENT_ERRORS = (UnavailableError, StorageError, StoreError)
"""Input errors that aren't the fault of the data that is read."""


def listed(faults: Sequence[str]) -> str:
    """Join faults into one line; of many, the first ones."""
    more = f"; and {len(faults) - MAX_LISTED:,} more" if len(faults) > MAX_LISTED else ""
    return f"{'; '.join(faults[:MAX_LISTED])}{more}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, with the second if the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:200]
