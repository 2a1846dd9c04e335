"""From a spec to a bound module: network, parameters, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mxtrain import initializer, lr_scheduler
from mxtrain import random as mx_random
from mxtrain.config import graph
from mxtrain.config.weights import fixed_parameters
from mxtrain.errors import MXNetError
from mxtrain.io import DataDesc
from mxtrain.io.errors import DataError
from mxtrain.lr_scheduler.updates import in_updates
from mxtrain.module import Module
from mxtrain.trainer import data as run_data
from mxtrain.trainer import outputs
from mxtrain.trainer.batches import Batches
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.memory import check_room, free_memory
from mxtrain.trainer.weights import SavedWeights

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec
    from mxtrain.symbol import Symbol
    from mxtrain.trainer.data import RunData
    from mxtrain.trainer.outputs import Head


@dataclass(frozen=True)
class Network:
    """A bound module with weights.

    `heads` are the outputs that are learned, `labels` the label inputs in the order of the data's
    label columns.
    """

    module: Module
    heads: list[Head]
    labels: list[str]


@dataclass(frozen=True)
class Built(Network):
    """A module bound and initialized for a run; `initializer` is what filled the parameters."""

    spec: RunSpec
    data: RunData
    initializer: Any


def build(spec: RunSpec) -> Built:
    """Read the data, build the network, bind it and draw the initial weights.

    Raises DataError for unusable rows and SetupError for a network that does not fit them.
    """
    symbol = graph.build(spec.symbol)
    heads = outputs.heads_of(symbol)
    if not heads:
        raise SetupError("the network has no output to learn from; end it with SoftmaxOutput")
    kinds = outputs.label_kinds(symbol, heads)
    data = run_data.load(spec.data, kinds, spec.seed)
    mx_random.seed(spec.seed)
    start: Any = initializer.create(spec.initializer.name, **spec.initializer.settings)
    try:
        module = _bound_module(spec, symbol, data, list(kinds))
        _check_classes(module, heads, data)
        _check_room(module)
        if spec.weights is not None:
            start = SavedWeights(spec.weights, module, start)
        module.init_params(start)
    except (MXNetError, ValueError, KeyError, AssertionError) as error:
        if isinstance(error, DataError):
            raise
        raise SetupError(str(error)) from error
    return Built(module, heads, list(kinds), spec, data, start)


def _bound_module(spec: RunSpec, symbol: Symbol, data: RunData, labels: Sequence[str]) -> Module:
    states = outputs.state_names(symbol)
    inputs = {"data", *labels, *states}
    names = [name for name in symbol.list_arguments() if name not in inputs]
    module = Module(
        symbol,
        data_names=["data"],
        label_names=labels,
        fixed_param_names=_fixed(spec.fit.fixed_params, names),
        state_names=states,
        backend=spec.runs_on,
    )
    rows = spec.data.batch_size
    shapes = [
        DataDesc(name, (rows, *array.shape[1:]))
        for name, array in zip(labels, data.train.labels, strict=True)
    ]
    module.bind([DataDesc("data", (rows, *data.train.data.shape[1:]))], shapes)
    return module


def _fixed(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the parameters that do not learn (SetupError: all of them, or none of a pattern)."""
    try:
        fixed = fixed_parameters(patterns, names)
    except ValueError as error:
        raise SetupError(f"fit.fixed_params: {error}") from error
    if fixed and len(fixed) == len(names):
        raise SetupError(
            f"fit.fixed_params: {', '.join(patterns)} fixes all {len(names)} parameters, so there "
            "is nothing to learn; leave some out"
        )
    return fixed


def _check_classes(module: Module, heads: Sequence[Head], data: RunData) -> None:
    """Refuse an output with fewer classes than its labels have (SetupError)."""
    shapes = dict(module.output_shapes)
    for head in heads:
        classes, told = len(data.classes_of(head.label)), shapes[head.output][-1]
        if getattr(head.operator, "multi_output", False):
            told = shapes[head.output][1]
        if head.classifies and classes > told:
            raise DataError(
                data.train.source,
                f"has {classes} classes, but the output '{head.node}' tells {told} apart",
                advice=f"set num_hidden of the layer before it to {classes}",
            )


def add_optimizer(built: Built) -> None:
    """Give the module the spec's optimizer and schedule."""
    spec = built.spec
    settings = dict(spec.optimizer.settings)
    if spec.lr_scheduler is not None:
        settings["lr_scheduler"] = make_scheduler(built)
    built.module.init_optimizer(optimizer=spec.optimizer.name, optimizer_params=settings)
    _check_room(built.module)


def _check_room(module: Module) -> None:
    if module.executor.plan.backend.name != "cupy":  # a GPU has its own, and says so itself
        check_room(module, free_memory())


def make_scheduler(built: Built) -> Any:
    """Return the spec's scheduler (None without one); its base rate is the optimizer's.

    Counts that the config states in epochs become updates. SetupError for settings that do not go
    together once they have.
    """
    given = built.spec.lr_scheduler
    if given is None:
        return None
    cls = lr_scheduler.registry.get(given.name)
    try:
        return cls(**in_updates(cls, given.settings, _updates_per_epoch(built)))
    except (ValueError, TypeError, AssertionError) as error:
        raise SetupError(f"lr_scheduler: {error}") from error


def _updates_per_epoch(built: Built) -> float:
    """Return the batches of an epoch; on the average where what is left over goes to the next."""
    data = built.spec.data
    if data.last_batch == "roll_over":
        return len(built.data.train) / data.batch_size
    return Batches(len(built.data.train), data.batch_size, data.last_batch).per_epoch()
