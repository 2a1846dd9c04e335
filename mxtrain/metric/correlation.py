"""Correlations between labels and predictions: of values, and of classes."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from sys import float_info
from typing import TYPE_CHECKING, Any, Self

from mxtrain.metric.base import (
    LabelNames,
    OutputNames,
    PooledMetric,
    Shown,
    pairs_of,
    register,
    registry,
)
from mxtrain.metric.binary import Average, check_average

if TYPE_CHECKING:
    from mxtrain.metric.base import Array


@dataclass(frozen=True)
class Moments:
    """Means of two variables, and the sums of squares and products of their deviations.

    Adding two merges them (Chan, Golub & LeVeque 1983), so no precision is lost to large means.
    """

    rows: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, x: Array, y: Array) -> Self:
        """Return the moments of two float64 vectors of one length."""
        if not x.size:
            return cls()
        mean_x, mean_y = float(x.mean()), float(y.mean())
        dx, dy = x - mean_x, y - mean_y
        return cls(x.size, mean_x, mean_y, float(dx @ dx), float(dy @ dy), float(dx @ dy))

    def __add__(self, other: Self) -> Self:
        rows = self.rows + other.rows
        if not rows:
            return self
        dx, dy = other.x - self.x, other.y - self.y
        share = other.rows / rows
        weight = self.rows * share
        return type(self)(
            rows,
            self.x + dx * share,
            self.y + dy * share,
            self.xx + other.xx + dx * dx * weight,
            self.yy + other.yy + dy * dy * weight,
            self.xy + other.xy + dx * dy * weight,
        )

    def score(self) -> float:
        """Return Pearson's correlation; NaN when one of the variables is constant."""
        if _is_constant(self.rows, self.x, self.xx) or _is_constant(self.rows, self.y, self.yy):
            return float("nan")
        return self.xy / (sqrt(self.xx) * sqrt(self.yy))


def _is_constant(rows: int, mean: float, squares: float) -> bool:
    """Whether deviations are no larger than what rounding the mean leaves behind."""
    noise = 16 * float_info.epsilon * mean
    return squares <= rows * noise * noise


@registry.alias("pearsonr")
@register
class PearsonCorrelation(PooledMetric):
    r"""Pearson's correlation between labels and predictions, -1 to 1.

    .. math::
        r = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}
        {\sqrt{\sum_i (x_i - \bar x)^2 \sum_i (y_i - \bar y)^2}}

    over all elements, in float64; NaN when one side is constant. ``average="macro"`` is the mean
    of the values of the batches, ``"micro"`` the value of all rows together; ``count="rows"``
    always gives the latter, since a mean over batches cannot count every row once.

    With ``"micro"``, MXNet's global value stays 0 and `reset_local` does not clear its sums; here
    both are as with any other metric.

    Raises
    ------
    ValueError : an unknown ``average``, or label and prediction of different shape (with
        ``count="rows"``, ``(n,)`` and ``(n, 1)`` go together).

    Source: ``mxnet.metric.PearsonCorrelation``, release 1.9.1.
    """

    higher_is_better = True
    _pool_type = Moments

    name: Shown = "pearsonr"
    output_names: OutputNames = None
    label_names: LabelNames = None
    average: Average = "macro"

    def _settle(self) -> None:
        check_average(self.average)

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels and predictions of one shape."""
        import numpy as np

        for label, pred in pairs_of(self.name, labels, preds):
            self._check(label, pred)
            batch = Moments.of(pred.ravel().astype(np.float64), label.ravel().astype(np.float64))
            if self.average == "micro" or self.count == "rows":
                self._pool(batch)
            else:
                self._add(batch.score(), 1)

    def _check(self, label: Array, pred: Array) -> None:
        shapes = [label.shape, pred.shape]
        if self.count == "rows":
            shapes = [s[:1] if len(s) == 2 and s[1] == 1 else s for s in shapes]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{self.name}: label and prediction must have one shape, got {label.shape} and "
                f"{pred.shape}; reshape one of them"
            )


@dataclass(frozen=True)
class ClassCounts:
    """Margins of a confusion matrix and the sum of its diagonal: all that PCC needs of it."""

    labels: Array
    preds: Array
    hits: int

    def __add__(self, other: Self) -> Self:
        return type(self)(
            _added(self.labels, other.labels),
            _added(self.preds, other.preds),
            self.hits + other.hits,
        )

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.labels.sum())

    def score(self) -> float:
        """Return the multi-class correlation; NaN when labels or predictions are all one class."""
        n = float(self.rows)
        x, y = self.preds.astype(float), self.labels.astype(float)
        spread = float((x * (n - x)).sum()) * float((y * (n - y)).sum())
        if spread == 0:
            return float("nan")
        shared = min(len(x), len(y))
        return (n * self.hits - float(x[:shared] @ y[:shared])) / sqrt(spread)


@register
class PCC(PooledMetric):
    r"""Correlation of classes from the confusion matrix of all rows, -1 to 1; MCC for k classes.

    .. math::
        \frac{n \sum_k C_{kk} - \sum_k x_k y_k}
        {\sqrt{\sum_k x_k (n - x_k)\, \sum_k y_k (n - y_k)}}

    with :math:`C` the confusion matrix, :math:`x_k` predictions and :math:`y_k` labels of class k.
    NaN when all labels, or all predictions, are one class. Always over all rows, so ``count``
    makes no difference.

    Raises
    ------
    ValueError : negative class numbers, or shapes that do not fit.

    Source: ``mxnet.metric.PCC``, release 1.9.1; Gorodkin 2004.
    """

    higher_is_better = True
    _pool_type = ClassCounts

    name: Shown = "pcc"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in n class numbers and scores of shape (n, classes), or class numbers for both."""
        for label, pred in pairs_of(self.name, labels, preds):
            self._pool(self._count(label, pred))

    def _count(self, label: Array, pred: Array) -> ClassCounts:
        import numpy as np

        classes = pred if pred.shape == label.shape else _argmax(self.name, label, pred)
        truth, guess = (a.ravel().astype(np.int32) for a in (label, classes))
        if truth.size != guess.size:
            raise ValueError(
                f"{self.name}: one label per prediction is needed, got label {label.shape} and "
                f"prediction {pred.shape}"
            )
        if truth.size and min(truth.min(), guess.min()) < 0:
            raise ValueError(
                f"{self.name}: class numbers must not be negative, got "
                f"{min(truth.min(), guess.min())}; number the classes from 0"
            )
        return ClassCounts(
            np.bincount(truth), np.bincount(guess), int(np.count_nonzero(truth == guess))
        )


def _argmax(metric: str, label: Array, pred: Array) -> Array:
    if pred.ndim < 2:
        raise ValueError(
            f"{metric}: predictions must be scores (rows, classes) or have the label's shape "
            f"{label.shape}, got {pred.shape}"
        )
    classes: Array = pred.argmax(axis=1)
    return classes


def _added(a: Array, b: Array) -> Array:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
