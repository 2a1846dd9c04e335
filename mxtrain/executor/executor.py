"""`Executor`: a symbol bound to arrays, with forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mxtrain import backend as backends
from mxtrain import nd
from mxtrain.context import Context, cpu
from mxtrain.errors import CallError, MXNetError, unknown_name
from mxtrain.executor.plan import Gradient, Plan, Program
from mxtrain.executor.randomness import StepRandom
from mxtrain.nd import NDArray
from mxtrain.symbol.infer import fill_types, infer_shapes, infer_types
from mxtrain.symbol.node import Node
from mxtrain.symbol.symbol import Symbol

GRAD_REQS = ("write", "add", "null")


class Executor:
    """A symbol with memory. Made by `Symbol.simple_bind`, `Symbol.bind` or a module.

    Attributes
    ----------
    arg_dict, grad_dict, aux_dict : arrays by name (a gradient is None where none is asked for);
        ``arg_arrays``, ``grad_arrays``, ``aux_arrays`` are the same in the symbol's order.
    outputs, output_dict : the arrays filled by the latest `forward`.
    plan : the lowered graph.
    """

    def __init__(
        self,
        symbol: Symbol,
        args: Sequence[Any],
        grads: Sequence[Any],
        reqs: Sequence[str],
        aux: Sequence[Any],
        ctx: Context | None = None,
        random: StepRandom | None = None,
        backend: str = "numpy",
    ) -> None:
        self._symbol, self._ctx, self._reqs = symbol, ctx or cpu(), list(reqs)
        self.random = random or StepRandom()
        order = symbol.nodes()
        arg_nodes, aux_nodes = _variable_nodes(symbol, order)
        self.arg_arrays = [
            _viewed(node, array) for node, array in zip(arg_nodes, args, strict=True)
        ]
        self.aux_arrays = [_viewed(node, array) for node, array in zip(aux_nodes, aux, strict=True)]
        self.grad_arrays = [
            _viewed(node, grad) if req != "null" and grad is not None else None
            for node, grad, req in zip(arg_nodes, grads, reqs, strict=True)
        ]
        self.arg_dict = _by_name(arg_nodes, self.arg_arrays)
        self.grad_dict = _by_name(arg_nodes, self.grad_arrays)
        self.aux_dict = _by_name(aux_nodes, self.aux_arrays)
        self.plan = self._make_plan(order, arg_nodes, aux_nodes, backend)
        self.outputs = [nd.view(array) for array in self.plan.outputs]
        self.output_dict = dict(zip(symbol.list_outputs(), self.outputs, strict=True))
        self._is_train = False
        # Runs a program in place of `Program.run`; a profile puts its timer here.
        self.run: Callable[[Program], None] = Program.run
        self._monitor: Callable[[str, NDArray], Any] | None = None
        self._monitor_all = False

    def _make_plan(
        self, order: Sequence[Node], arg_nodes: list[Node], aux_nodes: list[Node], backend: str
    ) -> Plan:
        arrays = {
            id(node): np.asarray(array)
            for node, array in zip(
                [*arg_nodes, *aux_nodes], [*self.arg_arrays, *self.aux_arrays], strict=True
            )
        }
        shapes = infer_shapes(order, {key: array.shape for key, array in arrays.items()})
        types = infer_types(order, {key: array.dtype.name for key, array in arrays.items()})
        gradients = {
            id(node): Gradient(np.asarray(grad), req == "add")
            for node, grad, req in zip(arg_nodes, self.grad_arrays, self._reqs, strict=True)
            if grad is not None
        }
        return Plan(
            order,
            self._symbol.entries,
            shapes,
            types,
            arrays,
            gradients,
            backends.get(backend),
            self.random.source,
        )

    def forward(self, is_train: bool = False, **inputs: Any) -> list[NDArray]:
        """Compute the outputs and return them.

        `inputs` are copied into arguments of these names first. Raises TypeError for an unknown
        name and ValueError for another shape.
        """
        for name, value in inputs.items():
            if name not in self.arg_dict:
                raise TypeError(unknown_name("argument", name, self.arg_dict))
            target, source = self.arg_dict[name], np.asarray(value)
            if source.shape != target.shape:
                raise ValueError(
                    f"forward: '{name}' is bound with shape {target.shape}, "
                    f"an array of shape {source.shape} was given"
                )
            np.copyto(target, source, casting="unsafe")
        self._is_train = bool(is_train)
        self.random.advance(self._is_train)
        program = self.plan.forward(self._is_train)
        with np.errstate(all="ignore"):
            if self._monitor is None:
                self.run(program)
            else:
                self._run_watched(program.steps)
        return self.outputs

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the latest forward.

        `out_grads` has the gradient of each output, in order (one array for one output). It may be
        left out when every output is a loss operator or BlockGrad; else MXNetError.
        """
        program, slots = self.plan.backward(self._is_train)
        self._take_head_gradients(slots, out_grads)
        with np.errstate(all="ignore"):
            self.run(program)

    def weigh_rows(self, node: str) -> Any:
        """Return an array with a factor for each row of the gradient a loss node starts.

        The factors are 1 until written. To be called before the first `backward`.
        """
        return self.plan.weigh_rows(node)

    def _take_head_gradients(self, slots: Sequence[Any], out_grads: Any) -> None:
        if out_grads is None:
            given: Sequence[Any] = [None] * len(slots)
        elif isinstance(out_grads, (list, tuple)):
            given = out_grads
        else:
            given = [out_grads]
        if len(given) != len(slots):
            raise MXNetError(f"backward: {len(slots)} outputs, {len(given)} head gradients given")
        for slot, head, name in zip(slots, given, self.output_dict, strict=True):
            if slot is None:
                continue
            if head is None:
                raise MXNetError(
                    f"backward: output '{name}' is not a loss, so its head gradient must be given"
                )
            source = np.asarray(head)
            if source.shape != slot.shape:
                raise MXNetError(
                    f"backward: output '{name}' is {slot.shape}, its head gradient {source.shape}"
                )
            np.copyto(slot, source, casting="unsafe")

    def set_monitor_callback(
        self, callback: Callable[[str, NDArray], Any] | None, monitor_all: bool = False
    ) -> None:
        """Call ``callback(name, array)`` for every node output of each forward.

        With `monitor_all` the inputs (parameters and data) are shown as well. None turns it off.
        """
        self._monitor, self._monitor_all = callback, monitor_all

    def _run_watched(self, steps: Sequence[Any]) -> None:
        monitor = self._monitor
        if monitor is None:
            raise CallError("no monitor callback is set")
        if self._monitor_all:
            for name, array in [*self.arg_dict.items(), *self.aux_dict.items()]:
                monitor(name, array)
        for step in steps:
            for kernel, arguments in step.lines:
                kernel(*arguments)
            for name, array in step.results:
                monitor(name, nd.view(array))

    def copy_params_from(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy arrays into arguments and auxiliary states of the same names.

        Raises ValueError for a name the executor has not, unless `allow_extra_params`, and
        MXNetError where shapes differ.
        """
        for kind, source, target in (
            ("argument", arg_params, self.arg_dict),
            ("auxiliary state", aux_params or {}, self.aux_dict),
        ):
            for name, value in source.items():
                if name in target:
                    copy_checked(name, value, target[name])
                elif not allow_extra_params:
                    raise ValueError(unknown_name(kind, name, target))

    def reshape(
        self, partial_shaping: bool = False, allow_up_sizing: bool = False, **shapes: Any
    ) -> Executor:
        """Return an executor for other input shapes that shares the arrays whose shapes stay.

        An argument whose shape changes though it was not named is an error unless
        `partial_shaping`; an array that grows is one unless `allow_up_sizing` (MXNetError).
        """
        arg_shapes, _, aux_shapes = self._symbol.infer_shape(**shapes)
        if arg_shapes is None or aux_shapes is None:
            raise MXNetError("reshape: the shapes given do not determine all others")
        names = list(self.arg_dict)
        args, grads = [], []
        for number, (name, shape) in enumerate(zip(self._arg_names(), arg_shapes, strict=True)):
            old, grad = self.arg_arrays[number], self.grad_arrays[number]
            if old.shape == shape:
                args.append(old)
                grads.append(grad)
                continue
            if name not in shapes and not partial_shaping:
                raise MXNetError(
                    f"reshape: '{name}' changes from {old.shape} to {shape} without being given; "
                    f"give it, or set partial_shaping=True (arguments: {', '.join(names)})"
                )
            if int(np.prod(shape)) > old.size and not allow_up_sizing:
                raise MXNetError(
                    f"reshape: '{name}' grows from {old.shape} to {shape}; "
                    "set allow_up_sizing=True to allocate anew"
                )
            args.append(nd.zeros(shape, dtype=old.dtype))
            grads.append(None if grad is None else nd.zeros(shape, dtype=grad.dtype))
        aux = [
            old if old.shape == shape else nd.zeros(shape, dtype=old.dtype)
            for old, shape in zip(self.aux_arrays, aux_shapes, strict=True)
        ]
        return Executor(self._symbol, args, grads, self._reqs, aux, self._ctx, self.random)

    def _arg_names(self) -> list[str]:
        return self._symbol.list_arguments()


def simple_bind(
    symbol: Symbol,
    ctx: Context | None,
    grad_req: str | Sequence[str] | Mapping[str, str],
    type_dict: Mapping[str, Any] | None,
    shapes: Mapping[str, Any],
) -> Executor:
    """Allocate every array of `symbol`, filled with zeros, and bind it (RuntimeError on failure)."""
    arg_shapes, arg_types, aux_shapes, aux_types = infer_complete(symbol, shapes, type_dict or {})
    reqs = grad_reqs(symbol.list_arguments(), grad_req)
    args = [nd.zeros(shape, dtype=t) for shape, t in zip(arg_shapes, arg_types, strict=True)]
    grads = [
        None if req == "null" else nd.zeros(array.shape, dtype=array.dtype)
        for array, req in zip(args, reqs, strict=True)
    ]
    aux = [nd.zeros(shape, dtype=t) for shape, t in zip(aux_shapes, aux_types, strict=True)]
    return Executor(symbol, args, grads, reqs, aux, ctx)


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
        raise MXNetError(f"the shapes given leave these unknown: {', '.join(unknown)}")
    order = symbol.nodes()
    named = {name: np.dtype(dtype).name for name, dtype in types.items()}
    known = fill_types(order, infer_types(order, symbol._by_node(named)))
    arguments, auxiliary = _variable_nodes(symbol, order)
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
    arrays = _listed("argument", names, args, required=True)
    reqs = grad_reqs(names, grad_req)
    grads = _listed("gradient", names, args_grad or {}, required=False)
    reqs = ["null" if grad is None else req for grad, req in zip(grads, reqs, strict=True)]
    aux = _listed(
        "auxiliary state", symbol.list_auxiliary_states(), aux_states or {}, required=True
    )
    return Executor(symbol, arrays, grads, reqs, aux, ctx)


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


def copy_checked(name: str, value: Any, target: Any) -> None:
    """Copy `value` into `target`; MXNetError naming `name` when the shapes differ."""
    source = np.asarray(value)
    if source.shape != target.shape:
        raise MXNetError(f"'{name}' has shape {target.shape}, the array given {source.shape}")
    np.copyto(target, source, casting="unsafe")


def _listed(kind: str, names: Sequence[str], given: Any, required: bool) -> list[Any]:
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if missing and required:
            raise ValueError(f"bind: no array for the {kind} '{missing[0]}'")
        return [given.get(name) for name in names]
    arrays = list(given)
    if len(arrays) != len(names):
        raise ValueError(
            f"bind: {len(names)} {kind}s ({', '.join(names)}), {len(arrays)} arrays given"
        )
    return arrays


def _variable_nodes(symbol: Symbol, order: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    auxiliary = symbol._auxiliary_ids()
    variables = [node for node in order if node.is_variable]
    return (
        [node for node in variables if id(node) not in auxiliary],
        [node for node in variables if id(node) in auxiliary],
    )


def _viewed(node: Node, array: Any) -> NDArray:
    plain = np.asarray(array)
    if not plain.flags.c_contiguous:
        raise MXNetError(f"the array bound to '{node.name}' is not C-contiguous; pass a copy of it")
    return nd.view(plain)


def _by_name(nodes: Sequence[Node], arrays: Sequence[Any]) -> dict[str, Any]:
    return {node.name: array for node, array in zip(nodes, arrays, strict=True)}
