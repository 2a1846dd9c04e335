"""The metrics of a run: which outputs and labels each one sees, and the names it is shown under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import metric as metrics
from mxtrain.errors import MXNetError, unknown_name
from mxtrain.settings import settings
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.outputs import Head

if TYPE_CHECKING:
    from mxtrain.config.spec import Component

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RunMetric:
    """One metric of ``fit.metrics``.

    Attributes
    ----------
    component : as the config names it.
    metric : counts every row once.
    heads : the outputs it looks at.
    prefix : put before its names where another metric has the same.
    """

    component: Component
    metric: Any
    heads: tuple[Head, ...]
    prefix: str = ""

    def update(self, outputs: Mapping[str, Array], labels: Mapping[str, Array]) -> None:
        """Take in rows; SetupError for outputs or labels it cannot measure."""
        seen = {head.output: outputs[head.output] for head in self.heads}
        names = [head.label for head in self.heads if head.label is not None]
        try:
            if self.metric.label_names is None and len(set(names)) < len(names):
                self.metric.update([labels[name] for name in names], list(seen.values()))
            else:
                chosen = labels if self.metric.label_names else {n: labels[n] for n in names}
                self.metric.update_dict(chosen, seen)
        except (ValueError, IndexError, KeyError, AssertionError, MXNetError) as error:
            text = error.args[0] if isinstance(error, KeyError) else error
            among = ", ".join(seen)
            raise SetupError(
                f"fit.metrics: {self.component.name} cannot measure {among}: {text}"
            ) from error

    def names(self) -> list[str]:
        """Return the names it is shown under."""
        return [self.prefix + name for name, _ in self.metric.get_name_value()]

    def values(self) -> dict[str, float]:
        """Return its values by the names they are shown under."""
        return {self.prefix + name: float(v) for name, v in self.metric.get_name_value()}


# Which outputs a metric without `output_names` is for, where a network has several.
_FOR_CLASSES = (
    "accuracy",
    "topkaccuracy",
    "crossentropy",
    "negativeloglikelihood",
    "perplexity",
    "f1",
    "mcc",
    "pcc",
)
_FOR_VALUES = ("mae", "mse", "rmse", "pearsoncorrelation")


def make_metrics(components: Sequence[Component], heads: Sequence[Head]) -> list[RunMetric]:
    """Return the metrics of a run, each counting every row once.

    In a network with several outputs a metric looks at those of its `output_names`. Without these
    there is one for each output with classes, or with values, as befits it; one that could be for
    either looks at all outputs. Raises SetupError for a name that is no output.
    """
    made = [
        RunMetric(component, _create(component), chosen)
        for component in components
        for chosen in _chosen(component, heads)
    ]
    names = [name for one in made for name in one.names()]
    return [
        replace(one, prefix=f"{one.heads[0].node}_")
        if any(names.count(name) > 1 for name in one.names())
        else one
        for one in made
    ]


def _create(component: Component) -> Any:
    cls = metrics.registry.get(component.name)
    given = dict(component.settings)
    if any(setting.name == "count" for setting in settings(cls)):
        given["count"] = "rows"  # a user's own metric need not know this setting
    return cls(**given)


def _chosen(component: Component, heads: Sequence[Head]) -> list[tuple[Head, ...]]:
    """Return the outputs of each metric that a component stands for."""
    by_name = {head.output: head for head in heads}
    wanted = component.settings.get("output_names")
    if wanted is not None:
        for name in wanted:
            if name not in by_name:
                where = f"fit.metrics: {component.name}.output_names: "
                raise SetupError(where + unknown_name("output", name, by_name))
        return [tuple(by_name[name] for name in wanted)]
    name = metrics.registry.get(component.name).__name__.lower()
    suited = [
        head
        for head in heads
        if head.label is not None and name in (_FOR_CLASSES if head.classifies else _FOR_VALUES)
    ]
    return [(head,) for head in suited] if suited and len(heads) > 1 else [tuple(heads)]


def resolve(wanted: str, run_metrics: Sequence[RunMetric]) -> str:
    """Return the name under which a metric of the config is shown (``acc`` is ``accuracy``)."""
    names = [name for one in run_metrics for name in one.names()]
    if wanted == "loss" or wanted in names:
        return wanted
    for one in run_metrics:
        same = wanted in metrics.registry and metrics.registry.get(wanted) is type(one.metric)
        if same or wanted == one.component.name:
            return one.names()[0]
    raise SetupError(
        f"fit.early_stopping.metric: {unknown_name('metric', wanted, ['loss', *names])}"
    )


def higher_is_better(name: str, run_metrics: Sequence[RunMetric]) -> bool:
    """Whether larger values of a shown metric are better (False for losses)."""
    return any(
        bool(type(one.metric).higher_is_better) for one in run_metrics if name in one.names()
    )
