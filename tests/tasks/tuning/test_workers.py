"""Workers with processes of their own: one that ends fails its own training, and is replaced."""

import os

from tasks.tuning.workers import Workers


def train(dataset, job):
    """Return the dataset's name, the job, and the process; the job 1 ends its process, as the system does."""
    if job == 1:
        os._exit(1)
    return dataset.name, job, os.getpid()


def test_process_that_ends_fails_one_training_and_is_replaced(tiny, caplog):
    with Workers(tiny, 2) as workers:
        first, failed = workers.map(train, (0, 1), None)
        following = [workers.run(train, job) for job in (2, 3)]  # one in each process
    assert failed is None
    assert [result[:2] for result in (first, *following)] == [(tiny.name, job) for job in (0, 2, 3)]
    assert len({os.getpid(), *(pid for *_, pid in following)}) == 3
    (warning,) = caplog.messages
    assert warning.startswith("a training failed: its process ended; the system may have ended it")
