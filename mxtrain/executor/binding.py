"""Binding a symbol to memory: complete inference, gradient requests, executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mxtrain import backend as backends
from mxtrain import nd
from mxtrain.context import Context
from mxtrain.errors import MXNetError
from mxtrain.executor.arrays import listed, variable_nodes
from mxtrain.executor.executor import Executor
from mxtrain.executor.sparse_gradients import empty_gradient, row_sparse_arguments
from mxtrain.symbol.infer import fill_types, infer_types
from mxtrain.symbol.symbol import Symbol

GRAD_REQS = ("write", "add", "null")


def simple_bind(
    symbol: Symbol,
    ctx: Context | None,
    grad_req: str | Sequence[str] | Mapping[str, str],
    type_dict: Mapping[str, Any] | None,
    shapes: Mapping[str, Any],
) -> Executor:
    """Allocate every array of `symbol` as zeros and bind it (RuntimeError on failure)."""
    arg_shapes, arg_types, aux_shapes, aux_types = infer_complete(symbol, shapes, type_dict or {})
    reqs = grad_reqs(symbol.list_arguments(), grad_req)
    backend = backends.get(backends.on(ctx))

    def zeros(shape: Any, dtype: Any) -> Any:
        return nd.view(backend.zeros(tuple(shape), np.dtype(dtype)))

    args = [zeros(shape, dtype) for shape, dtype in zip(arg_shapes, arg_types, strict=True)]
    sparse = row_sparse_arguments(symbol)
    grads = [
        _gradient(array, req, name in sparse, zeros)
        for name, array, req in zip(symbol.list_arguments(), args, reqs, strict=True)
    ]
    aux = [zeros(shape, dtype) for shape, dtype in zip(aux_shapes, aux_types, strict=True)]
    return Executor(symbol, args, grads, reqs, aux, ctx, backend=backends.on(ctx))


def _gradient(array: Any, req: str, is_sparse: bool, zeros: Callable[[Any, Any], Any]) -> Any:
    if req == "null":
        return None
    if is_sparse and req == "write":
        return empty_gradient(array.shape, array.dtype)
    return zeros(array.shape, array.dtype)


def infer_complete(
    symbol: Symbol, shapes: Mapping[str, Any], types: Mapping[str, Any]
) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """Return (argument shapes, argument types, auxiliary shapes, auxiliary types), all known.

    Raises MXNetError naming what stays unknown.
    """
    arg_shapes, _, aux_shapes = symbol.infer_shape_partial(**shapes)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    unknown = [
        name
        for name, shape in zip(names, [*arg_shapes, *aux_shapes], strict=True)
        if not shape or 0 in shape
    ]
    if unknown:
        raise MXNetError(
            f"the shapes given leave these unknown: {', '.join(unknown)}; give them as well, or "
            "shape=... to the Variable"
        )
    order = symbol.nodes()
    named = {name: np.dtype(dtype).name for name, dtype in types.items()}
    known = fill_types(order, infer_types(order, symbol._by_node(named)))
    arguments, auxiliary = variable_nodes(symbol, order)
    return (
        arg_shapes,
        [known[id(node), 0] for node in arguments],
        aux_shapes,
        [known[id(node), 0] for node in auxiliary],
    )


def bind(
    symbol: Symbol,
    ctx: Context | None,
    args: Any,
    args_grad: Any,
    grad_req: Any,
    aux_states: Any,
) -> Executor:
    """Bind `symbol` to given arrays (ValueError where one is missing)."""
    names = symbol.list_arguments()
    arrays = listed("argument", names, args, required=True)
    reqs = grad_reqs(names, grad_req)
    grads = listed("gradient", names, args_grad or {}, required=False)
    reqs = ["null" if grad is None else req for grad, req in zip(grads, reqs, strict=True)]
    aux = listed("auxiliary state", symbol.list_auxiliary_states(), aux_states or {}, required=True)
    return Executor(symbol, arrays, grads, reqs, aux, ctx, backend=backends.on(ctx))


def grad_reqs(names: Sequence[str], grad_req: str | Sequence[str] | Mapping[str, str]) -> list[str]:
    """Return one of write, add and null for each argument (MXNetError for another word)."""
    if isinstance(grad_req, str):
        reqs = [grad_req] * len(names)
    elif isinstance(grad_req, Mapping):
        reqs = [grad_req.get(name, "null") for name in names]
    else:
        reqs = list(grad_req)
        if len(reqs) != len(names):
            raise MXNetError(f"grad_req: {len(names)} arguments, {len(reqs)} words given")
    for name, req in zip(names, reqs, strict=True):
        if req not in GRAD_REQS:
            raise MXNetError(f"grad_req of '{name}' is '{req}'; it is one of {GRAD_REQS}")
    return reqs
