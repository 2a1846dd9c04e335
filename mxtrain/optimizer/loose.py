"""Update rules over loose arrays, one parameter per segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.errors import CallError, MXNetError
from mxtrain.optimizer.base import Optimizer
from mxtrain.optimizer.rule import no_state, row_of, rule_of, targets

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


def new_states(optimizer: Optimizer, weight: Array) -> Any:
    """Return zero states in MXNet's form: None, one array, or a tuple of arrays."""
    arrays = [np.zeros_like(weight) for _ in rule_of(optimizer, decays=True).states]
    return None if not arrays else arrays[0] if len(arrays) == 1 else tuple(arrays)


def update_one(optimizer: Optimizer, index: Any, weight: Array, grad: Array, state: Any) -> None:
    """Count, look up rate and decay, and apply the rule to one parameter's arrays."""
    optimizer._update_count(index)
    rate, decay = optimizer._get_lr(index), optimizer._get_wd(index)
    _apply(optimizer, index, weight, grad, state, rate, decay)


def update_piece(
    optimizer: Optimizer,
    indices: Sequence[Any],
    weights: Sequence[Array],
    grads: Sequence[Array],
    states: Sequence[Any],
) -> None:
    """Update several parameters that count together before any rate is looked up."""
    optimizer._update_count(indices)
    rates, decays = optimizer._get_lrs(indices), optimizer._get_wds(indices)
    for index, weight, grad, state, rate, decay in zip(
        indices, weights, grads, states, rates, decays, strict=True
    ):
        if not optimizer.has_master(weight):
            _apply(optimizer, index, weight, grad, state, rate, decay)
            continue
        inner, master = optimizer.unpack_master(state)
        _apply(optimizer, index, master, grad.astype(master.dtype), inner, rate, decay)
        weight[...] = master


def _apply(
    optimizer: Optimizer, index: Any, weight: Array, grad: Array, state: Any, lr: float, wd: float
) -> None:
    """Apply the rule to one parameter whose count has moved already."""
    for name, array in (("weight", weight), ("gradient", grad)):
        if not isinstance(array, np.ndarray):
            raise CallError(
                f"update of parameter {index}: the {name} is a {type(array).__name__}, not an array"
            )
    if weight.shape != grad.shape:
        raise MXNetError(
            f"update of parameter {index}: weight {weight.shape}, gradient {grad.shape}"
        )
    rule = rule_of(optimizer, decays=wd != 0)
    states = () if state is None else state if isinstance(state, (tuple, list)) else (state,)
    if len(states) < len(rule.states):
        raise MXNetError(no_state(optimizer, rule.states[len(states) :]))
    arrays = [weight, grad.astype(weight.dtype, copy=False), *states]
    flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
    segment = backends.get("numpy").segment(rule.program, flat, targets(rule))
    t = optimizer._index_update_count[index]
    with np.errstate(all="ignore"):
        segment.run(row_of(optimizer, rule.program.scalars, lr, wd, t))
    for array, changed in zip(arrays, flat, strict=True):
        if array is not grad and not np.shares_memory(array, changed):
            array[...] = changed.reshape(array.shape)
