"""Metrics of class predictions: hits, and the logarithm of the true class's probability."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt

from mxtrain.errors import CallError
from mxtrain.metric.base import Shown, SumMetric, pairs_of, register, registry

if TYPE_CHECKING:
    from mxtrain.metric.base import Array


@registry.alias("acc")
@register
class Accuracy(SumMetric):
    r"""Share of labels that were predicted.

    .. math:: \frac{1}{n}\sum_i [\hat y_i = y_i]

    A prediction of another shape than its label holds scores and is replaced by its argmax over
    ``axis``; one of the label's shape holds class numbers. Both are truncated to integers, and
    every label counts, so ``count`` makes no difference.

    Raises
    ------
    ValueError : label and prediction do not have the same number of elements.

    Source: ``mxnet.metric.Accuracy``, release 1.9.1.
    """

    higher_is_better = True

    axis: Annotated[int, "axis of the classes"] = 1
    name: Shown = "accuracy"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels of any shape and predictions of that shape or with a class axis."""
        import numpy as np

        for label, pred in pairs_of(self.name, labels, preds):
            classes = pred
            if pred.shape != label.shape:
                if not -pred.ndim <= self.axis < pred.ndim:
                    raise ValueError(
                        f"{self.name}: a prediction of shape {pred.shape} has no axis {self.axis} "
                        f"of classes and is not of the label's shape {label.shape}; set axis"
                    )
                classes = pred.argmax(axis=self.axis)
            if classes.size != label.size:
                raise ValueError(
                    f"{self.name}: label {label.shape} and prediction {pred.shape} (classes along "
                    f"axis {self.axis}) do not fit: {label.size} labels, {classes.size} predictions"
                )
            hits = label.ravel().astype(np.int32) == classes.ravel().astype(np.int32)
            self._add(int(np.count_nonzero(hits)), label.size)


@registry.alias("top_k_accuracy", "top_k_acc")
@register
class TopKAccuracy(SumMetric):
    r"""Share of rows whose label is among the ``top_k`` classes of largest score.

    .. math:: \frac{1}{n}\sum_i \big[\#\{c : p_{ic} > p_{i y_i}\} < k\big]

    Of equal scores the lower class number comes first, as in argmax (undefined in MXNet), and a
    NaN comes before every number. Every row counts once, so ``count`` makes no difference.

    Raises
    ------
    CallError : ``top_k`` is not above 1 (take accuracy instead), or predictions have more than two
        axes.
    ValueError : fewer than ``top_k`` classes, or not as many labels as rows.

    Source: ``mxnet.metric.TopKAccuracy``, release 1.9.1.
    """

    higher_is_better = True

    top_k: Annotated[int, Gt(1), "how many classes may be named; must be given, above 1"] = 1
    name: Shown = "top_k_accuracy"

    def _settle(self) -> None:
        if not self.top_k > 1:
            raise CallError(
                f"top_k must be above 1, got {self.top_k}; for top_k=1 use the metric 'accuracy'"
            )
        if not self.name.endswith(f"_{self.top_k}"):  # a name out of get_config has it already
            self.name += f"_{self.top_k}"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels of n class numbers and predictions of shape (n, classes)."""
        import numpy as np

        for label, pred in pairs_of(self.name, labels, preds):
            self._check(label, pred)
            wanted = label.reshape(-1, 1).astype(np.int64)
            own = _score_of_label(self.name, label, pred)[:, None]
            before = ~(pred <= own)
            before |= (pred == own) & (np.arange(pred.shape[1]) < wanted)
            hits = np.count_nonzero(before, axis=1) < self.top_k
            self._add(int(np.count_nonzero(hits)), len(pred))

    def _check(self, label: Array, pred: Array) -> None:
        if pred.ndim > 2:
            raise CallError(f"{self.name}: predictions must be (rows, classes), got {pred.shape}")
        if pred.ndim < 2 or pred.shape[1] < self.top_k:
            raise ValueError(
                f"{self.name}: predictions must be (rows, classes) with at least {self.top_k} "
                f"classes, got {pred.shape}; lower top_k"
            )
        if label.size != len(pred):
            raise ValueError(
                f"{self.name}: one label per row is needed, got label {label.shape} and "
                f"prediction {pred.shape}"
            )


@registry.alias("ce", "cross-entropy")
@register
class CrossEntropy(SumMetric):
    r"""Mean negative logarithm of the probability given to the label.

    .. math:: -\frac{1}{n}\sum_i \log(p_{i y_i} + \epsilon)

    The logarithm is taken in the type of the predictions, the sum in float64. Every row counts
    once, so ``count`` makes no difference.

    Raises
    ------
    CallError : not as many labels as rows.
    IndexError : a label that is no class (a negative one, too).

    Source: ``mxnet.metric.CrossEntropy``, release 1.9.1.
    """

    eps: Annotated[float, Ge(0), "added to the probability, against log(0)"] = 1e-12
    name: Shown = "cross-entropy"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels of n class numbers and probabilities of shape (n, classes)."""
        import numpy as np

        for label, pred in pairs_of(self.name, labels, preds):
            if pred.ndim != 2 or label.size != len(pred):
                raise CallError(
                    f"{self.name}: predictions must be (rows, classes) with one label per row, "
                    f"got label {label.shape} and prediction {pred.shape}"
                )
            logs = np.log(_score_of_label(self.name, label, pred) + self.eps)
            self._add(-float(logs.sum(dtype=np.float64)), label.size)


@registry.alias("nll_loss", "nll-loss")
@register
class NegativeLogLikelihood(CrossEntropy):
    r"""Mean negative log-likelihood: `CrossEntropy` under another name.

    .. math:: -\frac{1}{n}\sum_i \log(p_{i y_i} + \epsilon)

    Source: ``mxnet.metric.NegativeLogLikelihood``, release 1.9.1.
    """

    eps: Annotated[float, Ge(0), "added to the probability, against log(0)"] = 1e-12
    name: Shown = "nll-loss"


@register
class Perplexity(SumMetric):
    r"""Exponential of the mean negative log-probability of the label.

    .. math::
        \exp\Big(-\frac{1}{n}\sum_{i:\,y_i \ne \text{ignore\_label}}
        \log\max(10^{-10}, p_{i y_i})\Big)

    Labels equal to ``ignore_label`` are left out of sum and count. Every other label counts once,
    so ``count`` makes no difference.

    Raises
    ------
    CallError : not one label per distribution.
    IndexError : a label that is neither a class nor ``ignore_label``.

    Source: ``mxnet.metric.Perplexity``, release 1.9.1.
    """

    ignore_label: Annotated[int | None, "label that does not count; null for none"]
    axis: Annotated[int, "axis of the classes"] = -1
    name: Shown = "perplexity"

    def update(self, labels: Any, preds: Any) -> None:
        """Take in class numbers and probabilities with a class axis; other axes are flattened."""
        import numpy as np

        for label, pred in pairs_of(self.name, labels, preds):
            rows = np.moveaxis(pred, self.axis, -1).reshape(-1, pred.shape[self.axis])
            if label.size != len(rows):
                raise CallError(
                    f"{self.name}: one label per distribution is needed, got label {label.shape} "
                    f"and prediction {pred.shape} with classes along axis {self.axis}"
                )
            flat = label.ravel()
            if self.ignore_label is not None:
                kept = flat != self.ignore_label
                flat, rows = flat[kept], rows[kept]
            logs = np.log(np.maximum(1e-10, _score_of_label(self.name, flat, rows)))
            self._add(-float(logs.sum(dtype=np.float64)), flat.size)

    def _value(self, total: float, number: float) -> float:
        return exp(total / number) if number else float("nan")


def _score_of_label(metric: str, label: Array, pred: Array) -> Array:
    """Return from each row of `pred` the score of the class its label names."""
    import numpy as np

    classes = label.ravel().astype(np.int64)
    if classes.size and not (classes.min() >= 0 and classes.max() < pred.shape[1]):
        wrong = classes[(classes < 0) | (classes >= pred.shape[1])][0]
        raise IndexError(
            f"{metric}: label {wrong} is outside the classes 0 to {pred.shape[1] - 1} of the "
            "prediction; check the labels or the width of the output"
        )
    picked: Array = pred[np.arange(classes.size), classes]
    return picked
