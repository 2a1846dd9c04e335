"""Running an optimizer's formula over loose arrays, one parameter per segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.errors import CallError, MXNetError
from mxtrain.optimizer.base import Optimizer
from mxtrain.optimizer.rule import look_up
from mxtrain.optimizer.states import NOISE
from mxtrain.optimizer.tracing import (
    APPLY_STEP,
    STEP,
    Layer,
    Rule,
    layer_row,
    norm,
    require_states,
    rule_of,
)
from mxtrain.sparse import RowSparseNDArray, dense_rows

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


def new_states(optimizer: Optimizer, weight: Array) -> Any:
    """Return new states in MXNet's form: None, one array, or a tuple of arrays."""
    names = rule_of(optimizer, decays=True).states
    copies = optimizer.copies_of_weight
    weight = dense_rows(weight)
    return optimizer.pack_states(
        {n: np.array(weight) if n in copies else np.zeros_like(weight) for n in names}
    )


def update_one(optimizer: Optimizer, index: Any, weight: Array, grad: Array, state: Any) -> None:
    """Count, look up rate and decay, and apply the rule to one parameter's arrays."""
    rates, decays = look_up(optimizer, [index], together=False)
    apply_rule(optimizer, index, weight, grad, state, rates[0], decays[0])


def update_piece(
    optimizer: Optimizer,
    indices: Sequence[Any],
    weights: Sequence[Array],
    grads: Sequence[Array],
    states: Sequence[Any],
) -> None:
    """Update several parameters that count together before any rate is looked up."""
    rates, decays = look_up(optimizer, indices, together=True)
    for index, weight, grad, state, rate, decay in zip(
        indices, weights, grads, states, rates, decays, strict=True
    ):
        if not optimizer.has_master(weight):
            apply_rule(optimizer, index, weight, grad, state, rate, decay)
            continue
        inner, master = optimizer.unpack_master(state)
        apply_rule(optimizer, index, master, grad.astype(master.dtype), inner, rate, decay)
        weight[...] = master


def apply_rule(
    optimizer: Optimizer, index: Any, weight: Any, grad: Any, state: Any, lr: float, wd: float
) -> None:
    """Apply the rule to one parameter whose count has moved already."""
    if weight.__class__ is RowSparseNDArray or grad.__class__ is RowSparseNDArray:
        from mxtrain.optimizer.rows import apply_rows

        apply_rows(optimizer, index, weight, grad, state, lr, wd)
        return
    _check(index, weight, grad)
    rule = rule_of(optimizer, decays=wd != 0)
    arrays = {"weight": weight, "grad": grad.astype(weight.dtype, copy=False)}
    arrays |= states_for(optimizer, rule, state, index, weight)
    flat = {name: np.ascontiguousarray(array).reshape(-1) for name, array in arrays.items()}
    t = optimizer._index_update_count[index]
    states = {name: flat[name] for name in rule.states}
    layer = Layer(index, lr, wd, t, flat["weight"], flat["grad"], states)
    run_rule(optimizer, rule, flat, layer)
    for name in ("weight", *rule.states):
        if not np.shares_memory(arrays[name], flat[name]):
            arrays[name][...] = flat[name].reshape(arrays[name].shape)


def states_for(
    optimizer: Optimizer, rule: Rule, state: Any, index: Any, weight: Array
) -> dict[str, Array]:
    """Return a parameter's states by name.

    Raises MXNetError where one the rule wants is not there, or is no array like the weight: it
    would not be updated in place.
    """
    given = state if isinstance(state, (tuple, list)) else (state,)
    kept = [array for array in given if array is not None]
    require_states(optimizer, rule.states, rule.states[: len(kept)])
    states = dict(zip(rule.states, kept, strict=False))
    for name, array in states.items():
        found = (getattr(array, "shape", type(array).__name__), getattr(array, "dtype", ""))
        if found != (weight.shape, weight.dtype):
            raise MXNetError(
                f"update of parameter {index}: its state {name} is {found[0]} {found[1]}, and the "
                f"weight {weight.shape} {weight.dtype}; make it with the weight's shape and dtype"
            )
        _check_writable(index, f"its state {name}", array)
    return states


def run_rule(optimizer: Optimizer, rule: Rule, flat: dict[str, Array], layer: Layer) -> None:
    """Run a formula over flat arrays, in place; `layer` is what the scalars are computed from."""
    flat |= {name: np.zeros_like(flat["weight"]) for name in (NOISE, STEP) if name in rule.arrays}
    backend = backends.get()
    segment = backend.segment(rule.program, [flat[n] for n in rule.arrays], rule.targets)
    with np.errstate(all="ignore"):
        if rule.takes_noise:
            optimizer.draw_noise(layer.index, layer.t, flat[NOISE])
        segment.run(layer_row(optimizer, rule.program.scalars, layer))
        if rule.gives_step:
            ratio = optimizer.trust_ratio(norm(layer.weight), norm(flat[STEP]))
            scale = (layer.lr * ratio,)
            backend.segment(APPLY_STEP, [flat["weight"], flat[STEP]], [0]).run(scale)


def _check_writable(index: Any, what: str, array: Array) -> None:
    # Compiled code would write all the same, into memory that may not be there to be written.
    if not array.flags.writeable:
        raise MXNetError(f"update of parameter {index}: {what} is read-only; pass a copy of it")


def _check(index: Any, weight: Any, grad: Any) -> None:
    for name, array in (("weight", weight), ("gradient", grad)):
        if not isinstance(array, np.ndarray):
            raise CallError(
                f"update of parameter {index}: the {name} is a {type(array).__name__}, not an array"
            )
    _check_writable(index, "the weight", weight)
    if weight.dtype.kind != "f" or grad.dtype.kind not in "fiub":
        raise MXNetError(
            f"update of parameter {index}: weight {weight.dtype}, gradient {grad.dtype}; weights "
            "are floating-point numbers"
        )
    if weight.shape != grad.shape:
        raise MXNetError(
            f"update of parameter {index}: weight {weight.shape}, gradient {grad.shape}"
        )
