"""Let Ctrl-C wait until the training has saved a checkpoint."""

from __future__ import annotations

import signal
import threading
from typing import Self


class DeferredSignals:
    """Holds back SIGINT inside a `with` and raises it again at the end.

    Does nothing outside the main thread, where Python accepts no signal handlers. SIGTERM isn't held back: Prefect's
    handler for it tells a cancelled run from a crashed one, and the last checkpoint is there anyway.
    """

    def __init__(self) -> None:
        self.received = False
        self._previous: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_args: object) -> None:
        self.received = True

    def __exit__(self, *_error: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)  # type: ignore[arg-type]  # what signal() returned
        if self.received:
            signal.raise_signal(signal.SIGINT)
