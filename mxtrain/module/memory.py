"""The memory of a bound module: arrays of parameters and states, an executor per batch shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mxtrain import backend as backends
from mxtrain.errors import MXNetError
from mxtrain.executor import Executor
from mxtrain.executor.arena import Arena, Parameter
from mxtrain.executor.arrays import by_name
from mxtrain.executor.binding import infer_complete
from mxtrain.executor.randomness import StepRandom
from mxtrain.executor.sparse_gradients import empty_gradient, row_sparse_arguments
from mxtrain.module import inputs
from mxtrain.module.roles import Roles
from mxtrain.symbol import Symbol

# Executors of other batch shapes are kept for reuse; beyond this many the oldest is dropped.
MAX_EXECUTORS = 16


class Spec(NamedTuple):
    """Shape and element type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Memory:
    """Arrays that stay while batches of any shape pass.

    Parameters
    ----------
    symbol, roles : the graph, and what its arguments are.
    grad_reqs : write, add or null for each argument.
    data, labels : descriptions of the first inputs.
    random : random numbers of the steps, common to all executors.
    backend : where kernels run.
    shared : memory whose parameters and auxiliary states are used instead of new ones.

    Attributes
    ----------
    arena : trainable parameters and their gradients.
    sparse_grads : row-sparse gradients by name; their parameters lie outside the arena.
    parameters, auxiliary : arrays by name; those in the arena are views of it.
    data, labels : descriptions of the inputs in use.
    executor : the executor in use.

    Raises MXNetError for inputs that do not fit the graph, or parameters that `shared` lacks.
    """

    def __init__(
        self,
        symbol: Symbol,
        roles: Roles,
        grad_reqs: Mapping[str, str],
        data: inputs.Descriptions,
        labels: inputs.Descriptions,
        random: StepRandom,
        backend: str,
        shared: Memory | None = None,
    ) -> None:
        self.roles, self.grad_reqs = roles, grad_reqs
        self._symbol, self._random, self._backend_name = symbol, random, backend
        self._backend = backends.get(backend)
        arguments, auxiliary = self._specs([*data, *labels])
        self._states = {name: self._zeros(arguments[name]) for name in roles.states}
        if shared is None:
            self._allocate(arguments, auxiliary)
        else:
            self._share(shared, arguments)
        self._executors: OrderedDict[Any, Executor] = OrderedDict()
        self._monitors: list[Any] = []
        self.use(data, labels)

    def use(self, data: inputs.Descriptions, labels: inputs.Descriptions) -> None:
        """Switch to the executor of these inputs, making it if it is new."""
        self.executor = self._executor([*data, *labels], learns=True)
        self.data, self.labels = data, labels

    def predicting(self, data: inputs.Descriptions, labels: inputs.Descriptions) -> Executor:
        """Return an executor of these inputs for prediction alone; that in use stays in use.

        It computes no gradients, so that its buffers serve one node after another.
        """
        return self._executor([*data, *labels], learns=False)

    def _executor(self, described: inputs.Descriptions, learns: bool) -> Executor:
        shapes = tuple((d.name, d.shape, np.dtype(d.dtype or np.float32).str) for d in described)
        key = (learns, shapes)
        if key not in self._executors:
            self._executors[key] = self._make_executor(described, learns)
            for monitor in self._monitors:
                monitor.install(self._executors[key])
            if len(self._executors) > MAX_EXECUTORS:
                self._executors.popitem(last=False)
        self._executors.move_to_end(key)
        return self._executors[key]

    def follow(self, batch: Any) -> None:
        """Switch to the executor of a batch's shapes, where they are others than those in use."""
        if not inputs.describes(self.data, batch):
            self.use(*inputs.of_batch(self._symbol, batch, self.data, self.labels))

    def watch(self, monitor: Any) -> None:
        """Let a monitor watch every executor, those made later as well."""
        for executor in self._executors.values():
            monitor.install(executor)
        self._monitors.append(monitor)

    def _zeros(self, spec: Spec) -> Any:
        return self._backend.zeros(spec.shape, spec.dtype)

    def _specs(self, described: inputs.Descriptions) -> tuple[dict[str, Spec], dict[str, Spec]]:
        """Infer the arrays of all arguments and auxiliary states from the inputs."""
        arg_shapes, arg_types, aux_shapes, aux_types = infer_complete(
            self._symbol,
            {desc.name: desc.shape for desc in described},
            {desc.name: desc.dtype for desc in described if desc.dtype is not None},
        )
        arguments = map(Spec, arg_shapes, map(np.dtype, arg_types))
        auxiliary = map(Spec, aux_shapes, map(np.dtype, aux_types))
        return by_name(self.roles.arguments, arguments), by_name(self.roles.auxiliary, auxiliary)

    def _allocate(self, arguments: dict[str, Spec], auxiliary: dict[str, Spec]) -> None:
        sparse = {
            name
            for name in row_sparse_arguments(self._symbol)
            if name in self.roles.parameters and self.grad_reqs[name] == "write"
        }
        trainable = [
            Parameter(index, name, *arguments[name])
            for index, name in enumerate(self.roles.parameters)
            if self.grad_reqs[name] != "null" and name not in sparse
        ]
        self.sparse_grads = {name: empty_gradient(*arguments[name]) for name in sorted(sparse)}
        self.arena = Arena(trainable, self._backend)
        self.parameters = {
            name: self.arena.weights[name]
            if name in self.arena.weights
            else self._zeros(arguments[name])
            for name in self.roles.parameters
        }
        self.auxiliary = {name: self._zeros(spec) for name, spec in auxiliary.items()}

    def _share(self, shared: Memory, arguments: dict[str, Spec]) -> None:
        for name in self.roles.parameters:
            theirs, needed = shared.parameters.get(name), arguments[name]
            if theirs is None or (theirs.shape, theirs.dtype) != needed:
                has = "none of that name" if theirs is None else f"{theirs.dtype} {theirs.shape}"
                raise MXNetError(
                    f"shared_module: parameter '{name}' has to be {needed.dtype} {needed.shape}, "
                    f"the module has {has}"
                )
        for name in self.roles.auxiliary:
            if name not in shared.auxiliary:
                raise MXNetError(f"shared_module has no auxiliary state '{name}'")
        self.arena, self.sparse_grads = shared.arena, shared.sparse_grads
        self.parameters, self.auxiliary = shared.parameters, shared.auxiliary

    def _make_executor(self, described: inputs.Descriptions, learns: bool) -> Executor:
        arguments, _ = self._specs(described)
        arrays = {name: self._argument(name, spec) for name, spec in arguments.items()}
        reqs = [self.grad_reqs[name] if learns else "null" for name in arrays]
        grads = [
            None if req == "null" else self._gradient(name, spec)
            for req, (name, spec) in zip(reqs, arguments.items(), strict=True)
        ]
        return Executor(
            self._symbol,
            list(arrays.values()),
            grads,
            reqs,
            [self.auxiliary[name] for name in self.roles.auxiliary],
            random=self._random,
            backend=self._backend_name,
        )

    def _argument(self, name: str, spec: Spec) -> Any:
        if name in self._states:
            # A state with a batch axis follows the batch size; every size then has its own.
            kept = self._states[name]
            return kept if kept.shape == spec.shape else self._zeros(spec)
        if name not in self.roles.parameters:
            return self._zeros(spec)
        array = self.parameters[name]
        if array.shape != spec.shape:
            raise MXNetError(
                f"'{name}' has shape {array.shape}, these inputs need {spec.shape}; "
                "bind again with force_rebind=True"
            )
        return array

    def _gradient(self, name: str, spec: Spec) -> Any:
        if name in self.roles.parameters and name in self.arena.grads:
            return self.arena.grads[name]
        if name in self.sparse_grads:
            return self.sparse_grads[name]
        return self._zeros(spec)
