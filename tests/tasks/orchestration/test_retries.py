"""Which errors a task is retried for."""

import errno

import httpx
import pytest
from prefect import flow, task

from schemas.errors import InputError, StoreError, TrainingError, UnavailableError
from tasks.orchestration.retries import RETRIED, is_transient


def caused_by(error):
    raised = InputError("unreadable")
    raised.__cause__ = error
    return raised


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("fashion-mnist can't be downloaded"),
        httpx.ConnectError("no server"),
        OSError(errno.EIO, "Input/output error"),
        caused_by(OSError(errno.ESTALE, "Stale file handle")),
    ],
)
def test_errors_of_disk_and_network_are_transient(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        InputError("bad data"),
        StoreError("changed on disk"),
        TrainingError("diverged"),
        ValueError("a bug"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        OSError(errno.ENOSPC, "No space left on device"),
        caused_by(PermissionError(errno.EACCES, "Permission denied")),
        OSError("not a picture"),  # as Pillow raises it
        None,
    ],
)
def test_bad_data_and_program_errors_are_not_transient(error):
    assert not is_transient(error)


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("error", "calls"), [(OSError(errno.EIO, "Input/output error"), 3), (InputError("bad data"), 1)]
)
def test_a_task_is_retried_for_transient_errors_alone(prefect_server, error, calls):
    called = []

    @task(**RETRIED | {"retries": 2, "retry_delay_seconds": 0})
    def fails():
        called.append(1)
        raise error

    @flow
    def flow_of_one_task():
        fails()

    with pytest.raises(type(error)):
        flow_of_one_task()
    assert len(called) == calls
