"""F1 and MCC: scores of a two-class prediction from its four counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from mxtrain.metric.base import LabelNames, OutputNames, PooledMetric, Shown, pairs_of, register

if TYPE_CHECKING:
    from mxtrain.metric.base import Array

Average = Annotated[
    Literal["macro", "micro"], "mean of the batch values, or the value of all rows together"
]


@dataclass(frozen=True)
class BinaryCounts:
    """True and false positives and negatives of a set of rows."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.tp + other.tp, self.fp + other.fp, self.tn + other.tn, self.fn + other.fn
        )

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self.tp + self.fp + self.tn + self.fn

    def score(self) -> float:
        """Return the score of these counts; a subclass says which."""
        raise NotImplementedError


class F1Counts(BinaryCounts):
    """Counts scored by F1."""

    def score(self) -> float:
        """Return the harmonic mean of precision and recall; 0 where it is undefined."""
        precision = self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0
        recall = self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0
        both = precision + recall
        return 2 * precision * recall / both if both else 0.0


class MCCCounts(BinaryCounts):
    """Counts scored by the Matthews correlation coefficient."""

    def score(self) -> float:
        """Return the coefficient; factors of the denominator that are zero count as 1."""
        tp, fp, tn, fn = self.tp, self.fp, self.tn, self.fn
        factors = (tp + fp, tp + fn, tn + fp, tn + fn)
        return (tp * tn - fp * fn) / sqrt(prod(factor or 1 for factor in factors))


class _BinaryMetric(PooledMetric):
    """What F1 and MCC share: counting, and averaging over batches or rows."""

    higher_is_better = True
    _pool_type: ClassVar[type[BinaryCounts]] = BinaryCounts

    average: Average = "macro"

    def _settle(self) -> None:
        check_average(self.average)

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels of n class numbers (0, 1) and scores of shape (n, 2).

        Raises
        ------
        ValueError : more than two label values, not one label per row, or no class axis.
        """
        batch = self._pool_type()
        for label, pred in pairs_of(self.name, labels, preds):
            batch = batch + self._count(label, pred)
        if self.average == "micro" or self.count == "rows":
            self._pool(batch)
        else:
            self._add(batch.score(), 1)

    def _count(self, label: Array, pred: Array) -> BinaryCounts:
        import numpy as np

        if pred.ndim < 2:
            raise np.exceptions.AxisError(
                f"{self.name}: predictions must be scores of shape (rows, 2), got {pred.shape}; "
                "give one column per class"
            )
        classes = label.ravel().astype(np.int32)
        positive = (pred.argmax(axis=1) == 1).ravel()
        if classes.size != positive.size:
            raise ValueError(
                f"{self.name}: one label per row is needed, got label {label.shape} and "
                f"prediction {pred.shape}"
            )
        values = np.unique(classes)
        if len(values) > 2:
            raise ValueError(
                f"{self.name} is for two classes, got labels {values[:10].tolist()}; for more "
                "classes use the metric 'pcc'"
            )
        truth = classes == 1
        tp = int(np.count_nonzero(truth & positive))
        fp = int(np.count_nonzero(positive)) - tp
        fn = int(np.count_nonzero(truth)) - tp
        return self._pool_type(tp, fp, classes.size - tp - fp - fn, fn)


@register
class F1(_BinaryMetric):
    r"""Harmonic mean of precision and recall of class 1; 0 where undefined.

    .. math::
        F_1 = \frac{2PR}{P + R}, \qquad P = \frac{tp}{tp + fp}, \qquad R = \frac{tp}{tp + fn}

    ``average="macro"`` is the mean of the values of the batches, ``"micro"`` the value of all rows
    together; ``count="rows"`` always gives the latter, since a mean over batches cannot count every
    row once.

    Raises
    ------
    ValueError : an unknown ``average``, more than two label values, or shapes that do not fit.

    Source: ``mxnet.metric.F1``, release 1.9.1.
    """

    _pool_type = F1Counts

    name: Shown = "f1"
    output_names: OutputNames = None
    label_names: LabelNames = None
    average: Average = "macro"


@register
class MCC(_BinaryMetric):
    r"""Matthews correlation coefficient of a two-class prediction, -1 to 1.

    .. math::
        \frac{tp \cdot tn - fp \cdot fn}
        {\sqrt{(tp + fp)(tp + fn)(tn + fp)(tn + fn)}}

    Factors of the denominator that are zero count as 1. ``average="macro"`` is the mean of the
    values of the batches, ``"micro"`` the value of all rows together; ``count="rows"`` always gives
    the latter, since a mean over batches cannot count every row once.

    Raises
    ------
    ValueError : an unknown ``average``, more than two label values, or shapes that do not fit.

    Source: ``mxnet.metric.MCC``, release 1.9.1; Matthews 1975.
    """

    _pool_type = MCCCounts

    name: Shown = "mcc"
    output_names: OutputNames = None
    label_names: LabelNames = None
    average: Average = "macro"


def check_average(average: object) -> None:
    """Refuse an ``average`` that does not exist (ValueError)."""
    if average not in ("macro", "micro"):
        raise ValueError(
            f"average must be 'macro' or 'micro', got {average!r}; choose one of the two"
        )
