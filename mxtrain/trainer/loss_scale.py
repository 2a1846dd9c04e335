"""The factor that losses are multiplied by, so that gradients in half precision do not vanish."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

FIRST, LEAST, MOST = 2.0**16, 1.0, 2.0**24
# Updates in a row without an overflow after which the scale is doubled.
WINDOW = 2000


class LossScale:
    """A scale of the loss that stays as given, or finds its way.

    A ``dynamic`` one behaves as that of MXNet 1.9.1's mixed precision: it begins at 65,536, is
    halved (to 1 at least) by every gradient that is not finite, whose update is left out, and
    doubled (to 16,777,216 at most) after 2,000 updates in a row without one.

    Parameters
    ----------
    setting : a number, ``dynamic``, or None: no scale.

    Attributes
    ----------
    is_on : whether there is any.
    value : the scale; powers of two change no digit of a gradient.
    left_out : updates left out since it was last set to 0.
    """

    def __init__(self, setting: float | str | None) -> None:
        self.is_on, self._is_dynamic = setting is not None, setting == "dynamic"
        self.value = 1.0 if setting is None else FIRST if setting == "dynamic" else float(setting)
        self.left_out = 0
        self._in_a_row = 0

    def can_fall(self) -> bool:
        """Whether a smaller scale may be tried."""
        return self._is_dynamic and self.value > LEAST

    def overflowed(self) -> bool:
        """Take note of a gradient that is not finite; False where a smaller scale is no help."""
        if not self.can_fall():
            return False
        self.value = max(self.value / 2, LEAST)
        self._in_a_row = 0
        self.left_out += 1
        return True

    def succeeded(self, updates: int = 1) -> None:
        """Take note of updates with finite gradients, `room` at most."""
        if not self._is_dynamic:
            return
        self._in_a_row += updates
        if self._in_a_row >= WINDOW:
            self.value = min(self.value * 2, MOST)
            self._in_a_row = 0

    def room(self) -> int:
        """Return how many updates may come before the scale changes by itself."""
        return WINDOW - self._in_a_row if self._is_dynamic else sys.maxsize

    def state(self) -> dict[str, Any]:
        """Return where it stands."""
        return {"value": self.value, "in_a_row": self._in_a_row, "left_out": self.left_out}

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `state` of a dynamic scale returned; another one stays as it is given."""
        if self._is_dynamic and values:
            self.value, self._in_a_row = float(values["value"]), int(values["in_a_row"])
            self.left_out = int(values["left_out"])
