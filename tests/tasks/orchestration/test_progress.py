"""The progress of a training, or of the trainings of a cross-validation, in the Prefect UI."""

import logging
from uuid import uuid4

from schemas.recipe import PRESETS
from tasks.orchestration import progress


def test_the_trainings_of_a_cross_validation_share_one_scale(monkeypatch):
    sent = []
    monkeypatch.setattr(progress, "get_run_logger", lambda: logging.getLogger("progress"))
    monkeypatch.setattr(progress.Progress, "_update_artifact", lambda _: None)
    monkeypatch.setattr(progress, "create_progress_artifact", lambda percent, **_: sent.append(percent) or uuid4())
    with progress.Progress(PRESETS["plain"].recipes["mlp"], n_trainings=2) as shown:
        for fraction in (0.5, 0.8):
            shown.block_done(fraction)
            shown._send(None, shown._fraction)
        shown.training_done()  # it stopped early
        shown.block_done(0.5)
        shown._send(None, shown._fraction)
    assert sent == [25, 40, 75]
