"""Several metrics as one, and `create`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from mxtrain.errors import CallError
from mxtrain.metric.base import EvalMetric, Shown, check_count, register, registry
from mxtrain.metric.custom import CustomMetric
from mxtrain.settings import settings


@registry.alias("composite")
@register
class CompositeEvalMetric(EvalMetric):
    """A list of metrics updated together; `get` gives lists of names and values.

    ``metrics`` holds whatever `create` takes. ``count`` is handed on to those it creates.

    Source: ``mxnet.metric.CompositeEvalMetric``, release 1.9.1.

    >>> CompositeEvalMetric(["acc", "ce"]).get()
    (['accuracy', 'cross-entropy'], [nan, nan])
    """

    metrics: Annotated[list[Any] | None, "metrics to begin with: names, functions, metrics"] = None
    name: Shown = "composite"

    def _settle(self) -> None:
        self._children = [self._child(metric) for metric in self.metrics or []]
        self.metrics = self._children

    def add(self, metric: Any) -> None:
        """Append a metric (anything `create` takes)."""
        self._children.append(self._child(metric))

    def get_metric(self, index: int) -> EvalMetric:
        """Return the metric at `index` (ValueError when there is none)."""
        try:
            return self._children[index]
        except IndexError:
            raise ValueError(
                f"{self.name} has {len(self._children)} metrics, there is no number {index}"
            ) from None

    def update(self, labels: Any, preds: Any) -> None:
        """Take in one batch with every metric."""
        for metric in self._children:
            metric.update(labels, preds)

    def update_dict(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> None:
        """Take in one batch given by name; each metric picks from what this one's names leave."""
        if self.label_names is not None:
            labels = {name: a for name, a in labels.items() if name in self.label_names}
        if self.output_names is not None:
            preds = {name: a for name, a in preds.items() if name in self.output_names}
        for metric in self._children:
            metric.update_dict(labels, preds)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        for metric in self._children:
            metric.reset()

    def reset_local(self) -> None:
        """Forget the local sums of every metric."""
        super().reset_local()
        for metric in self._children:
            metric.reset_local()

    def get(self) -> tuple[list[str], list[float]]:
        """Return the names and the values since the last `reset_local`."""
        return _unzipped([pair for m in self._children for pair in m.get_name_value()])

    def get_global(self) -> tuple[list[str], list[float]]:
        """Return the names and the values since the last `reset`."""
        return _unzipped([pair for m in self._children for pair in m.get_global_name_value()])

    def get_config(self) -> dict[str, Any]:
        """Return what ``create(**config)`` needs to make this metric again."""
        return super().get_config() | {"metrics": [m.get_config() for m in self._children]}

    def _child(self, metric: Any) -> EvalMetric:
        return metric if isinstance(metric, EvalMetric) else create(metric, count=self.count)


def create(metric: Any, *args: Any, **kwargs: Any) -> EvalMetric:
    """Return the metric that `metric` stands for, made with the further arguments.

    `metric` is a registered name (any case), a metric class, a function ``f(label, pred)``, a list
    of such (a composite, each made with the same arguments), a dict of ``get_config``, or a metric,
    which is returned as it is.

    Raises
    ------
    CallError : an unknown name, something that is none of these, or arguments for a metric that
        exists already.

    >>> create("top_k_acc", top_k=3).name
    'top_k_accuracy_3'
    """
    if isinstance(metric, EvalMetric):
        if args or kwargs:
            raise CallError(
                f"metric '{metric.name}' exists already and takes no further arguments, got "
                f"{args or ''}{kwargs or ''}; give its name instead"
            )
        return metric
    if isinstance(metric, Mapping):
        return create(*args, **{**kwargs, **metric})
    if isinstance(metric, list | tuple):
        children = [create(child, *args, **kwargs) for child in metric]
        return CompositeEvalMetric(children, count=kwargs.get("count", "batch"))
    if isinstance(metric, str):
        return _construct(registry.get(metric), args, kwargs)
    if isinstance(metric, type) and issubclass(metric, EvalMetric):
        return _construct(metric, args, kwargs)
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    raise CallError(
        f"a metric is a name, a function, a list of these or an EvalMetric, got {metric!r}; "
        f"names: {', '.join(registry.names())}"
    )


def _construct(cls: type[EvalMetric], args: tuple[Any, ...], kwargs: dict[str, Any]) -> EvalMetric:
    """Construct `cls`; one whose own ``__init__`` knows no ``count`` has it set afterwards."""
    if "count" not in kwargs or any(s.name == "count" for s in settings(cls)):
        return cls(*args, **kwargs)
    rest = {name: value for name, value in kwargs.items() if name != "count"}
    check_count(kwargs["count"])
    metric = cls(*args, **rest)
    metric.count = kwargs["count"]
    return metric


def _unzipped(pairs: list[tuple[str, float]]) -> tuple[list[str], list[float]]:
    return [name for name, _ in pairs], [value for _, value in pairs]
