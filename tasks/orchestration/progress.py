"""Show a training's progress: a bar in the terminal, an artifact in the Prefect UI, a log line per epoch."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from contextvars import copy_context
from threading import Event, Thread
from typing import Self, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from schemas.counts import count
from schemas.recipe import Recipe
from schemas.training import EpochRecord

UPDATE_SECONDS = 2.0  # each update is a request to the server
LAST_UPDATE_SECONDS = 5.0


class Progress:
    """Context manager that shows the epochs of one or several trainings, one after the other."""

    def __init__(self, recipe: Recipe, n_trainings: int = 1) -> None:
        self._recipe, self._n_trainings, self._n_finished = recipe, n_trainings, 0
        self._total = recipe.total_epochs * n_trainings
        self._fraction = 0.0
        self._logger = get_run_logger()
        self._ended = Event()
        # In a thread, so that training continues while the server is unavailable.
        self._updater = Thread(target=copy_context().run, args=(self._update_artifact,), daemon=True)

    def __enter__(self) -> Self:
        is_terminal = sys.stderr.isatty()
        self._resources = ExitStack()
        if is_terminal:
            self._resources.enter_context(logging_redirect_tqdm())
        bar = tqdm(total=self._total, unit="epoch", disable=not is_terminal, leave=False)
        self._bar = self._resources.enter_context(bar)
        self._updater.start()
        return self

    def epoch_done(self, record: EpochRecord) -> None:
        """Log the epoch's metrics."""
        epochs = str(self._recipe.epochs)
        number = f"{record.epoch:{len(epochs)}}/{epochs}"
        self._logger.info("epoch %s: %s", number, record.summary)

    def block_done(self, fraction: float) -> None:
        """Show the fraction of the current training's epochs that is done."""
        self._fraction = (self._n_finished + fraction) / self._n_trainings
        self._bar.update(self._fraction * self._total - self._bar.n)

    def training_done(self) -> None:
        """Show that the current training, which may have stopped early, is done."""
        self.block_done(1.0)
        self._n_finished += 1

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._resources.close()
        if error is None:
            self._fraction = 1.0  # even if it stopped early
        self._ended.set()
        self._updater.join(LAST_UPDATE_SECONDS)

    def _update_artifact(self) -> None:
        """Send the fraction to Prefect every two seconds, and once more at the end."""
        artifact = self._send(None, 0.0)
        while not self._ended.wait(UPDATE_SECONDS):
            artifact = self._send(artifact, self._fraction)
        self._send(artifact, self._fraction)

    def _send(self, artifact: UUID | None, fraction: float) -> UUID | None:
        """Create or update the artifact; failing to show progress must not fail the training."""
        percent = 100 * fraction
        try:
            if artifact is None:
                description = f"Share of {count(self._total, 'epoch')} that is done"
                created = create_progress_artifact(percent, key="training-progress", description=description)
                return cast("UUID", created)
            update_progress_artifact(artifact, percent)
        except (httpx.HTTPError, PrefectException) as error:
            self._logger.warning("progress not shown: %s", type(error).__name__)
        return artifact
