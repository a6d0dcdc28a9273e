"""Read the inbox's files one after the other in a child process, so that no file can stop a training."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Self, cast

from schemas.errors import UnavailableError
from schemas.results import InboxFile
from schemas.rules import Rules

ROOT = Path(__file__).parents[2]
CHILD = "tasks.inbox.child"
END_SECONDS = 5
ENDED = (EOFError, OSError, pickle.UnpicklingError)
"""Errors of talking to a process that has ended."""


class Reader:
    """Context manager that reads files. A file that ends the child process is at fault; the next one gets another."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="inbox-")  # a process that is killed leaves files there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._end(self._process)
        self._scratch.cleanup()

    def read(self, path: Path, *, is_accepted: bool) -> tuple[InboxFile, OSError | None]:
        """Read a file; return it with its rows or its fault, and the operating system's error behind the fault, if any.

        Raises UnavailableError if no process can be started.
        """
        process = self._process or self._start()
        try:
            file: tuple[InboxFile, OSError | None] = _ask(process, (path, is_accepted))
        except ENDED:
            self._process = None
            return InboxFile(path, is_accepted, fault=f"{path.name}: {_reason(self._end(process))}"), None
        return file

    def _start(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        try:
            process = subprocess.Popen(  # noqa: S603, this project's own module
                [sys.executable, "-P", "-m", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths, "TMPDIR": self._scratch.name},
            )
        except OSError as error:
            raise UnavailableError(f"the inbox's files can't be read: no process ({error.strerror})") from error
        try:
            _ask(process, self._rules)
        except ENDED as error:
            code = self._end(process)
            raise UnavailableError(f"the inbox's files can't be read: the process ended with {code}") from error
        self._process = process
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> int:
        """End a process, unless it has ended; return its exit code."""
        try:
            process.communicate(timeout=END_SECONDS)  # it ends after its last request
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode


def _ask(process: subprocess.Popen[bytes], request: object) -> Any:  # noqa: ANN401, the child's answer
    requests, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    pickle.dump(request, requests)
    requests.flush()
    return pickle.load(answers)  # noqa: S301, written by this project's own module


def _reason(code: int) -> str:
    if code == -signal.SIGALRM:
        return "reading it took more than two minutes and a second for each MiB"
    cause = signal.strsignal(-code) if code < 0 else f"exit code {code}"
    return f"reading it ended the process ({cause}); it is damaged, or takes more memory than there is"
