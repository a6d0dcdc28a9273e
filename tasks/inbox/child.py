"""Read the inbox's files in a process of its own: `python -m tasks.inbox.child`, started by `tasks.inbox.reader`.

A damaged file may make a reader crash, run for ever or fill the memory; only this process ends then.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import pandas as pd

from schemas.errors import InputError, first_line
from schemas.pixel_frame import labelled_column_fault
from schemas.results import InboxFile
from schemas.rules import Rules
from tasks.inbox import corrections
from tasks.inbox.folder import WALK_ERRORS, check_file, digest_content, total_bytes
from tasks.sources import datasets, formats

SECONDS, DAY = 120, 86_400
"""Time to read a file: two minutes, and one more second for each MiB."""
BASE_MIB = 1024
"""Memory to read: as many MiB, and three times `--max-expanded-mib` for copies of the pixels."""


def main() -> None:
    """Read the rules and the paths of files from stdin; write each file's content to stdout."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent process decides what becomes of its files
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries may print
    rules: Rules = pickle.load(requests)  # noqa: S301, written by the parent process
    _limit_memory(BASE_MIB + 3 * rules.max_expanded_mib)
    _write(answers, None)
    with suppress(EOFError):
        while True:
            path, is_accepted = pickle.load(requests)  # noqa: S301, likewise
            signal.alarm(_seconds(path))  # which ends this process
            content = read(path, rules, is_accepted=is_accepted)
            signal.alarm(0)
            _write(answers, content)


def read(path: Path, rules: Rules, *, is_accepted: bool) -> tuple[InboxFile, OSError | None]:
    """Read a file; return it with its rows or its fault, and the operating system's error behind the fault, if any."""
    digest = ""
    try:
        check_file(path, rules.max_expanded_mib)
        if not is_accepted:
            digest = digest_content(path)
        if corrections.is_corrections(path):
            return InboxFile(path, is_accepted, digest, corrections=corrections.read(path)), None
        return InboxFile(path, is_accepted, digest, frame=read_file(path, rules)), None
    except InputError as error:
        return InboxFile(path, is_accepted, digest, fault=str(error)), _system_error(error)
    except Exception as error:  # noqa: BLE001, a damaged file may make its reader raise any
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {first_line(error)}"
        if isinstance(error, MemoryError):
            reason = f"it takes more memory than --max-expanded-mib {rules.max_expanded_mib} allows"
        fault = str(InputError(f"{path.name}: can't be read ({reason})"))
        return InboxFile(path, is_accepted, digest, fault=fault), _system_error(error)


def read_file(path: Path, rules: Rules) -> pd.DataFrame:
    """Read all rows of a file, those of its test part after those of its training part.

    Raises InputError if it can't be read, is shards, or doesn't have a pixel frame's columns.
    """
    expected = f"expected {formats.inbox_help()}"
    file_format = datasets.find_format(str(path), expected)
    if file_format is formats.SHARDS:
        raise InputError(f"{path.name}: shards; {expected}")
    train, test, _notes = datasets.read(path, file_format, rules)
    for frame in (train,) if test is None else (train, test):
        if fault := labelled_column_fault(frame):
            raise InputError(f"{path.name}: {fault}; expected label, pixel0 … pixel783")
    if test is None:
        return train
    parts = {"train": train, "test": test}
    return pd.concat([frame.set_axis([f"{part} {item}" for item in frame.index]) for part, frame in parts.items()])


def _system_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error and OSError(error.errno, error.strerror)  # without what can't be pickled


def _seconds(path: Path) -> int:
    with suppress(*WALK_ERRORS):
        return SECONDS + min(total_bytes(path) >> 20, DAY)
    return SECONDS


def _limit_memory(mib: int) -> None:
    """Limit the memory that this process may allocate from now on; macOS has no such limit."""
    if sys.platform == "linux":
        # Not RLIMIT_AS: libraries reserve more addresses the more processors there are.
        n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        limit = (mib << 20) + n_pages * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _write(answers: IO[bytes], answer: object) -> None:
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
