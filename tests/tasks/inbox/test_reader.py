"""The child process that reads an inbox's files: a file that ends it is at fault, and the next one is read."""

import errno
import tempfile

import numpy as np
import pytest
from samples import draw_digits

from schemas.errors import UnavailableError
from schemas.rules import DEFAULT_RULES
from tasks.inbox import reader
from tasks.inbox.reader import Reader

CHILD = """
import os, signal, sys
from tasks.inbox import child

read_file = child.read_file
child.BASE_MIB = 512 - 3 * 4096
child._seconds = lambda path: 1 if path.stem in ("endless", "patient") else 60

def hostile(path, rules):
    if path.suffix == ".py":
        exec(path.read_text(), globals())
    return read_file(path, rules)

child.read_file = hostile
child.main()
"""
HOSTILE = {
    "crash.py": ("os.kill(os.getpid(), signal.SIGSEGV)", "ended the process (Segmentation fault)"),
    "abort.py": ("os.abort()", "ended the process (Aborted)"),
    "exit.py": ("os._exit(7)", "ended the process (exit code 7)"),
    "endless.py": ("while True: pass", "reading it took more than two minutes and a second for each MiB"),
    "patient.py": ("signal.pause()", "reading it took more than two minutes"),
    "huge.py": ("bytearray(1 << 31)", "takes more memory than --max-expanded-mib 4096 allows"),
    "deep.py": ("f = lambda: f()\nf()", "can't be read (RecursionError: "),
    "exit_code.py": ("raise SystemExit(1)", "ended the process (exit code 1)"),
    "talkative.py": ("print('x' * 10**6); os.write(1, b'x'); raise KeyError(1)", "can't be read (KeyError: 1)"),
    "unpacking.py": ("import tempfile; tempfile.mkdtemp(prefix='unpacked-'); os._exit(8)", "(exit code 8)"),
}
"""What a file's reader does, and the reason why the file is rejected."""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "hostile.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(reader, "CHILD", "hostile")


@pytest.mark.slow
def test_every_file_is_judged_apart(child, tmp_path):
    np.savez(tmp_path / "good.npz", x=draw_digits(9, 1)[0], y=draw_digits(9, 1)[1])
    faults = {}
    with Reader(DEFAULT_RULES) as files:
        for name, (text, _) in HOSTILE.items():
            (tmp_path / name).write_text(text)
            file, error = files.read(tmp_path / name, is_accepted=False)
            faults[name] = file.fault
            assert error is None
            file, _ = files.read(tmp_path / "good.npz", is_accepted=False)
            assert len(file.frame) == 9
    assert {name: fault for name, fault in faults.items() if HOSTILE[name][1] not in fault} == {}
    assert not list((tmp_path / "tmp").iterdir()), "and nothing of it is left"


def test_error_of_the_system_comes_with_the_fault(child, tmp_path):
    (tmp_path / "disk.py").write_text("raise OSError(5, 'Input/output error')")
    with Reader(DEFAULT_RULES) as files:
        file, error = files.read(tmp_path / "disk.py", is_accepted=False)
    assert file.fault == "disk.py: can't be read (Input/output error)"
    assert error.errno == errno.EIO


def test_child_that_cant_start_is_no_fault_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "CHILD", "no_such_module")
    with Reader(DEFAULT_RULES) as files, pytest.raises(UnavailableError, match="the process ended with 1"):
        files.read(tmp_path / "good.npz", is_accepted=False)
