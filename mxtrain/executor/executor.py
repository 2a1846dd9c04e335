"""`Executor`: a symbol bound to arrays, with forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mxtrain import backend as backends
from mxtrain import nd
from mxtrain.backend.quiet import quiet_context
from mxtrain.context import Context, cpu
from mxtrain.errors import CallError, MXNetError, unknown_name
from mxtrain.executor.arrays import by_name, copy_checked, variable_nodes, viewed
from mxtrain.executor.plan import Gradient, Plan, Program
from mxtrain.executor.randomness import StepRandom
from mxtrain.nd import NDArray
from mxtrain.sparse import RowSparseNDArray
from mxtrain.symbol.infer import infer_shapes, infer_types
from mxtrain.symbol.node import Node
from mxtrain.symbol.symbol import Symbol


class Executor:
    """A symbol with memory. Made by `Symbol.simple_bind`, `Symbol.bind` or a module.

    Attributes
    ----------
    arg_arrays, grad_arrays, aux_arrays : arrays in the symbol's order; a gradient is None where
        none is asked for.
    outputs : the arrays filled by the latest `forward`.
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
        backend: str | None = None,
    ) -> None:
        self._symbol, self._ctx, self._reqs = symbol, ctx or cpu(), list(reqs)
        self._backend = backend
        self.random = random or StepRandom()
        order = symbol.nodes()
        arg_nodes, aux_nodes = variable_nodes(symbol, order)
        self.arg_arrays = [
            viewed(node.name, array) for node, array in zip(arg_nodes, args, strict=True)
        ]
        learns = any(req != "null" for req in reqs)
        self.aux_arrays = [
            viewed(node.name, array, learns) for node, array in zip(aux_nodes, aux, strict=True)
        ]
        self.grad_arrays = [
            _viewed_gradient(node.name, grad) if req != "null" and grad is not None else None
            for node, grad, req in zip(arg_nodes, grads, reqs, strict=True)
        ]
        self.plan = self._make_plan(order, arg_nodes, aux_nodes)
        self.outputs = [nd.view(array) for array in self.plan.outputs]
        self._output_names = symbol.list_outputs()
        self._is_train = False
        self._quiet = quiet_context()
        # Runs a program in place of `Program.run`; a profile puts its timer here.
        self.run: Callable[[Program], None] = Program.run
        self._monitor: Callable[[str, NDArray], Any] | None = None
        self._monitor_all = False

    @cached_property
    def arg_dict(self) -> dict[str, NDArray]:
        """Arguments by name (ValueError when two have one name)."""
        return by_name(self._symbol.list_arguments(), self.arg_arrays)

    @cached_property
    def grad_dict(self) -> dict[str, Any]:
        """Gradients by argument name: arrays, some row-sparse; None where none is asked for."""
        return by_name(self._symbol.list_arguments(), self.grad_arrays)

    @cached_property
    def aux_dict(self) -> dict[str, NDArray]:
        """Auxiliary states by name."""
        return by_name(self._symbol.list_auxiliary_states(), self.aux_arrays)

    @cached_property
    def output_dict(self) -> dict[str, NDArray]:
        """Outputs by name, filled by the latest `forward`."""
        advice = "give each node a name of its own"
        return by_name(self._output_names, self.outputs, "outputs", advice)

    def _make_plan(
        self, order: Sequence[Node], arg_nodes: list[Node], aux_nodes: list[Node]
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
            id(node): Gradient(plain(grad), req == "add")
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
            backends.get(self._backend),
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
        if self._monitor is None:
            self._quiet.run(self.run, program)
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
        self._quiet.run(self.run, program)

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
        for slot, head, name in zip(slots, given, self._output_names, strict=True):
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
            with np.errstate(all="ignore"):
                for kernel, arguments in step.lines:
                    kernel(*arguments)
            for name, array in step.results:
                # A callback may keep what it is shown; a reused buffer has other contents soon.
                monitor(name, nd.view(array.copy() if self.plan.reuses else array))

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
        args, grads = [], []
        for name, old, grad, shape in zip(
            self._symbol.list_arguments(),
            self.arg_arrays,
            self.grad_arrays,
            arg_shapes,
            strict=True,
        ):
            if old.shape == shape:
                args.append(old)
                grads.append(grad)
                continue
            if name not in shapes and not partial_shaping:
                raise MXNetError(
                    f"reshape: '{name}' changes from {old.shape} to {shape} without being given; "
                    "give it, or set partial_shaping=True"
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
        return Executor(
            self._symbol, args, grads, self._reqs, aux, self._ctx, self.random, self._backend
        )


def _viewed_gradient(name: str, grad: Any) -> Any:
    return grad if isinstance(grad, RowSparseNDArray) else viewed(name, grad, is_written=True)


def plain(grad: Any) -> Any:
    """Return what kernels write a gradient into: a plain array, or the row-sparse one itself."""
    return grad if isinstance(grad, RowSparseNDArray) else np.asarray(grad)
