"""`BaseModule`: training, scoring and predicting loops over a module's own operations."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import initializer as init
from mxtrain import metric as metrics
from mxtrain import nd
from mxtrain.errors import CallError
from mxtrain.io import DataBatch
from mxtrain.model import BatchEndParam
from mxtrain.nd import NDArray

if TYPE_CHECKING:
    from mxtrain.symbol import Symbol

Callbacks = Callable[..., Any] | Sequence[Callable[..., Any]] | None
_DEFAULT_RATE = (("learning_rate", 0.01),)
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

    @abstractmethod
    def bind(self, data_shapes: Any, label_shapes: Any = None, **options: Any) -> None:
        """Allocate memory for given input shapes."""

    @abstractmethod
    def init_params(self, initializer: Any = None, **options: Any) -> None:
        """Give the parameters their first values."""

    @abstractmethod
    def init_optimizer(self, **options: Any) -> None:
        """Take an optimizer."""

    @abstractmethod
    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Return (parameters, auxiliary states)."""

    @abstractmethod
    def set_params(self, arg_params: Any, aux_params: Any, **options: Any) -> None:
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
        if reset:
            eval_data.reset()
        eval_metric = _as_metric(eval_metric)
        eval_metric.reset()
        actual_num_batch = 0
        for nbatch, eval_batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            if count_padding or not eval_batch.pad:
                self.update_metric(eval_metric, eval_batch.label)
            else:
                self._update_metric_unpadded(eval_metric, eval_batch)
            _call_all(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            actual_num_batch += 1
        if score_end_callback is not None:
            param = BatchEndParam(epoch, actual_num_batch, eval_metric, locals())
            _call_all(score_end_callback, param)
        pairs: list[tuple[str, float]] = eval_metric.get_name_value()
        return pairs

    def _update_metric_unpadded(self, eval_metric: Any, batch: Any) -> None:
        rows = slice(0, batch.data[0].shape[0] - batch.pad)
        eval_metric.update_dict(
            {
                name: label[rows]
                for name, label in zip(self._label_names(), batch.label, strict=True)
            },
            {
                name: output[rows]
                for name, output in zip(self.symbol.list_outputs(), self.get_outputs(), strict=True)
            },
        )

    def _label_names(self) -> Sequence[str]:
        raise NotImplementedError(f"{type(self).__name__} does not name its labels")

    def iter_predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        reset: bool = True,
        sparse_row_id_fn: Any = None,
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """Yield (outputs, number, batch) for each batch, padding dropped."""
        self._require(binded=True, params_initialized=True)
        if reset:
            eval_data.reset()
        for nbatch, eval_batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            yield self._outputs_without_padding(eval_batch.pad), nbatch, eval_batch

    def _outputs_without_padding(self, pad: int | None) -> list[NDArray]:
        return [out[: out.shape[0] - (pad or 0)] for out in self.get_outputs()]

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
        ``merge_batches=False`` a list of lists. Padding is dropped. ValueError for anything else.
        """
        self._require(binded=True, params_initialized=True)
        if isinstance(eval_data, np.ndarray):
            self.forward(DataBatch([nd.array(eval_data)]), is_train=False)
            return self.get_outputs()[0]
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
        counts = {len(outputs) for outputs in batches}
        if len(counts) != 1:
            raise ValueError(f"batches gave different numbers of outputs: {sorted(counts)}")
        merged = [nd.view(np.concatenate(parts)) for parts in zip(*batches, strict=True)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

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
        optimizer_params: Any = _DEFAULT_RATE,
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
        eval_metric = _as_metric(eval_metric)
        for epoch in range(begin_epoch, num_epoch):
            started = time.time()
            values = self._train_epoch(
                epoch, train_data, eval_metric, batch_end_callback, monitor, sparse_row_id_fn
            )
            for name, value in values:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - started)
            arg_params, aux_params = self.get_params()
            self.set_params(arg_params, aux_params)
            _call_all(epoch_end_callback, epoch, self.symbol, arg_params, aux_params)
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

    def _train_epoch(
        self,
        epoch: int,
        train_data: Any,
        eval_metric: Any,
        batch_end_callback: Callbacks,
        monitor: Any,
        sparse_row_id_fn: Any,
    ) -> list[tuple[str, float]]:
        """Train on every batch once and return the metric's values over the epoch."""
        eval_metric.reset()
        nbatch = 0
        values: list[tuple[str, float]] = []
        batches = iter(train_data)
        next_batch = next(batches)
        while next_batch is not None:
            data_batch = next_batch
            if monitor is not None:
                monitor.tic()
            self.forward_backward(data_batch)
            self.update()
            self.update_metric(eval_metric, data_batch.label)
            next_batch = next(batches, None)
            if next_batch is None:
                values = eval_metric.get_global_name_value()
            else:
                self.prepare(next_batch, sparse_row_id_fn=sparse_row_id_fn)
            if monitor is not None:
                monitor.toc_print()
            _call_all(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            nbatch += 1
        return values

    def _require(self, **state: bool) -> None:
        """Raise CallError naming the call that has to come first."""
        calls = {
            "binded": "bind",
            "params_initialized": "init_params",
            "optimizer_initialized": "init_optimizer",
        }
        for attribute, wanted in state.items():
            if getattr(self, attribute) is not wanted:
                raise CallError(f"call {calls[attribute]}() before this")


def _as_metric(metric: Any) -> Any:
    return metric if isinstance(metric, metrics.EvalMetric) else metrics.create(metric)


def _call_all(callbacks: Callbacks, *arguments: Any) -> None:
    if callbacks is None:
        return
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        callback(*arguments)
