"""Where something lies: a path of this machine, or an address that fsspec knows, such as `s3://bucket/digits`."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from schemas.errors import InputError, StorageError, UnavailableError, first_line

SCHEME = "://"
LOCAL = "file://"
BROKEN = re.compile(r"\w{2,}:/(?!/)|\w+://$")
"""What an address that lacks something looks like; one letter and a colon may be a drive."""
GONE = FileNotFoundError, IsADirectoryError, NotADirectoryError
REFUSED = PermissionError, NotImplementedError
LACKING = {
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "SSOTokenLoadError", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "ParamValidationError",
}  # fmt: skip
"""Errors of botocore's, which comes with `s3://` alone, that stay until a person does something."""


def check_intact(place: str | Path, allowed: str) -> None:
    """Raise InputError, which ends with what is allowed, for an address that lacks something: `s3:/bucket`, `s3://`."""
    if BROKEN.match(str(place)):
        raise InputError(f"{place}: not a whole address, such as s3://bucket/digits; {allowed}")


def local(place: str | Path) -> str:
    """Give a place without `file://`, which a path on this machine may have before it."""
    return str(place).removeprefix(LOCAL)


def path_of(place: str | Path) -> Path | None:
    """Give the path of a place on this machine; None for one at an address."""
    path = local(place)
    return None if SCHEME in path else Path(path)


def check_known(address: str, told: str) -> None:
    """Raise InputError, which begins with what is told, if no installed package knows an address' kind."""
    import fsspec  # noqa: PLC0415, what is on this machine needs none of it

    try:
        fsspec.get_filesystem_class(address.split(SCHEME, maxsplit=1)[0])
    except (ImportError, ValueError) as error:
        raise InputError(f"{told}: {first_line(error)}") from error


def out_of_reach(told: str, error: BaseException) -> InputError:
    """Give the error of a place that can't be used, which begins with what is told.

    It is a plain InputError where nothing is there, a StorageError where who asks may not have it, which a person has
    to mend, and else an UnavailableError: it may pass.
    """
    line = f"{told} ({reason(error)})"
    if isinstance(error, GONE) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return InputError(line)
    refused = isinstance(error, REFUSED) or type(error).__name__ in LACKING
    return StorageError(line) if refused else UnavailableError(line)


def reason(error: BaseException) -> str:
    """Give in one line why a place can't be used, without its name where the system says it apart."""
    return str(getattr(error, "strerror", None) or first_line(error))
