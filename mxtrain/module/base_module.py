"""`BaseModule`: the loops of training and scoring over a module's own operations."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import initializer as init
from mxtrain import nd
from mxtrain.errors import CallError
from mxtrain.module import prediction
from mxtrain.module.scoring import measure
from mxtrain.module.training import Callbacks, as_metric, call_all, train_epoch
from mxtrain.nd import NDArray

if TYPE_CHECKING:
    from mxtrain.symbol import Symbol

DEFAULT_RATE = (("learning_rate", 0.01),)
_CALLS = {
    "binded": "bind",
    "params_initialized": "init_params",
    "optimizer_initialized": "init_optimizer",
}
DEFAULT_INITIALIZER = init.Uniform(0.01)


class BaseModule(ABC):
    """The loops of MXNet's Module API: `fit`, `score`, `predict`, `iter_predict`."""

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False

    @property
    @abstractmethod
    def symbol(self) -> Symbol:
        """The graph."""

    @property
    @abstractmethod
    def label_names(self) -> list[str]:
        """Names of the label inputs."""

    @abstractmethod
    def bind(self, *args: Any, **options: Any) -> None:
        """Allocate memory for given input shapes."""

    @abstractmethod
    def init_params(self, *args: Any, **options: Any) -> None:
        """Give the parameters their first values."""

    @abstractmethod
    def init_optimizer(self, *args: Any, **options: Any) -> None:
        """Take an optimizer."""

    @abstractmethod
    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return (parameters, auxiliary states)."""

    @abstractmethod
    def set_params(self, *args: Any, **options: Any) -> None:
        """Set parameters and auxiliary states."""

    @abstractmethod
    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch."""

    @abstractmethod
    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients."""

    @abstractmethod
    def update(self) -> None:
        """Apply the optimizer."""

    @abstractmethod
    def get_outputs(self, merge_multi_context: bool = True) -> list[NDArray]:
        """Return the outputs of the latest forward."""

    @abstractmethod
    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Let a metric see the outputs of the latest forward."""

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch the executor."""
        raise NotImplementedError(f"{type(self).__name__} has nothing to monitor")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch that will come next (nothing to do on one device)."""
        self._require(binded=True)

    def forward_backward(self, data_batch: Any) -> None:
        """Forward in training mode, then backward."""
        self.forward(data_batch, is_train=True)
        self.backward()

    # -- score and predict -------------------------------------------------------------------

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        score_end_callback: Callbacks = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
        count_padding: bool = True,
    ) -> list[tuple[str, float]]:
        """Return the metric's (name, value) pairs over `eval_data`.

        Rows that pad the last batch count, as in MXNet; with ``count_padding=False`` they do not.
        """
        self._require(binded=True, params_initialized=True)
        return measure(
            self,
            eval_data,
            as_metric(eval_metric),
            num_batch,
            batch_end_callback,
            score_end_callback,
            reset,
            epoch,
            count_padding,
        )

    def iter_predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        reset: bool = True,
        sparse_row_id_fn: Any = None,
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """Yield (outputs, number, batch) for each batch, padding dropped.

        The outputs are overwritten by the next batch.
        """
        self._require(binded=True, params_initialized=True)
        yield from prediction.outputs_by_batch(self, eval_data, num_batch, reset)

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """Return the outputs for all of `eval_data`, an iterator or one array.

        Merged over batches (one array, or a list of several outputs), or with
        ``merge_batches=False`` a list of lists. Padding is dropped. An array is one batch, of any
        size, and gives the first output. ValueError for anything else.
        """
        self._require(binded=True, params_initialized=True)
        if isinstance(eval_data, np.ndarray):
            return prediction.predict_array(self, eval_data)
        if not hasattr(eval_data, "provide_data"):
            raise ValueError(
                f"predict takes a data iterator or an array, not a {type(eval_data).__name__}"
            )
        batches = [
            [output.copy() for output in outputs]
            for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset)
        ]
        if not batches or not merge_batches:
            return batches
        return prediction.merged(batches, always_output_list)

    # -- fit ---------------------------------------------------------------------------------

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = DEFAULT_RATE,
        eval_end_callback: Callbacks = None,
        eval_batch_end_callback: Callbacks = None,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:
        """Train for the epochs ``begin_epoch`` to ``num_epoch - 1``.

        Binds, initializes parameters (``Uniform(0.01)`` unless an initializer is given) and the
        optimizer where that has not happened, then trains on every batch of `train_data`, measures
        `eval_metric`, and scores `eval_data` with `validation_metric` (default: `eval_metric`)
        after every epoch. A second call continues: parameters and optimizer stay, unless
        `force_init` draws the parameters anew. Callbacks are functions or lists of them.

        Source: MXNet 1.9.1, `BaseModule.fit`; the order of calls is MXNet's.
        """
        if num_epoch is None:
            raise CallError("fit needs num_epoch, the epoch to stop before")
        self.bind(
            train_data.provide_data,
            train_data.provide_label,
            for_training=True,
            force_rebind=force_rebind,
        )
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
        )
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        if validation_metric is None:
            validation_metric = eval_metric
        eval_metric = as_metric(eval_metric)
        for epoch in range(begin_epoch, num_epoch):
            started = time.time()
            values = train_epoch(self, epoch, train_data, eval_metric, batch_end_callback, monitor)
            for name, value in values:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - started)
            arg_params, aux_params = self.get_params()
            self.set_params(arg_params, aux_params)
            call_all(epoch_end_callback, epoch, self.symbol, arg_params, aux_params)
            if eval_data is not None:
                scores = self.score(
                    eval_data,
                    validation_metric,
                    score_end_callback=eval_end_callback,
                    batch_end_callback=eval_batch_end_callback,
                    epoch=epoch,
                )
                for name, value in scores:
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            train_data.reset()

    # -- files -------------------------------------------------------------------------------

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

    def _require(self, **state: bool) -> None:
        """Raise CallError naming the call that has to come first."""
        for attribute, wanted in state.items():
            if getattr(self, attribute) is not wanted:
                raise CallError(f"call {_CALLS[attribute]}() before this")
