"""Distinguish local paths from fsspec URIs, such as `s3://bucket/digits`, and classify storage errors."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import fsspec

from schemas.address import redact
from schemas.errors import InputError, StorageError, UnavailableError, first_line
from schemas.text import escape

SCHEME = "://"
INCOMPLETE = re.compile(r"\w{2,}:/(?!/)|\w+://$")
"""An incomplete URI; a single letter before the colon may be a Windows drive."""
NOT_FOUND = FileNotFoundError, IsADirectoryError, NotADirectoryError
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space, then run the same command again")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EROFS), "give this user access, or use another place")
REMEDIES |= dict.fromkeys((errno.EPERM, errno.ENOTSUP), "use a folder of this user, on a disk with hard links")
REMEDIES |= {errno.EFBIG: "raise the limit on the size of files (ulimit -f)"}
REMEDIES |= {errno.EMFILE: "raise the limit on the number of open files (ulimit -n)"}
"""What to do about a disk's error that waiting doesn't end."""


CREDENTIALS = (
    "an address with credentials, which would be stored and shown; leave them out, and set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY for s3://, or what docs/how-to/object-store.md has for other stores"
)


def check_safe(uri: str) -> None:
    """Raise InputError for credentials or hidden characters in an address or path."""
    if redact(uri) != uri:
        raise InputError(f"{uri}: {CREDENTIALS}")
    if escape(uri) != uri:
        raise InputError(f"{uri}: a name with hidden characters, which are shown escaped here; rename it")


def check_uri(uri: str | Path, allowed: str) -> None:
    """Raise InputError for credentials or hidden characters in a path or URI, or an incomplete URI: `s3:/bucket`.

    The message for an incomplete one ends with what is allowed.
    """
    check_safe(str(uri))
    if INCOMPLETE.match(str(uri)):
        raise InputError(f"{uri}: incomplete address; write it like s3://bucket/digits; {allowed}")


def check_local(path: str | Path, flag: str) -> None:
    """Raise InputError unless a flag's path is one on this machine."""
    check_safe(str(path))
    if SCHEME in str(path) or INCOMPLETE.match(str(path)):  # pathlib drops a slash
        raise InputError(f"{flag} {path}: an address; a path on this machine is needed")


def check_protocol(uri: str, subject: str) -> None:
    """Raise InputError, whose message starts with the subject, if no installed package knows a URI's protocol."""
    try:
        fsspec.get_filesystem_class(uri.split(SCHEME, maxsplit=1)[0])
    except (ImportError, ValueError) as error:
        raise InputError(f"{subject}: {first_line(error)}") from error


def strip_file_scheme(uri: str | Path) -> str:
    """Return a path or URI as text without a leading `file://`."""
    return str(uri).removeprefix("file://")


def local_path(uri: str | Path) -> Path | None:
    """Return the path on this machine, or None for a URI of another one."""
    path = strip_file_scheme(uri)
    return None if SCHEME in path else Path(path)


def storage_error(message: str, error: BaseException) -> InputError:
    """Return the error to raise for a path or URI that can't be used, which `message` names.

    It is an InputError if nothing is there, a StorageError if permissions, credentials or the disk have to be changed,
    and otherwise an UnavailableError, which is retried.
    """
    remedy = REMEDIES.get(error.errno or 0) if isinstance(error, OSError) else None
    line = f"{message} ({error_reason(error)}){f'; {remedy}' if remedy else ''}"
    if isinstance(error, NOT_FOUND) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return InputError(line)
    is_lasting = remedy or isinstance(error, (PermissionError, NotImplementedError, *_credential_errors()))
    return StorageError(line) if is_lasting else UnavailableError(line)


@contextlib.contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Convert a disk's errors inside the `with` to InputErrors for a path, unless a file is missing or exists."""
    try:
        yield
    except OSError as error:
        exists = isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY
        if not error.errno or exists or isinstance(error, FileNotFoundError):
            raise
        raise storage_error(f"{path}: can't be used", error) from error


def error_reason(error: BaseException) -> str:
    """Return in one line why a path or URI can't be used; the system's `strerror`, if any, doesn't repeat the path."""
    return str(getattr(error, "strerror", None) or first_line(error))


def _credential_errors() -> tuple[type[Exception], ...]:
    """Return botocore's errors for missing or wrong credentials; it is installed for `s3://` only."""
    try:
        from botocore import exceptions  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        return ()
    return (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
        exceptions.ParamValidationError,
    )
