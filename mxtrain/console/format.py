"""Numbers as people read them: metrics in six characters, rates, durations, counts.

Everything here returns plain ASCII, so that the same text serves a terminal, a pipe and a log.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mxtrain.errors import size as size

METRIC_WIDTH = 6
MAX_CHANGES_LISTED = 3

_SHORT_NAMES = {
    "accuracy": "acc",
    "cross-entropy": "ce",
    "cross_entropy": "ce",
    "nll-loss": "nll",
    "nll_loss": "nll",
    "perplexity": "ppl",
    "pearsonr": "r",
    "pearsoncorrelation": "r",
    "top_k_accuracy": "top-k",
}


def metric(value: float | None) -> str:
    """Return a metric in six characters or fewer: four decimals, fewer of a large value.

    >>> [metric(v) for v in (0.97224, 12.3456, -0.5, 0.00012, 123456789.0)]
    ['0.9722', '12.346', '-0.500', '1.2e-4', '1.2e8']
    >>> metric(None)
    '-'
    """
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size != 0 and (size < 1e-3 or size >= 99999.5):
        return _scientific(value)
    sign = 1 if value < 0 else 0
    for digits in range(METRIC_WIDTH - 2 - sign, -1, -1):
        text = f"{value:.{digits}f}"
        if len(text) <= METRIC_WIDTH:
            return text
    return _scientific(value)


def _scientific(value: float) -> str:
    for digits in (1, 0):
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
        if len(text) <= METRIC_WIDTH:
            break
    return text


def learning_rate(value: float) -> str:
    """Return a learning rate with three significant digits, in at most seven characters.

    >>> [learning_rate(rate) for rate in (0.1, 0.00729, 7.29e-5, 1e-4, 69420.0, 278000.0)]
    ['0.1', '0.00729', '7.29e-5', '1e-4', '69400', '2.78e5']
    """
    if value == 0 or 1e-3 <= abs(value) < 99950:
        text = f"{value:.3g}"
        return f"{float(text):.0f}" if "e" in text else text
    if not math.isfinite(value):
        return str(value)
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def rate_changes(changes: Sequence[tuple[int, float]], before: float | None, arrow: str) -> str:
    """Say how the learning rate moved: each change with its update, or, of many, the two ends.

    `before` is the rate in force before the first change, None where it is not known.

    >>> rate_changes([(100, 0.09)], 0.1, "->")
    '0.1 -> 0.09 at update 100'
    >>> rate_changes([(n, 1 / n) for n in range(10, 20)], 0.1, "->")
    '0.1 -> 0.0526 in 10 changes'
    """
    rates = [learning_rate(rate) for _, rate in changes]
    start = [learning_rate(before)] if before is not None else []
    if len(changes) > MAX_CHANGES_LISTED:
        return f" {arrow} ".join([*start, rates[-1]]) + f" in {len(changes)} changes"
    steps = [f"{rate} at update {n}" for rate, (n, _) in zip(rates, changes, strict=True)]
    return f" {arrow} ".join([*start, *steps])


def per_second(value: float) -> str:
    """Return a rate in at most five characters.

    >>> per_second(812.4), per_second(38140), per_second(1.24e6)
    ('812', '38.1k', '1.24M')
    """
    if not math.isfinite(value):
        return "-"
    for limit, scale, unit in ((999.5, 1.0, ""), (999.5e3, 1e3, "k"), (999.5e6, 1e6, "M")):
        if value < limit:
            scaled = value / scale
            return (f"{scaled:.0f}" if not unit else f"{scaled:.3g}") + unit
    return f"{value / 1e9:.3g}G"


def duration(seconds: float) -> str:
    """Return a duration: seconds below one minute, then m:ss, then h:mm:ss.

    >>> duration(0.42), duration(12.34), duration(125), duration(3725)
    ('0.42s', '12.3s', '2:05', '1:02:05')
    """
    if not math.isfinite(seconds):
        return "-"
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    return clock(seconds)


def clock(seconds: float) -> str:
    """Return a duration in whole seconds, as m:ss or h:mm:ss.

    >>> clock(4.6), clock(3725)
    ('0:05', '1:02:05')
    """
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str = "") -> str:
    """Return a number with its thousands marked, and `noun` in the right number.

    >>> count(9610, "parameter"), count(1, "row"), count(3, "batch"), count(2, "epoch")
    ('9,610 parameters', '1 row', '3 batches', '2 epochs')
    """
    if not noun:
        return f"{number:,}"
    ending = "es" if noun.endswith(("tch", "s", "x")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else ending}"


def fraction(value: float) -> str:
    """Return a number, as ``1/n`` where it is the reciprocal of a whole one.

    >>> fraction(1 / 64), fraction(1.0), fraction(0.3)
    ('1/64', '1', '0.3')
    """
    if 0 < value < 1:
        denominator = round(1 / value)
        if math.isclose(1 / denominator, value, rel_tol=1e-12):
            return f"1/{denominator}"
    return f"{value:.6g}"


def short_name(name: str, width: int = METRIC_WIDTH) -> str:
    """Return the usual abbreviation of a metric's name, cut to `width` characters if need be.

    >>> short_name("accuracy"), short_name("top_k_accuracy_5"), short_name("rmse")
    ('acc', 'top5', 'rmse')
    """
    lower = name.lower()
    if lower.startswith("top_k_accuracy_"):
        lower = "top" + lower.removeprefix("top_k_accuracy_")
    short = _SHORT_NAMES.get(lower, lower)
    return short if len(short) <= width else short[: width - 1] + "."
