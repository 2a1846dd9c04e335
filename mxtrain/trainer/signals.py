"""Ctrl-C, SIGTERM, a closed terminal: the running batch is finished, then the run ends in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_HANGUP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none


class StopRequest:
    """While in its ``with`` block, remembers the first signal; a second one stops at once.

    SIGHUP never does that: terminal and shell may both send it.

    `number` is the signal received, 0 for none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self.number != 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.number and number != _HANGUP:
            raise KeyboardInterrupt
        self.number = self.number or number

    def __enter__(self) -> Self:
        # Python allows handlers in the main thread only; elsewhere the caller has its own way.
        if threading.current_thread() is threading.main_thread():
            for number in _asking_to_stop():
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _asking_to_stop() -> list[int]:
    """Return the signals that ask a run to end; one that nohup has set aside stays so."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:
        numbers.append(_HANGUP)
    return numbers
