"""The password of the server that `make up` starts, in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

USER, MIN_LENGTH = "admin", 20


class PasswordError(Exception):
    """The file can't be used; the message is one line."""


def read_or_create(path: Path) -> str:
    """Return the file's content, such as `admin:…`; create the file with a random password if there is none."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # never readable by others
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(32)}\n")
    status = path.stat()
    content = path.read_text(encoding="utf-8", errors="replace").strip()
    if status.st_mode & 0o077 or status.st_uid != os.getuid():
        raise PasswordError(f"{path}: other users can read or change it; delete it, and make up writes a new one")
    if not content.startswith(f"{USER}:") or len(content) < MIN_LENGTH:
        raise PasswordError(f"{path}: holds no password, such as {USER}:…; delete it, and make up writes a new one")
    return content
