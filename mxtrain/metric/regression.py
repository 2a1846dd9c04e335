"""Metrics of predicted values: absolute and squared errors."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

from mxtrain.metric.base import Shown, SumMetric, pairs_of, register

if TYPE_CHECKING:
    from mxtrain.metric.base import Array


class _ErrorMetric(SumMetric):
    """A mean over the elements of each batch; ``count="rows"`` weighs it by the batch's rows."""

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels and predictions; one-axis arrays become columns, then they broadcast.

        Raises
        ------
        ValueError : different numbers of rows, or shapes that do not broadcast.
        """
        for label, pred in pairs_of(self.name, labels, preds):
            label, pred = _column(label), _column(pred)
            if len(label) != len(pred):
                raise ValueError(
                    f"{self.name}: label and prediction must have the same number of rows, got "
                    f"{len(label)} and {len(pred)}"
                )
            if len(label):
                self._add_batch(self._mean(label - pred), len(label))

    def _add_batch(self, mean: float, rows: int) -> None:
        if self.count == "rows":
            self._add(mean * rows, rows)
        else:
            self._add(mean, 1)

    def _mean(self, error: Array) -> float:
        """Return the mean over a batch's elements of what is measured of each error."""
        raise NotImplementedError


@register
class MAE(_ErrorMetric):
    r"""Mean absolute error.

    .. math:: \frac{1}{n}\sum_i |y_i - \hat y_i|

    of each batch, averaged over batches whatever their size; with ``count="rows"`` over all rows.

    Source: ``mxnet.metric.MAE``, release 1.9.1.
    """

    name: Shown = "mae"

    def _mean(self, error: Array) -> float:
        import numpy as np

        return float(np.abs(error).mean(dtype=np.float64))


@register
class MSE(_ErrorMetric):
    r"""Mean squared error.

    .. math:: \frac{1}{n}\sum_i (y_i - \hat y_i)^2

    of each batch, averaged over batches whatever their size; with ``count="rows"`` over all rows.

    Source: ``mxnet.metric.MSE``, release 1.9.1.
    """

    name: Shown = "mse"

    def _mean(self, error: Array) -> float:
        import numpy as np

        return float(np.square(error).mean(dtype=np.float64))


@register
class RMSE(MSE):
    r"""Root of the mean squared error.

    .. math:: \sqrt{\frac{1}{n}\sum_i (y_i - \hat y_i)^2}

    of each batch, the roots averaged over batches whatever their size; with ``count="rows"`` the
    root of the mean over all rows (``sum_metric`` then holds the squares).

    Source: ``mxnet.metric.RMSE``, release 1.9.1.
    """

    name: Shown = "rmse"

    def _add_batch(self, mean: float, rows: int) -> None:
        super()._add_batch(mean if self.count == "rows" else sqrt(mean), rows)

    def _value(self, total: float, number: float) -> float:
        value = super()._value(total, number)
        return sqrt(value) if self.count == "rows" else value


def _column(array: Array) -> Array:
    return array.reshape(-1, 1) if array.ndim < 2 else array
