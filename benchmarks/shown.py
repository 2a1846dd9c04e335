"""How figures are written in tables."""

from __future__ import annotations

from collections.abc import Sequence

from timing import Spread


def number(value: float) -> str:
    """Return a number with three digits that count, or whole."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def spread(found: Spread) -> str:
    """Return ``median (low-high)``."""
    return f"{number(found.median)} ({number(found.low)}-{number(found.high)})"


def scaled(seconds: Sequence[float] | None, factor: float) -> str:
    """Return the spread of times in another unit, or nothing where there are none."""
    return spread(Spread.of(value * factor for value in seconds)) if seconds else ""


def micros(seconds: Sequence[float] | None) -> str:
    """Return times in microseconds."""
    return scaled(seconds, 1e6)


def millis(seconds: Sequence[float] | None) -> str:
    """Return times in milliseconds."""
    return scaled(seconds, 1e3)


def times(found: Spread) -> str:
    """Return the spread of a ratio."""
    return spread(found)


def percent(found: Spread) -> str:
    """Return the spread of a share."""
    low, high = (f"{100 * value:.0f}" for value in (found.low, found.high))
    return f"{100 * found.median:.0f} % ({low}-{high})"
