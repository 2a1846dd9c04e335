"""Looking at a config without training: its network, memory, weights and learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mxtrain.trainer import describe
from mxtrain.trainer.batches import Batches
from mxtrain.trainer.build import add_optimizer, build, make_scheduler
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.memory import training_memory
from mxtrain.trainer.report import InitialWeight, Rates, Summary

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec


def summary(spec: RunSpec) -> Summary:
    """Return layers and parameters of a spec's network, and the memory that training it takes.

    Raises what `mxtrain.trainer.run.fit` raises before its first batch.
    """
    built = build(spec)
    add_optimizer(built)
    parameters = describe.parameter_rows(built)
    layers = describe.layer_rows(built.module)
    return Summary(
        network=describe.network(built),
        batch_size=spec.data.batch_size,
        layers=layers,
        parameters=parameters,
        num_parameters=sum(layer.parameters for layer in layers),
        memory=training_memory(Loop(built)),
    )


def rates(spec: RunSpec) -> Rates:
    """Return the learning rate of every update `fit` will make."""
    built = build(spec)
    add_optimizer(built)
    batches = Batches(len(built.data.train), spec.data.batch_size, spec.data.last_batch)
    per_epoch = batches.per_epoch()
    updates = 0
    for epoch in range(spec.fit.begin_epoch, spec.fit.num_epoch):
        updates += sum(1 for _ in batches.epoch(epoch))
    scheduler = make_scheduler(built)
    optimizer = built.module.optimizer
    constant = float(optimizer.learning_rate) if scheduler is None else 0.0
    begin = optimizer.begin_num_update
    return Rates(
        tuple(
            constant if scheduler is None else float(scheduler(begin + number))
            for number in range(1, updates + 1)
        ),
        per_epoch,
        describe.optimizer_text(built),
        describe.schedule_text(spec),
        spec.fit.begin_epoch,
    )


def initial_weights(spec: RunSpec) -> list[InitialWeight]:
    """Return every parameter and auxiliary state as the run starts with it."""
    built = build(spec)
    rules = describe.initializer_rules(built)
    arg_params, aux_params = built.module.get_params()
    return [
        InitialWeight(kind, name, np.asarray(values), rules[name])
        for kind, store in (("arg", arg_params), ("aux", aux_params))
        for name, values in store.items()
    ]
