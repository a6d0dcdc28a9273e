"""Steps are tried again for what may pass, and never for bad data."""

import errno

import httpx
import pytest
from prefect import flow

from schemas.errors import InputError, StoreError, TrainingError, UnavailableError
from tasks import stage as stages
from tasks.stage import may_pass, stage


def caused_by(error):
    told = InputError("unreadable")
    told.__cause__ = error
    return told


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("fashion-mnist can't be downloaded"),
        httpx.ConnectError("no server"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        caused_by(OSError(errno.ESTALE, "Stale file handle")),
    ],
)
def test_what_may_be_right_in_a_minute_may_pass(error):
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        InputError("bad data"),
        StoreError("touched"),
        TrainingError("diverged"),
        ValueError("a fault of the program"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        caused_by(PermissionError(errno.EACCES, "Permission denied")),
        OSError("not a picture"),  # as Pillow says it
        None,
    ],
)
def test_bad_data_and_faults_of_the_program_do_not(error):
    assert not may_pass(error)


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("error", "calls"), [(OSError(errno.ENOSPC, "No space left on device"), 3), (InputError("bad data"), 1)]
)
def test_a_step_is_tried_again_only_for_what_may_pass(prefect_server, monkeypatch, error, calls):
    monkeypatch.setattr(stages, "RETRY_AFTER_SECONDS", [0, 0])
    called = []

    @stage
    def step():
        called.append(1)
        raise error

    @flow
    def steps():
        step()

    with pytest.raises(type(error)):
        steps()
    assert len(called) == calls
