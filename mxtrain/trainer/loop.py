"""The training loop: epochs of batches, with a look at every loss before it is learned from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxtrain.executor import Executor
from mxtrain.trainer.build import Built, make_metric
from mxtrain.trainer.data import Batch, Batches, Loader
from mxtrain.trainer.measure import Measure, is_finite, losses_are_finite

Array = np.ndarray[Any, Any]

# Seconds between two reports within an epoch.
REPORT_EVERY = 0.25


class NotFiniteError(Exception):
    """A loss became NaN or infinite; the weights are those before the batch."""

    def __init__(self, epoch: int, batch: int, tensor: str) -> None:
        super().__init__(
            f"the loss became NaN or infinite at epoch {epoch}, batch {batch}: {tensor} is the "
            "first tensor that is not finite; lower the learning rate, scale the features, or "
            "limit the gradient (fit.clip_global_norm)"
        )


class InterruptError(Exception):
    """The user asked the run to stop; the running batch has been finished."""


@dataclass(frozen=True)
class Buffers:
    """The arrays of one plan that the loop fills and reads."""

    executor: Executor
    data: Array
    labels: list[Array]
    outputs: dict[str, Array]
    label_arrays: dict[str, Array]
    loss_outputs: list[Array]
    row_weights: list[tuple[Array, Array]]


class Loop:
    """Trains and evaluates a built module.

    Parameters
    ----------
    built : the module with its data.
    stop_requested : asked after every batch; True ends the loop with `InterruptError`.
    on_progress : called with (batch, batches, values, rows done, seconds) a few times a second.
    """

    def __init__(
        self,
        built: Built,
        stop_requested: Callable[[], bool] = lambda: False,
        on_progress: Callable[..., None] = lambda *arguments: None,
    ) -> None:
        spec = built.spec
        self.built, self.module = built, built.module
        self._stop_requested, self._on_progress = stop_requested, on_progress
        self._train_loader = Loader(built.data.train, built.labels)
        rows = built.data.eval
        self._eval_loader = None if rows is None else Loader(rows, built.labels)
        self.batches = Batches(
            len(built.data.train),
            spec.data.batch_size,
            spec.data.last_batch,
            spec.seed if spec.data.shuffle else None,
        )
        self._class_weights = built.data.class_weights(spec.data.class_weight)
        self._buffers: dict[int, Buffers] = {}
        full = self.buffers_for(spec.data.batch_size)
        self.train_measure = self._measure(full)
        self.eval_measure = self._measure(full)
        self._clip = spec.fit.clip_global_norm
        self.epoch = 0

    def _measure(self, full: Buffers) -> Measure:
        metric = make_metric(self.built.spec.fit.metrics)
        return Measure(self.built.heads, metric, full.outputs, full.label_arrays)

    # -- training ----------------------------------------------------------------------------

    def train_epoch(self, epoch: int) -> int:
        """Train on every batch of an epoch (numbered from 0) and return the rows trained on."""
        self.epoch = epoch
        self.train_measure.reset()
        count = self.batches.per_epoch()
        rows, started = 0, time.perf_counter()
        reported = started
        for number, batch in enumerate(self.batches.epoch(epoch)):
            self.train_batch(batch, number)
            rows += len(batch.rows) - batch.pad
            if self._stop_requested():
                raise InterruptError
            now = time.perf_counter()
            if now - reported >= REPORT_EVERY:
                reported = now
                self._on_progress(
                    number + 1, count, self.train_measure.values(), rows, now - started
                )
        self.train_measure.flush()
        return rows

    def train_batch(self, batch: Batch, number: int = 0) -> None:
        """Learn from one batch. Raises NotFiniteError before the update if its loss is not."""
        buffers = self.buffers_for(len(batch.rows))
        self._train_loader.fill(batch.rows, buffers.data, buffers.labels)
        buffers.executor.forward(True)
        if not is_finite(buffers.loss_outputs):
            self._refuse_infinite_loss(buffers, number)
        for weights, label in buffers.row_weights:
            np.take(self._class_weights, label.astype(np.int64), 0, weights, "clip")
        buffers.executor.backward()
        if self._clip is not None:
            self._clip_gradients(self._clip)
        self.module.update()
        self.train_measure.add(buffers.outputs, buffers.label_arrays, batch.pad)

    def buffers_for(self, rows: int) -> Buffers:
        """Return the buffers of a batch of `rows` rows."""
        if rows not in self._buffers:
            executor = self.module.executor_for(rows)
            arguments = {name: np.asarray(array) for name, array in executor.arg_dict.items()}
            outputs = {n: np.asarray(a) for n, a in executor.output_dict.items()}
            learned = {head.output: outputs[head.output] for head in self.built.heads}
            labels = {name: arguments[name] for name in self.built.labels}
            self._buffers[rows] = Buffers(
                executor,
                arguments["data"],
                list(labels.values()),
                learned,
                labels,
                list(learned.values()),
                self._row_weights(executor, labels),
            )
        return self._buffers[rows]

    def _row_weights(
        self, executor: Executor, labels: dict[str, Array]
    ) -> list[tuple[Array, Array]]:
        if self._class_weights is None:
            return []
        return [
            (executor.weigh_rows(head.node), labels[head.label])
            for head in self.built.heads
            if head.classifies and head.label is not None
        ]

    def _clip_gradients(self, limit: float) -> None:
        """Scale all gradients so that their rescaled norm, taken together, is at most `limit`."""
        grads = [group.grad for group in self.module.arena.groups]
        norm = float(np.sqrt(sum(float(np.dot(g, g)) for g in grads)))
        norm *= abs(self.module.optimizer.rescale_grad)
        if norm > limit:
            for grad in grads:
                np.multiply(grad, limit / norm, grad)

    def _refuse_infinite_loss(self, buffers: Buffers, number: int) -> None:
        labels = buffers.label_arrays
        if losses_are_finite(self.built.heads, buffers.outputs, labels):
            return  # the sum of the outputs overflowed, the loss itself did not
        raise NotFiniteError(self.epoch + 1, number + 1, first_bad_tensor(buffers.executor))

    # -- evaluation --------------------------------------------------------------------------

    def evaluate(self) -> dict[str, float]:
        """Return loss and metrics over all eval rows, each counted once."""
        rows = self.built.data.eval
        if rows is None or self._eval_loader is None:
            return {}
        self.eval_measure.reset()
        for batch in Batches(len(rows), self.built.spec.data.batch_size).epoch(0):
            buffers = self.buffers_for(len(batch.rows))
            self._eval_loader.fill(batch.rows, buffers.data, buffers.labels)
            buffers.executor.forward(False)
            self.eval_measure.add(buffers.outputs, buffers.label_arrays)
        self.eval_measure.flush()
        return self.eval_measure.values()


def first_bad_tensor(executor: Executor) -> str:
    """Run the latest training batch again, looking after each kernel, and name what went wrong."""
    for kind, arrays in (("input", executor.arg_dict), ("state", executor.aux_dict)):
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                return f"{kind} '{name}'"
    executor.random.steps[True] -= 1  # the same random numbers once more
    executor.random.advance(True)
    with np.errstate(all="ignore"):
        for step in executor.plan.forward(True).steps:
            for kernel, arguments in step.lines:
                kernel(*arguments)
            for name, array in step.results:
                if not np.isfinite(array).all():
                    op = step.node.op if step.node is not None else ""
                    return f"'{name}' of operator {op}"
    return "the loss of the output"
