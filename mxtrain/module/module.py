"""`Module`: a graph module that learns: an optimizer, and checkpoints of both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mxtrain.errors import CallError
from mxtrain.model import load_checkpoint
from mxtrain.module import inputs
from mxtrain.module.base_module import DEFAULT_RATE
from mxtrain.module.graph_module import GraphModule
from mxtrain.module.memory import Memory
from mxtrain.module.optimization import Optimization, make_optimizer


class Module(GraphModule):
    """A symbol bound to one device, with parameters and an optimizer (MXNet's `Module`).

    The constructor is that of `GraphModule`.

    >>> from mxtrain import symbol
    >>> layer = symbol.FullyConnected(symbol.Variable("data"), num_hidden=2, name="fc")
    >>> module = Module(symbol.SoftmaxOutput(layer, name="softmax"))
    >>> module.bind([("data", (4, 3))], [("softmax_label", (4,))])
    >>> module.output_shapes
    [('softmax_output', (4, 2))]
    """

    _optimizer: Any = None
    _optimization: Optimization | None = None
    _preloaded_states: str | None = None

    @property
    def optimizer(self) -> Any:
        """The optimizer in use."""
        return self._optimizing.optimizer

    @property
    def _optimizing(self) -> Optimization:
        if self._optimization is None:
            raise CallError("call init_optimizer() before this")
        return self._optimization

    def optimizer_state_bytes(self) -> int:
        """Return the memory of the optimizer's states, in bytes."""
        return self._optimizing.nbytes()

    def optimizer_scratch_bytes(self) -> int:
        """Return the memory that updates have needed beside the states, in bytes."""
        return self._optimizing.scratch_bytes()

    def update_bytes(self) -> int:
        """Return the bytes that an update reads and writes: gradients once, the rest twice."""
        return self._optimizing.update_bytes()

    def _memory_replaced(self, memory: Memory) -> None:
        if self._optimization is not None:
            self._optimization.attach(memory)

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = DEFAULT_RATE,
        force_init: bool = False,
    ) -> None:
        """Take an optimizer, by name with parameters or as an object.

        A name is created with ``rescale_grad = 1 / batch size`` unless that is given. An object is
        kept as it is, with a UserWarning when its rescale_grad is another. `kvstore` has no
        influence on one device; CallError for one of several machines.
        """
        if isinstance(kvstore, str) and kvstore.startswith("dist"):
            raise CallError(f"kvstore {kvstore!r}: training on several machines is not there")
        self._require(binded=True, params_initialized=True)
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        names, rows = self._roles.parameters, inputs.batch_size(self._memory.data)
        params = dict(optimizer_params or {})
        self._optimizer = make_optimizer(optimizer, params, self._symbol, names, rows)
        self._optimization = Optimization(self._optimizer, names, self._backend, self._memory)
        self.optimizer_initialized = True
        if self._preloaded_states is not None:
            self.load_optimizer_states(self._preloaded_states)
            self._preloaded_states = None

    def update(self) -> None:
        """Apply the optimizer to every parameter that has a gradient."""
        self._params.stale = True
        self._optimizing.update()

    def updates_ahead(self, count: int) -> list[tuple[Any, Any]] | None:
        """Return the rules of the arena with the scalars of their next updates, `count` at most.

        For a caller that runs them itself and then tells by `updates_made` how many it made. None
        where some parameter is updated in another way.
        """
        return self._optimizing.ahead(count)

    def updates_made(self, count: int) -> None:
        """Take note of updates that the caller of `updates_ahead` has made."""
        self._params.stale = True
        self._optimizing.advance(count)

    # -- files -------------------------------------------------------------------------------

    def save_checkpoint(self, prefix: str, epoch: int, save_optimizer_states: bool = False) -> None:
        """Write ``<prefix>-symbol.json``, ``<prefix>-NNNN.params`` and, if wanted, ``.states``."""
        self._symbol.save(f"{prefix}-symbol.json")
        fname = f"{prefix}-{epoch:04d}.params"
        self.save_params(fname)
        logging.info('Saved checkpoint to "%s"', fname)
        if save_optimizer_states:
            fname = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(fname)
            logging.info('Saved optimizer state to "%s"', fname)

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """Return a module with the parameters of a checkpoint, still to be bound.

        With `load_optimizer_states` the states are read when `init_optimizer` runs.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol, **kwargs)
        module._params.arg_params.update(arg_params)
        module._params.aux_params.update(aux_params)
        module.params_initialized = True
        if load_optimizer_states:
            module._preloaded_states = f"{prefix}-{epoch:04d}.states"
        return module

    def optimizer_state(self) -> dict[str, Any]:
        """Return the optimizer's states and counters; arrays are those in use, not copies."""
        return self._optimizing.state()

    def set_optimizer_state(self, values: Mapping[str, Any], source: str = "this") -> None:
        """Take over what `optimizer_state` returned (MXNetError when it does not fit)."""
        self._optimizing.set_state(values, source)

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's states and counters as a safetensors file."""
        self._optimizing.save_states(fname)

    def load_optimizer_states(self, fname: str) -> None:
        """Read states that `save_optimizer_states` wrote (MXNetError when they do not fit)."""
        self._optimizing.load_states(fname)
