"""Histograms in the terminal: in one line, or as bars with their intervals.

>>> print(sparkline([1, 4, 8, 2], unicode=False))
.=@:
>>> for line in bars([1, 4], -1.0, 1.0, width=24, unicode=False): print(line)
-1 .. 0  ###           1
 0 .. 1  ############  4
"""

from __future__ import annotations

from collections.abc import Sequence

from mxtrain.console.format import learning_rate

_STEPS = " ▁▂▃▄▅▆▇█"
_ASCII_STEPS = " .:-=+*#@"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(counts: Sequence[int], unicode: bool = True) -> str:
    """Return one character per count; only an empty interval is blank."""
    steps = _STEPS if unicode else _ASCII_STEPS
    most = max(counts, default=0)
    return "".join(
        steps[max(1, round(count / most * (len(steps) - 1)))] if count else " " for count in counts
    )


def bars(
    counts: Sequence[int], low: float, high: float, width: int = 72, unicode: bool = True
) -> list[str]:
    """Return one line per interval from `low` to `high`: where it lies, a bar and its count.

    Parameters
    ----------
    counts : at least one.
    low, high : the ends of the first and of the last interval.
    width : the characters of a line.
    unicode : whether block characters can be shown.
    """
    edges = [low + (high / 2 - low / 2) * (2 * i / len(counts)) for i in range(len(counts) + 1)]
    texts = [learning_rate(edge) for edge in edges]
    left = [max(map(len, texts[:-1])), max(map(len, texts[1:]))]
    numbers = [f"{count:,}" for count in counts]
    right = max(map(len, numbers))
    room = max(width - sum(left) - right - 8, 4)
    most = max(*counts, 1)
    lines = []
    for index, count in enumerate(counts):
        interval = f"{texts[index]:>{left[0]}} .. {texts[index + 1]:<{left[1]}}"
        bar = _bar(count / most * room, unicode)
        lines.append(f"{interval}  {bar:<{room}}  {numbers[index]:>{right}}")
    return lines


def _bar(length: float, unicode: bool) -> str:
    if not unicode:
        return "#" * max(round(length), int(length > 0))
    eighths = max(round(length * 8), int(length > 0))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
