"""A metric made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from mxtrain.metric.base import (
    Count,
    LabelNames,
    OutputNames,
    SumMetric,
    listed,
    pairs_of,
    register,
    to_numpy,
)

Feval = Callable[[Any, Any], Any]


@register
class CustomMetric(SumMetric):
    """A function of label and prediction, called for each pair of a batch.

    ``feval(label, pred)`` gets NumPy arrays and returns a pair (sum, count), or a number. A number
    counts as one instance; with ``count="rows"`` it is taken for the mean over the label's rows and
    weighs as many. ``allow_extra_outputs`` lets a batch have more predictions than labels; those
    left over are not looked at.

    Raises
    ------
    ValueError : not as many labels as predictions, unless ``allow_extra_outputs``.

    Source: ``mxnet.metric.CustomMetric``, release 1.9.1.

    >>> import numpy
    >>> metric = CustomMetric(lambda label, pred: abs(label - pred).sum())
    >>> metric.update([numpy.array([1, 2])], [numpy.array([1, 5])])
    >>> metric.get()
    ('custom(<lambda>)', 3.0)
    """

    def __init__(
        self,
        feval: Annotated[Feval, "function of label and prediction"],
        name: Annotated[str | None, "name shown beside the value; else the function's"] = None,
        allow_extra_outputs: Annotated[bool, "allow predictions without a label"] = False,
        output_names: OutputNames = None,
        label_names: LabelNames = None,
        *,
        count: Count = "batch",
    ) -> None:
        self.feval = feval
        self.allow_extra_outputs = allow_extra_outputs
        super().__init__(name or _shown(feval), output_names, label_names, count=count)

    def update(self, labels: Any, preds: Any) -> None:
        """Take in labels and predictions of the shapes the function expects."""
        if self.allow_extra_outputs:
            labels = listed(labels)
            preds = listed(preds)[: len(labels)]
        for label, pred in pairs_of(self.name, labels, preds):
            result = self.feval(label, pred)
            if isinstance(result, tuple):
                total, number = result
                self._add(total, number)
            elif self.count == "rows":
                rows = len(label) if label.ndim else 1
                self._add(float(to_numpy(result)) * rows, rows)
            else:
                self._add(result, 1)

    def get_config(self) -> dict[str, Any]:
        """Raise NotImplementedError: a function cannot be put into a configuration."""
        raise NotImplementedError(
            f"metric '{self.name}' is made of a Python function, which get_config cannot express; "
            "register a metric class instead"
        )


def np(
    numpy_feval: Feval, name: str | None = None, allow_extra_outputs: bool = False
) -> CustomMetric:
    """Return the metric made of a function of NumPy arrays; see `CustomMetric`."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)


def _shown(feval: Feval) -> str:
    name = getattr(feval, "__name__", type(feval).__name__)
    return f"custom({name})" if "<" in name else name
