"""Hold the champion's model for the service, and replace it when another version is promoted."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple

from artifacts.store.store import Store
from schemas.prediction import Predictor
from tasks.prediction import stream

logger = logging.getLogger(__name__)


class ServedVersion(NamedTuple):
    """A verified version that answers requests, with its card and the time from which it does (ISO 8601, UTC)."""

    predictor: Predictor
    card: dict[str, Any]
    since: str


class Champion:
    """The store's champion.

    `current` is replaced in one step when a new champion is loaded and verified. A champion that can't be verified
    isn't served: the previous one stays, and `problem` says why.
    """

    def __init__(self, store: Store) -> None:
        self._uri = store.uri
        self.problem = ""
        self.current = self._load(store.resolve_version())

    def refresh(self) -> None:
        """Load the champion if it is another version than the one that is served."""
        problem = ""
        try:
            version = Store(self._uri).resolve_version()
            if version != self.current.predictor.version:
                self.current = self._load(version)
                logger.warning("version %s is served now", version)
        except Exception as error:  # noqa: BLE001, a damaged version may raise any; the next one must be followed
            problem = str(error) or type(error).__name__
        if problem and problem != self.problem:
            logger.error("version %s stays: %s", self.current.predictor.version, problem)
        self.problem = problem

    def follow(self, seconds: float, stop: Event) -> None:
        """Refresh every few seconds until `stop` is set."""
        while not stop.wait(seconds):
            self.refresh()

    def _load(self, version: int) -> ServedVersion:
        store = Store(self._uri)  # another one would remember that it has verified the version before
        predictor = stream.predictor(store, version)
        return ServedVersion(predictor, store.card(version), datetime.now(UTC).isoformat(timespec="seconds"))
