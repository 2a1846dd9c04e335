"""`GraphModule`: a symbol with memory and parameters, which computes but does not learn yet."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mxtrain import backend as backends
from mxtrain.context import Context, cpu
from mxtrain.errors import CallError, MXNetError
from mxtrain.executor.arena import Arena
from mxtrain.executor.arrays import copy_checked
from mxtrain.executor.executor import Executor
from mxtrain.executor.randomness import StepRandom
from mxtrain.io import DataDesc
from mxtrain.module import inputs
from mxtrain.module.base_module import DEFAULT_INITIALIZER, BaseModule
from mxtrain.module.memory import Memory
from mxtrain.module.parameters import ParameterStore
from mxtrain.module.roles import Roles
from mxtrain.nd import NDArray
from mxtrain.sparse import RowSparseNDArray
from mxtrain.symbol import Symbol


class GraphModule(BaseModule):
    """A symbol bound to one device, with parameters: forward, backward, states.

    Parameters
    ----------
    symbol : the graph.
    data_names, label_names : its inputs that come with every batch; `label_names` may be None.
    logger : where `fit` writes its lines.
    context : a device, or a list with one.
    work_load_list : the share of each device; one device takes all, so it has no influence.
    fixed_param_names : parameters that do not learn.
    state_names : inputs that are neither parameters nor data; zero until `set_states`. One with a
        batch axis follows the batch size, and starts at zero with each new size.
    backend : where kernels run; None: as ``mxtrain.backend.get`` decides.

    Attributes
    ----------
    random : random numbers of the steps; all there is to save of them is ``random.steps``.

    Raises ValueError for a data, fixed or state name that is no argument; a label name that is
    none is a warning only.
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Any = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        backend: str | None = None,
    ) -> None:
        super().__init__(logger)
        self._symbol, self._backend = symbol, backend or backends.on(_device(context))
        self._roles = Roles(
            symbol, data_names or (), label_names or (), state_names or (), fixed_param_names or ()
        )
        self._params = ParameterStore()
        self._memory_in_use: Memory | None = None
        self.random = StepRandom()

    # -- what it is --------------------------------------------------------------------------

    @property
    def symbol(self) -> Symbol:
        """The graph."""
        return self._symbol

    @property
    def data_names(self) -> list[str]:
        """Names of the data inputs."""
        return self._roles.data

    @property
    def label_names(self) -> list[str]:
        """Names of the label inputs."""
        return self._roles.labels

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._symbol.list_outputs()

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the data inputs as bound now."""
        return self._memory.data

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the label inputs as bound now (None without labels)."""
        return self._memory.labels or None

    # MXNet's own attribute, which its tutorials hand to `bind`.
    @property
    def _label_shapes(self) -> list[DataDesc] | None:
        return self.label_shapes if self.binded else None

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the outputs as bound now."""
        return [(name, array.shape) for name, array in self.executor.output_dict.items()]

    @property
    def executor(self) -> Executor:
        """The executor of the batch shape in use."""
        return self._memory.executor

    @property
    def arena(self) -> Arena:
        """Memory of the trainable parameters."""
        return self._memory.arena

    @property
    def _memory(self) -> Memory:
        if self._memory_in_use is None:
            raise CallError("call bind() before this")
        return self._memory_in_use

    def parameter_arrays(self) -> list[Any]:
        """Return the memory of all parameters and auxiliary states, in a fixed order.

        Writing into it changes the model; call `mark_changed` afterwards.
        """
        return [*self._memory.parameters.values(), *self._memory.auxiliary.values()]

    def auxiliary_arrays(self) -> list[Any]:
        """Return the memory of the auxiliary states, in a fixed order."""
        return list(self._memory.auxiliary.values())

    def flat_gradients(self) -> list[Any]:
        """Return the gradients of all parameters as flat arrays, the arena's and the others'."""
        arena = self._memory.arena
        loose = [
            self._memory.executor.grad_dict[name]
            for name in self._memory.roles.parameters
            if name not in arena.grads
        ]
        rows = [grad.data if isinstance(grad, RowSparseNDArray) else grad for grad in loose]
        return [
            *(group.grad for group in arena.groups),
            *(grad.reshape(-1) for grad in rows if grad is not None),
        ]

    def mark_changed(self) -> None:
        """Let `get_params` fetch values that were changed in place."""
        self._params.stale = True

    def executor_for(self, rows: int, for_training: bool = True) -> Executor:
        """Return the executor of a batch of `rows` rows, making it if it is new.

        It is the one in use from now on. Not ``for_training`` it is one beside that, which takes
        less memory.
        """
        memory = self._memory
        data, labels = (inputs.with_rows(given, rows) for given in (memory.data, memory.labels))
        if not for_training:
            return memory.predicting(data, labels)
        memory.use(data, labels)
        return memory.executor

    # -- bind --------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: GraphModule | None = None,
        grad_req: Any = "write",
    ) -> None:
        """Allocate memory for given input shapes: (name, shape) pairs or `DataDesc`.

        A second call is ignored with a log line; `force_rebind` binds again and keeps parameter
        values and optimizer states. With `shared_module` its parameter arrays are used. `grad_req`
        is write, add or null for what learns, or a mapping or list of them by argument. Raises
        ValueError for data names that are not the module's, CallError for first axes that
        disagree, MXNetError for shapes that do not fit the graph; nothing has changed then.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and not for_training:
            raise CallError("inputs_need_grad needs for_training=True")
        data, labels = inputs.described(data_shapes), inputs.described(label_shapes)
        inputs.check(self._roles, data, labels)
        reqs = self._roles.grad_reqs(grad_req if for_training else "null", inputs_need_grad)
        shared = None if shared_module is None else shared_module._memory
        memory = Memory(
            self._symbol, self._roles, reqs, data, labels, self.random, self._backend, shared
        )
        if self.binded and self.params_initialized:
            self._params.pull(self._memory)
        if shared_module is None:
            self._params.fit(memory)
        else:
            self._params = shared_module._params
            self.params_initialized = shared_module.params_initialized
        self._memory_in_use = memory
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        if shared_module is None and self.params_initialized:
            self._params.push(memory)
        self._memory_replaced(memory)

    def _memory_replaced(self, memory: Memory) -> None:
        """Let a subclass move what it keeps about the old memory."""

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Switch to other input shapes; parameters stay."""
        memory = self._memory
        data, labels = inputs.described(data_shapes), inputs.described(label_shapes)
        inputs.check(self._roles, data, labels)
        memory.use(data, labels)

    # -- parameters --------------------------------------------------------------------------

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Mapping[str, Any] | None = None,
        aux_params: Mapping[str, Any] | None = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give every parameter and auxiliary state a value, in alphabetical order.

        From `arg_params` / `aux_params` where they are given and have it, else from the
        initializer; with the initializer None it stays as it is. Further names in the dictionaries
        are ignored. Raises MXNetError for a name that `arg_params` lacks, unless `allow_missing`.
        """
        if self.params_initialized and not force_init:
            _warn("parameters are initialized already; force_init=True does it again")
            return
        memory = self._memory
        self._params.pull(memory)
        self._params.initialize(
            self._symbol.attr_dict(), initializer, arg_params, aux_params, allow_missing
        )
        self._params.push(memory)
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return (parameters, auxiliary states) by name.

        They are the module's own arrays, brought up to date by this call; writing into them does
        not reach the executor (`set_params` does).
        """
        self._require(binded=True, params_initialized=True)
        self._params.pull(self._memory)
        return self._params.arg_params, self._params.aux_params

    def set_params(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any],
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters and auxiliary states.

        Without `allow_missing` every one must be given (MXNetError) and further names are ignored;
        with it the given ones are set and a name the module has not is a ValueError unless
        `allow_extra`.
        """
        if not allow_missing:
            self.init_params(None, arg_params, aux_params, force_init=force_init)
            return
        if self.params_initialized and not force_init:
            _warn("parameters are initialized already; set_params needs force_init=True")
            return
        self._memory.executor.copy_params_from(arg_params, aux_params, allow_extra)
        self._params.stale = True
        self.params_initialized = True

    # -- computing ---------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch; other input shapes switch to an executor of their own.

        `is_train` None means the `for_training` of `bind`. Labels are loaded if present.
        """
        self._require(binded=True, params_initialized=True)
        memory = self._memory
        memory.follow(data_batch)
        executor = memory.executor
        for desc, array in zip(memory.data, data_batch.data, strict=True):
            copy_checked(desc.name, array, executor.arg_dict[desc.name])
        for desc, array in zip(memory.labels, inputs.labels_of(data_batch), strict=False):
            copy_checked(desc.name, array, executor.arg_dict[desc.name])
        executor.forward(self.for_training if is_train is None else is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the latest forward (CallError unless bound for training)."""
        self._require(binded=True, params_initialized=True)
        if not self.for_training:
            raise CallError("backward needs bind(..., for_training=True)")
        self.executor.backward(out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the latest forward; the next one overwrites them.

        With ``merge_multi_context=False`` each is a list with the array of the one device.
        """
        self._require(binded=True, params_initialized=True)
        return _merged(self.executor.outputs, merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the data inputs (CallError unless asked for in `bind`)."""
        self._require(binded=True, params_initialized=True)
        if not self.inputs_need_grad:
            raise CallError("get_input_grads needs bind(..., inputs_need_grad=True)")
        grads = [self.executor.grad_dict[name] for name in self._roles.data]
        return _merged(grads, merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Let a metric see labels and the outputs of the latest forward, padding included."""
        named = dict(zip(self._roles.labels, labels or [], strict=False))
        eval_metric.update_dict(named, self.executor.output_dict)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the values of the state inputs."""
        self._require(binded=True, params_initialized=True)
        states = [self.executor.arg_dict[name] for name in self._roles.states]
        return _merged(states, merge_multi_context)

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the state inputs, from arrays (a list per state allowed) or to one number."""
        self._require(binded=True, params_initialized=True)
        if (states is None) == (value is None):
            raise CallError("set_states takes either states or value")
        for number, name in enumerate(self._roles.states):
            target = self.executor.arg_dict[name]
            if states is None:
                target[...] = value
            else:
                given = states[number]
                copy_checked(name, given[0] if isinstance(given, list) else given, target)

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch every forward."""
        self._memory.watch(mon)


def _device(context: Context | Sequence[Context] | None) -> Context:
    devices = [context] if isinstance(context, Context) else list(context or [cpu()])
    if len(devices) != 1:
        raise MXNetError(f"a module runs on one device, {len(devices)} were given: {devices}")
    return devices[0]


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)


def _merged(arrays: Sequence[Any], merge: bool) -> list[Any]:
    return list(arrays) if merge else [[array] for array in arrays]
