"""Let a signal wait until the training has saved what it has."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Deferred:
    """Hold back Ctrl-C and SIGTERM inside a `with`, and deliver the one that came when it ends.

    Outside the main thread, where Python takes no handlers, nothing is held back.
    """

    def __init__(self) -> None:
        """Begin with no signal received."""
        self.received: int | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Take over the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = number

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give the handlers back, and to them the signal."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself gave
        if self.received is not None:
            signal.raise_signal(self.received)
