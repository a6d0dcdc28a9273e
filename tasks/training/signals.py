"""Let Ctrl-C wait until the training has saved what it has."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType


class DeferredSignals:
    """Hold back Ctrl-C inside a `with`, and deliver it when that ends.

    Outside the main thread, where Python takes no handlers, nothing is held back. Nor is SIGTERM: by its own handler
    Prefect tells a run that is cancelled from one that crashed; the checkpoint of the epoch before is there.
    """

    def __init__(self) -> None:
        """Begin with nothing received."""
        self.received = False
        self._previous: object = None

    def __enter__(self) -> Self:
        """Take over the handler."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give the handler back, and to it the signal."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)  # type: ignore[arg-type]  # what signal() itself gave
        if self.received:
            signal.raise_signal(signal.SIGINT)
