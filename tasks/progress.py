"""Show how far a training is: a bar in the terminal, an artifact in the Prefect UI, a log line an epoch."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, cast

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

if TYPE_CHECKING:
    from types import TracebackType
    from uuid import UUID

    from schemas.results import EpochRecord

SECONDS_BETWEEN_UPDATES = 2.0  # each is a request to the server


class Progress:
    """Follows the epochs of a training inside a `with`."""

    def __init__(self, epochs: int) -> None:
        """Expect so many epochs."""
        self._epochs = epochs
        self._logger = get_run_logger()
        self._updated = 0.0

    def __enter__(self) -> Self:
        """Show the bar, if a person is watching, and begin the artifact."""
        watched = sys.stderr.isatty()
        self._open = ExitStack()
        if watched:
            self._open.enter_context(logging_redirect_tqdm())
        self._bar = self._open.enter_context(tqdm(total=self._epochs, unit="epoch", disable=not watched, leave=False))
        self._artifact = cast("UUID", create_progress_artifact(0.0, key="training-progress", description="Epochs done"))
        return self

    def epoch_done(self, record: EpochRecord) -> None:
        """Tell of an epoch that is done."""
        held_out = (
            ""
            if record.validation_accuracy is None
            else f"; held out: loss {record.validation_loss:.4f}, accuracy {record.validation_accuracy:.2%}"
        )
        width = len(str(self._epochs))
        self._logger.info(
            "epoch %s/%s: loss %.4f, accuracy %.2f%%%s",
            f"{record.epoch:{width}}",
            self._epochs,
            record.loss,
            100 * record.accuracy,
            held_out,
        )

    def block_done(self, share: float) -> None:
        """Show what share of all epochs is done."""
        self._bar.update(share * self._epochs - self._bar.n)
        if time.monotonic() - self._updated > SECONDS_BETWEEN_UPDATES:
            self._update(share)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Take the bar away; a training that ended well is at 100 %, however early it stopped."""
        self._open.close()
        if kind is None:
            self._update(1.0)

    def _update(self, share: float) -> None:
        self._updated = time.monotonic()
        try:
            update_progress_artifact(self._artifact, 100 * share)
        except (httpx.HTTPError, PrefectException) as error:  # a training is worth more than its progress bar
            self._logger.warning("the progress couldn't be shown: %s", type(error).__name__)
