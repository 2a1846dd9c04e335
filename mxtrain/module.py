"""`Module`: a symbol with memory, parameters and an optimizer."""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mxtrain import backend as backends
from mxtrain import nd, optimizer
from mxtrain.base_module import DEFAULT_INITIALIZER, BaseModule
from mxtrain.checkpoint.atomic import atomic_write
from mxtrain.context import Context, cpu
from mxtrain.errors import CallError, MXNetError, unknown_name
from mxtrain.executor.arena import Arena, Parameter
from mxtrain.executor.executor import Executor, copy_checked, infer_complete
from mxtrain.executor.randomness import StepRandom
from mxtrain.initializer import InitDesc
from mxtrain.io import DataDesc
from mxtrain.model import load_checkpoint
from mxtrain.nd import NDArray
from mxtrain.optimizer.updater import Updater, get_updater
from mxtrain.symbol import Symbol

# Plans of other batch shapes are kept for reuse; beyond this many the oldest is dropped.
MAX_PLANS = 16
_DEFAULT_RATE = (("learning_rate", 0.01),)


class Module(BaseModule):
    """A symbol bound to one device, with parameters and an optimizer (MXNet's `Module`).

    Parameters
    ----------
    symbol : the graph.
    data_names, label_names : its inputs that come with every batch; `label_names` may be None.
    logger : where `fit` writes its lines.
    context : a device, or a list with one.
    work_load_list : the share of each device; one device takes all, so it has no influence.
    fixed_param_names : parameters that do not learn.
    state_names : inputs that are neither parameters nor data; zero until `set_states`.
    backend : where kernels run.

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
        backend: str = "numpy",
    ) -> None:
        super().__init__(logger)
        self._symbol = symbol
        self._context = _one_device(context)
        self._backend = backend
        self._data_names = list(data_names or [])
        self._labels = list(label_names or [])
        self._state_names = list(state_names or [])
        self._fixed = list(fixed_param_names or [])
        arguments = symbol.list_arguments()
        _check_names("data", self._data_names, arguments, strict=True)
        _check_names("label", self._labels, arguments, strict=False)
        _check_names("state", self._state_names, arguments, strict=True)
        _check_names("fixed_param", self._fixed, arguments, strict=True)
        inputs = {*self._data_names, *self._labels, *self._state_names}
        self._param_names = [name for name in arguments if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._arg_params: dict[str, NDArray] = {}
        self._aux_params: dict[str, NDArray] = {}
        self._params_dirty = False
        self._executors: OrderedDict[Any, Executor] = OrderedDict()
        self._optimizer: Any = None
        self._updater: Updater | None = None
        self._bound_rules: list[Any] = []
        self._preloaded_states: str | None = None
        self.random = StepRandom()

    # -- what it is --------------------------------------------------------------------------

    @property
    def symbol(self) -> Symbol:
        """The graph."""
        return self._symbol

    @property
    def data_names(self) -> list[str]:
        """Names of the data inputs."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the label inputs."""
        return self._labels

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._symbol.list_outputs()

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the data inputs as bound now."""
        self._require(binded=True)
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the label inputs as bound now (None without labels)."""
        self._require(binded=True)
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the outputs as bound now."""
        self._require(binded=True)
        return [(name, array.shape) for name, array in self._executor.output_dict.items()]

    @property
    def executor(self) -> Executor:
        """The executor of the batch shape in use."""
        self._require(binded=True)
        return self._executor

    @property
    def arena(self) -> Arena:
        """Memory of the trainable parameters."""
        self._require(binded=True)
        return self._arena

    @property
    def optimizer(self) -> Any:
        """The optimizer in use."""
        self._require(optimizer_initialized=True)
        return self._optimizer

    def parameter_arrays(self) -> list[Any]:
        """Return the memory of all parameters and auxiliary states, in a fixed order.

        Writing into it changes the model; call `mark_changed` afterwards.
        """
        self._require(binded=True)
        return [*(self._arrays[n] for n in self._param_names), *self._aux_arrays.values()]

    def optimizer_state_bytes(self) -> int:
        """Return the memory of the optimizer's states, in bytes."""
        self._require(optimizer_initialized=True)
        rules = [state for rule in self._bound_rules for state in rule.states.values()]
        return sum(state.nbytes for state in rules)

    def mark_changed(self) -> None:
        """Let `get_params` fetch values that were changed in place."""
        self._params_dirty = True

    def executor_for(self, rows: int) -> Executor:
        """Return the executor of a batch of `rows` rows, making it if it is new."""
        self._require(binded=True)
        data = [_with_rows(desc, rows) for desc in self._data_shapes]
        labels = [_with_rows(desc, rows) for desc in self._label_shapes or []]
        if data != self._data_shapes:
            self._use(data, labels or None)
        return self._executor

    def _label_names(self) -> Sequence[str]:
        return self._labels

    # -- bind --------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: str = "write",
    ) -> None:
        """Allocate memory for given input shapes: (name, shape) pairs or `DataDesc`.

        A second call is ignored with a log line; `force_rebind` binds again and keeps parameter
        values. With `shared_module` its parameter arrays are used. Raises ValueError for data
        names that are not the module's, CallError for first axes that disagree, MXNetError for
        shapes that do not fit the graph.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and not for_training:
            raise CallError("inputs_need_grad needs for_training=True")
        kept = self._snapshot()
        data, labels = _descriptions(data_shapes), _descriptions(label_shapes)
        self._check_inputs(data, labels)
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self._grad_req = grad_req if for_training else "null"
        self._executors.clear()
        self._allocate(data, labels, shared_module)
        self._use(data, labels)
        self.binded = True
        self._restore(kept)
        if shared_module is not None and shared_module.params_initialized:
            self._arg_params, self._aux_params = shared_module.get_params()
            self.params_initialized = True
        if self.optimizer_initialized:
            self._attach_rules()

    def _check_inputs(self, data: list[DataDesc], labels: list[DataDesc] | None) -> None:
        names = [desc.name for desc in data]
        if sorted(names) != sorted(self._data_names):
            raise ValueError(
                f"data_shapes names {names}, but the module's data_names are {self._data_names}"
            )
        label_names = [desc.name for desc in labels or []]
        if sorted(label_names) != sorted(self._labels):
            warnings.warn(
                f"label_shapes names {label_names}, but the module's label_names are "
                f"{self._labels}",
                UserWarning,
                stacklevel=3,
            )
        arguments = self._symbol.list_arguments()
        for name in label_names:
            if name not in arguments:
                raise KeyError(unknown_name("argument", name, arguments))
        sizes = {
            desc.name: desc.shape[DataDesc.get_batch_axis(desc.layout)]
            for desc in [*data, *(labels or [])]
            if DataDesc.get_batch_axis(desc.layout) >= 0
        }
        if len(set(sizes.values())) > 1:
            raise CallError(f"inputs disagree on the batch size: {sizes}")

    def _allocate(
        self, data: list[DataDesc], labels: list[DataDesc] | None, shared: Module | None
    ) -> None:
        """Make the arrays of everything that is not an input: parameters, auxiliary states."""
        descriptions = [*data, *(labels or [])]
        shapes = {desc.name: desc.shape for desc in descriptions}
        types = {desc.name: desc.dtype for desc in descriptions if desc.dtype is not None}
        arg_shapes, arg_types, aux_shapes, aux_types = infer_complete(self._symbol, shapes, types)
        names = self._symbol.list_arguments()
        if shared is not None:
            self._share(shared, dict(zip(names, arg_shapes, strict=True)))
            return
        backend = backends.get(self._backend)
        specs = {
            name: (shape, np.dtype(dtype))
            for name, shape, dtype in zip(names, arg_shapes, arg_types, strict=True)
        }
        trainable = [
            Parameter(index, name, *specs[name])
            for index, name in enumerate(self._param_names)
            if self._grad_req != "null" and name not in self._fixed
        ]
        self._arena = Arena(trainable, backend)
        own = [n for n in names if n not in shapes and n not in self._arena.weights]
        self._arrays: dict[str, Any] = dict(self._arena.weights)
        self._arrays |= {name: backend.zeros(*specs[name]) for name in own}
        self._aux_arrays = {
            name: backend.zeros(shape, np.dtype(dtype))
            for name, shape, dtype in zip(self._aux_names, aux_shapes, aux_types, strict=True)
        }
        for store, group in (
            (self._arg_params, {name: self._arrays[name] for name in self._param_names}),
            (self._aux_params, self._aux_arrays),
        ):
            store.clear()
            store.update({n: nd.zeros(a.shape, dtype=a.dtype) for n, a in group.items()})

    def _share(self, shared: Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
        shared._require(binded=True)
        for name in self._param_names:
            if name not in shared._arrays or shared._arrays[name].shape != shapes[name]:
                raise MXNetError(f"shared_module has no parameter '{name}' of shape {shapes[name]}")
        self._arena, self._arrays = shared._arena, shared._arrays
        self._aux_arrays = shared._aux_arrays
        self._arg_params, self._aux_params = shared._arg_params, shared._aux_params

    def _use(self, data: list[DataDesc], labels: list[DataDesc] | None) -> None:
        """Switch to the plan of these input shapes, making it if it is new."""
        descriptions = [*data, *(labels or [])]
        key = tuple((d.name, d.shape, np.dtype(d.dtype or np.float32).str) for d in descriptions)
        if key not in self._executors:
            self._executors[key] = self._make_executor(descriptions)
            if len(self._executors) > MAX_PLANS:
                self._executors.popitem(last=False)
        self._executors.move_to_end(key)
        self._executor = self._executors[key]
        self._data_shapes, self._label_shapes = data, labels

    def _make_executor(self, descriptions: Sequence[DataDesc]) -> Executor:
        shapes = {desc.name: desc.shape for desc in descriptions}
        types = {desc.name: desc.dtype for desc in descriptions if desc.dtype is not None}
        arg_shapes, arg_types, _, _ = infer_complete(self._symbol, shapes, types)
        args, grads, reqs = [], [], []
        for name, shape, dtype in zip(
            self._symbol.list_arguments(), arg_shapes, arg_types, strict=True
        ):
            is_input = name in self._data_names or name in self._labels
            kept = None if is_input else self._arrays.get(name)
            array = np.zeros(shape, np.dtype(dtype)) if kept is None else kept
            if array.shape != shape:
                raise MXNetError(
                    f"'{name}' has shape {array.shape}, these inputs need {shape}; "
                    "bind again with force_rebind=True"
                )
            req = self._req_of(name)
            args.append(array)
            reqs.append(req)
            grads.append(
                None if req == "null" else self._arena.grads.get(name, np.zeros_like(array))
            )
        aux = [self._aux_arrays[name] for name in self._aux_names]
        return Executor(
            self._symbol, args, grads, reqs, aux, self._context, self.random, self._backend
        )

    def _req_of(self, name: str) -> str:
        if name in self._data_names:
            return self._grad_req if self.inputs_need_grad else "null"
        learns = name in self._param_names and name not in self._fixed
        return self._grad_req if learns else "null"

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Switch to other input shapes; parameters stay."""
        self._require(binded=True)
        data, labels = _descriptions(data_shapes), _descriptions(label_shapes)
        self._check_inputs(data, labels)
        self._use(data, labels)

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
            warnings.warn(
                "parameters are initialized already; force_init=True does it again",
                UserWarning,
                stacklevel=2,
            )
            return
        self._require(binded=True)
        attributes = self._symbol.attr_dict()
        for store, given in ((self._arg_params, arg_params), (self._aux_params, aux_params)):
            for name, array in sorted(store.items()):
                desc = InitDesc(name, attributes.get(name))
                self._init_one(desc, array, given, initializer, allow_missing)
        self.params_initialized = True
        self._params_dirty = False
        self._push_params()

    def _init_one(
        self,
        desc: InitDesc,
        array: NDArray,
        given: Mapping[str, Any] | None,
        initializer: Any,
        allow_missing: bool,
    ) -> None:
        if given is not None and desc in given:
            if given[desc] is not array:
                copy_checked(desc, given[desc], array)
            return
        if given is not None and not allow_missing:
            raise MXNetError(
                f"no value for the parameter '{desc}'; allow_missing=True takes the initializer's"
            )
        if initializer is not None:
            initializer(desc, array)

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return (parameters, auxiliary states) by name.

        They are the module's own arrays, brought up to date by this call; writing into them does
        not reach the executor (`set_params` does).
        """
        self._require(binded=True, params_initialized=True)
        if self._params_dirty:
            for name, array in self._arg_params.items():
                array[...] = self._arrays[name]
            for name, array in self._aux_params.items():
                array[...] = self._aux_arrays[name]
            self._params_dirty = False
        return self._arg_params, self._aux_params

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
            self.init_params(
                initializer=None,
                arg_params=arg_params,
                aux_params=aux_params,
                allow_missing=allow_missing,
                force_init=force_init,
                allow_extra=allow_extra,
            )
            return
        if self.params_initialized and not force_init:
            warnings.warn(
                "parameters are initialized already; set_params with force_init=False does nothing",
                UserWarning,
                stacklevel=2,
            )
            return
        self._require(binded=True)
        self._executor.copy_params_from(arg_params, aux_params, allow_extra)
        self._params_dirty = True
        self.params_initialized = True

    def _push_params(self) -> None:
        for name, array in self._arg_params.items():
            self._arrays[name][...] = array
        for name, array in self._aux_params.items():
            self._aux_arrays[name][...] = array

    def _snapshot(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if not self.params_initialized:
            return None
        stores = self.get_params() if self.binded else (self._arg_params, self._aux_params)
        arg_params, aux_params = stores
        return (
            {name: array.copy() for name, array in arg_params.items()},
            {name: array.copy() for name, array in aux_params.items()},
        )

    def _restore(self, kept: tuple[dict[str, Any], dict[str, Any]] | None) -> None:
        if kept is None:
            return
        for store, values in zip((self._arg_params, self._aux_params), kept, strict=True):
            for name, array in values.items():
                if name not in store:
                    store[name] = array
                copy_checked(name, array, store[name])
        if self.binded:
            self._push_params()

    # -- optimizer ---------------------------------------------------------------------------

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = _DEFAULT_RATE,
        force_init: bool = False,
    ) -> None:
        """Take an optimizer, by name with parameters or as an object.

        A name is created with ``rescale_grad = 1 / batch size`` unless that is given. An object is
        kept as it is, with a UserWarning when its rescale_grad is another. `kvstore` has no
        influence on one device.
        """
        self._require(binded=True, params_initialized=True)
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        self._optimizer = self._make_optimizer(optimizer, dict(optimizer_params or {}))
        self._updater = get_updater(self._optimizer)
        self._bound_rules = []
        self._attach_rules()
        self.optimizer_initialized = True
        if self._preloaded_states is not None:
            self.load_optimizer_states(self._preloaded_states)
            self._preloaded_states = None

    def _make_optimizer(self, given: Any, params: dict[str, Any]) -> Any:
        names = dict(enumerate(self._param_names))
        rescale = 1.0 / self._batch_size()
        if isinstance(given, str):
            params.setdefault("rescale_grad", rescale)
            return optimizer.create(given, sym=self._symbol, param_idx2name=names, **params)
        if not isinstance(given, optimizer.Optimizer):
            raise CallError(f"optimizer is a name or an Optimizer, not a {type(given).__name__}")
        if given.rescale_grad != rescale:
            warnings.warn(
                f"the optimizer's rescale_grad is {given.rescale_grad}, not 1/batch size "
                f"({rescale}); is this intended?",
                UserWarning,
                stacklevel=3,
            )
        if not given.idx2name:
            given.idx2name = names
        return given

    def _batch_size(self) -> int:
        first = self._data_shapes[0]
        return int(first.shape[max(DataDesc.get_batch_axis(first.layout), 0)])

    def _attach_rules(self) -> None:
        """Bind a formula optimizer to the arena; states it has already move over."""
        if self._updater is None or not self._optimizer.has_rule:
            return
        from mxtrain.optimizer.rule import BoundRule, Slot

        old, self._bound_rules = self._updater.states, []
        self._updater.states = {}
        for group in self._arena.groups:
            if group.weight.dtype == np.float16:
                continue  # one by one, with a float32 master if asked for
            slots = [Slot(p.index, p.start, p.stop) for p in group.places]
            rule = BoundRule(self._optimizer, slots, group.weight, group.grad, self._backend)
            self._bound_rules.append(rule)
            for slot, place in zip(slots, group.places, strict=True):
                self._updater.states[slot.index] = rule.state_of(slot, place.shape)
        self._copy_states(old)

    def _copy_states(self, source: Mapping[Any, Any]) -> None:
        """Copy states by index into the arrays in use; those without a place are kept as given."""
        if self._updater is None:
            return
        for index, state in source.items():
            if index not in self._updater.states:
                self._updater.states[index] = state
                continue
            mine, theirs = _flat(self._updater.states[index]), _flat(state)
            if [a.shape for a in mine] != [a.shape for a in theirs]:
                raise MXNetError(
                    f"the states of '{self._param_names[index]}' do not fit: "
                    f"{[a.shape for a in theirs]} given, {[a.shape for a in mine]} needed"
                )
            for target, array in zip(mine, theirs, strict=True):
                target[...] = array

    def update(self) -> None:
        """Apply the optimizer to every parameter that has a gradient."""
        self._require(binded=True, params_initialized=True, optimizer_initialized=True)
        self._params_dirty = True
        for rule in self._bound_rules:
            rule.step()
        loose = self._loose_parameters()
        if loose and self._updater is not None:
            names = [self._param_names[index] for index in loose]
            self._updater(
                loose,
                [self._executor.grad_dict[name] for name in names],
                [self._executor.arg_dict[name] for name in names],
            )

    def _loose_parameters(self) -> list[int]:
        """Parameters with a gradient that no bound rule updates, in order."""
        bound = {slot.index for rule in self._bound_rules for slot in rule.slots}
        return [
            index
            for index, name in enumerate(self._param_names)
            if index not in bound and self._executor.grad_dict[name] is not None
        ]

    # -- computing ---------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch; other input shapes switch to a plan of their own.

        `is_train` None means the `for_training` of `bind`. Labels are loaded if present.
        """
        self._require(binded=True, params_initialized=True)
        labels = data_batch.label or []
        self._follow_shapes(data_batch, labels)
        arguments = self._executor.arg_dict
        for desc, array in zip(self._data_shapes, data_batch.data, strict=True):
            copy_checked(desc.name, array, arguments[desc.name])
        for desc, array in zip(self._label_shapes or [], labels, strict=False):
            copy_checked(desc.name, array, arguments[desc.name])
        self._executor.forward(self.for_training if is_train is None else is_train)

    def _follow_shapes(self, batch: Any, labels: Sequence[Any]) -> None:
        data = [
            DataDesc(desc.name, np.shape(array), desc.dtype, desc.layout)
            for desc, array in zip(
                getattr(batch, "provide_data", None) or self._data_shapes, batch.data, strict=True
            )
        ]
        same = [d.shape for d in data] == [d.shape for d in self._data_shapes]
        if same and [d.name for d in data] == [d.name for d in self._data_shapes]:
            return
        described = getattr(batch, "provide_label", None) or self._label_shapes or []
        if labels:
            labels_desc = [
                DataDesc(desc.name, np.shape(array), desc.dtype, desc.layout)
                for desc, array in zip(described, labels, strict=False)
            ]
        else:
            labels_desc = self._labels_for(data, described)
        self._use(data, labels_desc or None)

    def _labels_for(self, data: list[DataDesc], described: Sequence[DataDesc]) -> list[DataDesc]:
        """Infer the label shapes of a batch that brings data only."""
        arg_shapes, _, _ = self._symbol.infer_shape_partial(**{d.name: d.shape for d in data})
        shapes = dict(zip(self._symbol.list_arguments(), arg_shapes, strict=True))
        return [DataDesc(d.name, shapes[d.name], d.dtype, d.layout) for d in described]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the latest forward (CallError unless bound for training)."""
        self._require(binded=True, params_initialized=True)
        if not self.for_training:
            raise CallError("backward needs bind(..., for_training=True)")
        self._executor.backward(out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list[NDArray]:
        """Return the outputs of the latest forward, one array each.

        With ``merge_multi_context=False`` each is a list with the array of the one device.
        """
        self._require(binded=True, params_initialized=True)
        return _merged(self._executor.outputs, merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[NDArray]:
        """Return the gradients of the data inputs (CallError unless asked for in `bind`)."""
        self._require(binded=True, params_initialized=True)
        if not self.inputs_need_grad:
            raise CallError("get_input_grads needs bind(..., inputs_need_grad=True)")
        grads = [self._executor.grad_dict[name] for name in self._data_names]
        return _merged(grads, merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Let a metric see labels and the outputs of the latest forward, padding included."""
        eval_metric.update_dict(
            dict(zip(self._labels, labels or [], strict=False)), self._executor.output_dict
        )

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the values of the state inputs."""
        self._require(binded=True, params_initialized=True)
        states = [self._executor.arg_dict[name] for name in self._state_names]
        return _merged(states, merge_multi_context)

    def set_states(self, states: Any = None, value: float | None = None) -> None:
        """Set the state inputs, from arrays (a list per state allowed) or to one number."""
        self._require(binded=True, params_initialized=True)
        if (states is None) == (value is None):
            raise CallError("set_states takes either states or value")
        for number, name in enumerate(self._state_names):
            target = self._executor.arg_dict[name]
            if states is None:
                target[...] = value
            else:
                given = states[number]
                copy_checked(name, given[0] if isinstance(given, list) else given, target)

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch every forward."""
        self._require(binded=True)
        mon.install(self._executor)

    # -- files -------------------------------------------------------------------------------

    def save_checkpoint(self, prefix: str, epoch: int, save_optimizer_states: bool = False) -> None:
        """Write ``<prefix>-symbol.json``, ``<prefix>-NNNN.params`` and, if wanted, ``.states``."""
        self._symbol.save(f"{prefix}-symbol.json")
        fname = f"{prefix}-{epoch:04d}.params"
        self.save_params(fname)
        logging.info('Saved checkpoint to "%s"', fname)
        if save_optimizer_states:
            self.save_optimizer_states(f"{prefix}-{epoch:04d}.states")

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """Return a module with the parameters of a checkpoint, still to be bound.

        With `load_optimizer_states` the states are read when `init_optimizer` runs.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol, **kwargs)
        module._arg_params, module._aux_params = arg_params, aux_params
        module.params_initialized = True
        if load_optimizer_states:
            module._preloaded_states = f"{prefix}-{epoch:04d}.states"
        return module

    def save_params(self, fname: str) -> None:
        """Write parameters and auxiliary states as an MXNet ``.params`` file."""
        arg_params, aux_params = self.get_params()
        named = {f"arg:{name}": array for name, array in arg_params.items()}
        nd.save(fname, named | {f"aux:{name}": array for name, array in aux_params.items()})

    def load_params(self, fname: str) -> None:
        """Set parameters and auxiliary states from a ``.params`` file.

        Raises ValueError for an entry that is neither ``arg:`` nor ``aux:``.
        """
        loaded = nd.load(fname)
        stores: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
        for key, array in loaded.items() if isinstance(loaded, dict) else []:
            kind, _, name = key.partition(":")
            if kind not in stores or not name:
                raise ValueError(
                    f"{fname}: '{key}' is neither a parameter (arg:) nor a state (aux:)"
                )
            stores[kind][name] = array
        self.set_params(stores["arg"], stores["aux"])

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's states and counters as a safetensors file."""
        self._require(optimizer_initialized=True)
        if self._updater is not None:
            atomic_write(fname, self._updater.get_states(dump_optimizer=True))

    def load_optimizer_states(self, fname: str) -> None:
        """Read states that `save_optimizer_states` wrote (MXNetError when they do not fit)."""
        self._require(optimizer_initialized=True)
        if self._updater is None:
            return
        try:
            with open(fname, "rb") as file:  # noqa: PTH123  (a name is what MXNet scripts pass)
                blob = file.read()
        except OSError as error:
            raise MXNetError(f"cannot read {fname}: {error.strerror}") from None
        mine = self._updater.states
        self._updater.set_states(blob)
        loaded, self._updater.states = self._updater.states, mine
        self._copy_states(loaded)


def _one_device(context: Context | Sequence[Context] | None) -> Context:
    devices = [context] if isinstance(context, Context) else list(context or [cpu()])
    if len(devices) != 1:
        raise MXNetError(f"a module runs on one device, {len(devices)} were given: {devices}")
    if devices[0].device_type != "cpu":
        raise MXNetError(f"there is no backend for {devices[0]}; use cpu()")
    return devices[0]


def _check_names(kind: str, names: Sequence[str], arguments: Sequence[str], strict: bool) -> None:
    for name in names:
        if name in arguments:
            continue
        text = f"{kind}_names: " + unknown_name("argument", name, arguments)
        if strict:
            raise ValueError(text)
        warnings.warn(text, UserWarning, stacklevel=3)


def _descriptions(shapes: Any) -> Any:
    if shapes is None:
        return None
    described = [s if isinstance(s, DataDesc) else DataDesc(*s) for s in shapes]
    return described or None


def _with_rows(desc: DataDesc, rows: int) -> DataDesc:
    axis = max(DataDesc.get_batch_axis(desc.layout), 0)
    shape = (*desc.shape[:axis], rows, *desc.shape[axis + 1 :])
    return DataDesc(desc.name, shape, desc.dtype, desc.layout)


def _merged(arrays: Sequence[Any], merge: bool) -> list[Any]:
    return list(arrays) if merge else [[array] for array in arrays]


def _flat(state: Any) -> list[Any]:
    if state is None:
        return []
    if isinstance(state, (list, tuple)):
        return [array for member in state for array in _flat(member)]
    return [state]
