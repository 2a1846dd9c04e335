"""Mean of an output that is a loss already."""

from __future__ import annotations

from typing import Any

from mxtrain.metric.base import Shown, SumMetric, listed, register, to_numpy


@register
class Loss(SumMetric):
    r"""Mean of the elements of the predictions, for networks that output their loss.

    .. math:: \frac{1}{n}\sum_i p_i

    Labels are not looked at. Every element counts once, so ``count`` makes no difference.

    Source: ``mxnet.metric.Loss``, release 1.9.1.
    """

    name: Shown = "loss"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in predictions of any shape."""
        import numpy as np

        for pred in map(to_numpy, listed(preds)):
            self._add(float(pred.sum(dtype=np.float64)), pred.size)


@register
class Torch(Loss):
    r"""`Loss` under the name MXNet kept for Torch criteria.

    .. math:: \frac{1}{n}\sum_i p_i

    Source: ``mxnet.metric.Torch``, release 1.9.1.
    """

    name: Shown = "torch"


@register
class Caffe(Loss):
    r"""`Loss` under the name MXNet kept for Caffe loss layers.

    .. math:: \frac{1}{n}\sum_i p_i

    Source: ``mxnet.metric.Caffe``, release 1.9.1.
    """

    name: Shown = "caffe"
