"""Running an optimizer's formula on the rows that a row-sparse gradient lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.errors import MXNetError
from mxtrain.optimizer.base import Optimizer
from mxtrain.optimizer.loose import apply_rule, run_rule, states_for
from mxtrain.optimizer.tracing import Layer, rule_of
from mxtrain.sparse import RowSparseNDArray, dense_rows

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


def apply_rows(
    optimizer: Optimizer, index: Any, weight: Any, grad: Any, state: Any, lr: float, wd: float
) -> None:
    """Apply the rule to one parameter whose gradient, weight or both are row-sparse.

    An optimizer that updates listed rows only leaves the others, and their states, alone. For any
    other one the gradient is 0 in the rows that are not listed.
    """
    whole = dense_rows(weight)
    if not isinstance(grad, RowSparseNDArray):
        apply_rule(optimizer, index, whole, grad, state, lr, wd)
        return
    if grad.shape != whole.shape:
        raise MXNetError(
            f"update of parameter {index}: weight {whole.shape}, gradient {grad.shape}"
        )
    if optimizer.updates_listed_rows(isinstance(weight, RowSparseNDArray)):
        _apply_listed(optimizer, index, whole, grad, state, lr, wd)
    else:
        apply_rule(optimizer, index, whole, grad.todense(), state, lr, wd)


def _apply_listed(
    optimizer: Optimizer,
    index: Any,
    weight: Array,
    grad: RowSparseNDArray,
    state: Any,
    lr: float,
    wd: float,
) -> None:
    rule = rule_of(optimizer, decays=wd != 0, by_rows=True)
    states = states_for(optimizer, rule, state, index, weight)
    t = optimizer._index_update_count[index]
    listed = np.asarray(grad.indices)
    rows = np.asarray(optimizer.rows_to_update(index, listed, t, wd))
    if not len(rows):
        return
    values = np.zeros((len(rows), *weight.shape[1:]), weight.dtype)
    values[np.searchsorted(rows, listed)] = grad.data
    taken = {name: array[rows] for name, array in states.items()}
    taken |= {"weight": np.asarray(weight)[rows], "grad": values}
    flat = {name: array.reshape(-1) for name, array in taken.items()}
    gathered = {name: flat[name] for name in states}
    layer = Layer(index, lr, wd, t, np.ascontiguousarray(weight), flat["grad"], gathered)
    run_rule(optimizer, rule, flat, layer)
    weight[rows] = flat["weight"].reshape(values.shape)
    for name, array in states.items():
        array[rows] = flat[name].reshape(taken[name].shape)
