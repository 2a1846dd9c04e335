"""From a spec to a bound module: network, parameters, optimizer, schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mxtrain import initializer, lr_scheduler, metric
from mxtrain import random as mx_random
from mxtrain.config import graph
from mxtrain.errors import MXNetError
from mxtrain.io import DataDesc
from mxtrain.io.errors import DataError
from mxtrain.module import Module
from mxtrain.trainer import data as run_data
from mxtrain.trainer import outputs

if TYPE_CHECKING:
    from mxtrain.config.spec import Component, RunSpec
    from mxtrain.trainer.data import RunData
    from mxtrain.trainer.outputs import Head


@dataclass(frozen=True)
class Built:
    """A module bound and initialized for a run."""

    spec: RunSpec
    module: Module
    data: RunData
    heads: list[Head]
    labels: list[str]
    initializer: Any


def build(spec: RunSpec) -> Built:
    """Read the data, build the network, bind it and draw the initial weights.

    Raises DataError for unusable rows and MXNetError for a network that does not fit them.
    """
    symbol = graph.build(spec.symbol)
    heads = outputs.heads_of(symbol)
    if not heads:
        raise MXNetError("the network has no output to learn from; end it with SoftmaxOutput")
    labels = outputs.label_names(heads)
    data = run_data.load(spec.data, outputs.label_kind(heads), spec.seed)
    mx_random.seed(spec.seed)
    module = Module(
        symbol,
        data_names=["data"],
        label_names=labels,
        state_names=_state_names(symbol),
        backend=spec.backend,
    )
    shape = (spec.data.batch_size, *data.train.data.shape[1:])
    module.bind([DataDesc("data", shape)], _label_shapes(symbol, shape, labels, data))
    _check_classes(module, heads, data)
    start = initializer.create(spec.initializer.name, **spec.initializer.settings)
    module.init_params(start)
    return Built(spec, module, data, heads, labels, start)


def _state_names(symbol: Any) -> list[str]:
    """Inputs that a run neither learns nor reads: initial states of recurrent operators."""
    return [
        entry.node.name
        for node in symbol.nodes()
        if not node.is_variable
        for name, entry in zip(node.operator.arguments(), node.inputs, strict=False)
        if name in ("state", "state_cell") and entry.node.is_variable
    ]


def _label_shapes(
    symbol: Any, shape: tuple[int, ...], labels: list[str], data: RunData
) -> list[DataDesc]:
    """Labels keep the shape of the data's where the network accepts it, else the inferred one."""
    if data.train.label is None or not labels:
        return []
    given = data.train.label.shape[1:] if len(labels) == 1 else ()
    return [DataDesc(name, (shape[0], *given)) for name in labels]


def _check_classes(module: Module, heads: list[Head], data: RunData) -> None:
    count = outputs.class_count(heads, dict(module.output_shapes))
    names = data.labels.names if data.labels is not None else ()
    if count is not None and len(names) > count:
        raise DataError(
            data.train.source,
            f"has {len(names)} classes, but the network tells {count} apart",
            advice=f"set num_hidden of its last layer to {len(names)}",
        )


def add_optimizer(built: Built) -> None:
    """Give the module the spec's optimizer and schedule."""
    spec = built.spec
    settings = dict(spec.optimizer.settings)
    if spec.lr_scheduler is not None:
        settings["lr_scheduler"] = make_scheduler(spec)
    built.module.init_optimizer(optimizer=spec.optimizer.name, optimizer_params=settings)


def make_scheduler(spec: RunSpec) -> Any:
    """Return the spec's scheduler (None without one); its base rate is the optimizer's."""
    if spec.lr_scheduler is None:
        return None
    return lr_scheduler.create(spec.lr_scheduler.name, **spec.lr_scheduler.settings)


def make_metric(components: tuple[Component, ...]) -> Any:
    """Return the metrics as one that counts every row once (None for none)."""
    if not components:
        return None
    children = [metric.create(c.name, count="rows", **c.settings) for c in components]
    return metric.create(children)


def describe_component(component: Component | None, nothing: str) -> str:
    """Return a component as it is shown: name and settings."""
    if component is None:
        return nothing
    shown = ", ".join(f"{key} {value}" for key, value in component.settings.items())
    return f"{component.name} ({shown})" if shown else component.name
