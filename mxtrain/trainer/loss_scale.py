"""The factor on losses that keeps small float16 gradients from becoming zero."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

DYNAMIC = "dynamic"

BEGIN, LEAST, MOST = 2.0**16, 1.0, 2.0**24
# Updates in a row without an overflow after which a dynamic scale is doubled.
WINDOW = 2000


class LossScale:
    """The scale of the coming batch: a fixed number, or one that follows overflows.

    A dynamic scale begins at 2**16. Where a gradient is not finite it is halved, to 1 at least;
    after 2000 updates in a row without such a one it is doubled, to 2**24 at most.

    Source: `LossScaler` of MXNet's AMP (1.9.1), whose numbers these are. There a new scale takes
    hold one batch later, so that the batch after an overflow mostly overflows too; and it falls
    below 1.

    Parameters
    ----------
    setting : ``dynamic`` or the number.

    Attributes
    ----------
    value : the scale.
    is_dynamic : whether it follows overflows.

    >>> scale = LossScale("dynamic")
    >>> scale.overflowed(), scale.value
    (True, 32768.0)
    >>> scale.succeeded(scale.room())
    >>> scale.value
    65536.0
    """

    def __init__(self, setting: float | str) -> None:
        self.is_dynamic = setting == DYNAMIC
        self.value = BEGIN if self.is_dynamic else float(setting)
        self._count = 0

    @property
    def can_be_halved(self) -> bool:
        """Whether an overflow lowers it, so that training may go on."""
        return self.is_dynamic and self.value > LEAST

    def overflowed(self) -> bool:
        """Take note of a gradient that is not finite.

        False, and nothing has changed, where the scale is fixed or 1 already.
        """
        if not self.can_be_halved:
            return False
        self.value, self._count = max(self.value / 2, LEAST), 0
        return True

    def succeeded(self, count: int = 1) -> None:
        """Take note of `count` updates in a row."""
        if not self.is_dynamic:
            return
        self._count += count
        while self._count >= WINDOW:
            self._count -= WINDOW
            self.value = min(2 * self.value, MOST)

    def room(self) -> int:
        """Return after how many further updates in a row it might be doubled, 1 at least."""
        return WINDOW - self._count if self.is_dynamic else sys.maxsize

    def state(self) -> dict[str, Any]:
        """Return what it takes to go on from here."""
        return {"dynamic": self.is_dynamic, "value": self.value, "count": self._count}

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `state` returned; nothing of it where one of the two is fixed."""
        if self.is_dynamic and values["dynamic"]:
            self.value, self._count = float(values["value"]), int(values["count"])
