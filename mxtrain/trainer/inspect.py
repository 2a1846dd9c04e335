"""Looking at a config without training: its network, memory and learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxtrain.trainer import data as run_data
from mxtrain.trainer import describe, outputs
from mxtrain.trainer.build import add_optimizer, build, describe_component, make_scheduler
from mxtrain.trainer.data import Batches
from mxtrain.trainer.report import Rates, Summary

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec
    from mxtrain.executor import Executor
    from mxtrain.module import Module


def summary(spec: RunSpec) -> Summary:
    """Return layers, parameters and memory of a spec's network, bound for one batch."""
    built = build(spec)
    add_optimizer(built)
    parameters = describe.parameter_rows(built)
    layers = describe.layer_rows(built.module)
    return Summary(
        network=outputs.describe(built.module.symbol, built.data.train.data.shape[1:]),
        batch_size=spec.data.batch_size,
        layers=layers,
        parameters=parameters,
        num_parameters=sum(layer.parameters for layer in layers),
        memory=(
            *_memory(built.module, built.module.executor),
            ("rows in memory", _rows_bytes(built.data)),
        ),
    )


def _memory(module: Module, executor: Executor) -> tuple[tuple[str, int], ...]:
    executor.plan.forward(True)
    executor.plan.backward(True)
    return (
        ("parameters", sum(array.nbytes for array in module.parameter_arrays())),
        ("gradients", sum(group.grad.nbytes for group in module.arena.groups)),
        ("optimizer states", module.optimizer_state_bytes()),
        ("activations and scratch", executor.plan.nbytes()),
    )


def _rows_bytes(data: run_data.RunData) -> int:
    arrays = [data.train.data, data.train.label]
    if data.eval is not None:
        arrays += [data.eval.data, data.eval.label]
    return sum(array.nbytes for array in arrays if array is not None)


def rates(spec: RunSpec) -> Rates:
    """Return the learning rate of every update `fit` will make."""
    built = build(spec)
    add_optimizer(built)
    batches = Batches(len(built.data.train), spec.data.batch_size, spec.data.last_batch)
    per_epoch = batches.per_epoch()
    updates = 0
    for epoch in range(spec.fit.begin_epoch, spec.fit.num_epoch):
        updates += sum(1 for _ in batches.epoch(epoch))
    scheduler = make_scheduler(spec)
    constant = built.module.optimizer.learning_rate if scheduler is None else 0.0
    begin = built.module.optimizer.begin_num_update
    return Rates(
        tuple(
            float(scheduler(begin + number)) if scheduler is not None else float(constant)
            for number in range(1, updates + 1)
        ),
        per_epoch,
        describe_component(spec.optimizer, ""),
        describe_component(spec.lr_scheduler, "constant"),
        spec.fit.begin_epoch,
    )
