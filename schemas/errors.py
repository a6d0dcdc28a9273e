"""Errors that a user can cause and fix; any other exception is a bug."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.text import printable

MAX_JOINED = 10


class InputError(Exception):
    """Bad input. The message is one line for the command line and the Prefect UI: what is wrong, where, what to do.

    Names and addresses in it are made printable here, so that no caller has to.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class FlagError(InputError):
    """Flags that no input could make right, such as two that contradict each other; the exit code is 2."""


class UnavailableError(InputError):
    """Temporarily unavailable input; the task is retried."""


class StorageError(InputError):
    """Access to a storage location is denied or unsupported."""


class TrainingError(Exception):
    """A training that produced no usable model."""


class StoreError(InputError):
    """A store or version is missing, damaged or in conflict."""


def missing_extra(what: str, package: str) -> InputError:
    """Return the error for a feature whose optional package isn't installed."""
    return InputError(
        f"{what}: {package} isn't installed; "
        "install it with pip install --require-hashes --requirement requirements-extras.txt"
    )


ENVIRONMENT_ERRORS = (UnavailableError, StorageError, StoreError)
"""Input errors that the data itself doesn't cause."""


def join_messages(messages: Sequence[str]) -> str:
    """Join messages into one line: the first ten, and the number of the others."""
    more = f"; and {len(messages) - MAX_JOINED:,} more" if len(messages) > MAX_JOINED else ""
    return f"{'; '.join(messages[:MAX_JOINED])}{more}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, and the second if the first ends with a colon."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return printable(" ".join(lines[: 2 if lines[0].endswith(":") else 1]))[:200]
