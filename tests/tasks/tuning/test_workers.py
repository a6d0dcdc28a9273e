"""Workers with processes of their own: one that ends fails its own training, and is replaced."""

import os

from tasks.tuning.workers import Workers


def train(dataset, job):
    """Return the dataset's name, the job, and the process; the job 1 ends its process, as the system does."""
    if job == 1:
        os._exit(1)
    return dataset, job, os.getpid()


def test_process_that_ends_fails_one_training_and_is_replaced(caplog):
    with Workers("digits", 2) as workers:
        results = workers.map(train, range(5), None)
    assert results.pop(1) is None
    assert [result[:2] for result in results] == [("digits", job) for job in (0, 2, 3, 4)]
    assert os.getpid() not in {pid for *_, pid in results}
    (warning,) = caplog.messages
    assert warning.startswith("a training failed: its process ended; the system may have ended it")
