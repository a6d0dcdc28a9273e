"""Show how far a training is: a bar in the terminal, an artifact in the Prefect UI, a log line an epoch."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Event, Thread
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

    from schemas.training import EpochRecord

SECONDS_BETWEEN_UPDATES = 2.0  # each is a request to the server
PATIENCE_SECONDS = 5.0  # with the last of them


class Progress:
    """Follows the epochs of a training inside a `with`."""

    def __init__(self, epochs: int) -> None:
        """Expect so many epochs."""
        self._epochs = epochs
        self._logger = get_run_logger()
        self._shares: SimpleQueue[float] = SimpleQueue()
        self._ended = Event()
        # A thread of its own: a training doesn't wait for a server that is away for minutes.
        self._teller = Thread(target=copy_context().run, args=(self._tell,), daemon=True)

    def __enter__(self) -> Self:
        """Show the bar, if a person is watching, and begin the artifact."""
        watched = sys.stderr.isatty()
        self._open = ExitStack()
        if watched:
            self._open.enter_context(logging_redirect_tqdm())
        self._bar = self._open.enter_context(tqdm(total=self._epochs, unit="epoch", disable=not watched, leave=False))
        self._shares.put(0.0)
        self._teller.start()
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
        self._shares.put(share)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Take the bar away; a training that ended well is at 100 %, however early it stopped."""
        self._open.close()
        if kind is None:
            self._shares.put(1.0)
        self._ended.set()
        self._teller.join(PATIENCE_SECONDS)

    def _tell(self) -> None:
        """Tell Prefect the newest share, every two seconds and once more at the end."""
        artifact: UUID | None = None
        while True:
            last = self._ended.is_set()
            share = self._newest()
            if share is not None:
                artifact = self._told(artifact, 100 * share)
            if last:
                return
            self._ended.wait(SECONDS_BETWEEN_UPDATES)

    def _newest(self) -> float | None:
        newest = None
        while True:
            try:
                newest = self._shares.get_nowait()
            except Empty:
                return newest

    def _told(self, artifact: UUID | None, percent: float) -> UUID | None:
        """Create or update the artifact; a training is worth more than its progress bar."""
        try:
            if artifact is None:
                told = create_progress_artifact(percent, key="training-progress", description="Epochs done")
                return cast("UUID", told)
            update_progress_artifact(artifact, percent)
        except (httpx.HTTPError, PrefectException) as error:
            self._logger.warning("the progress couldn't be shown: %s", type(error).__name__)
        return artifact
