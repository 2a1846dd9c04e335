"""The training loop: epochs of batches, with a look at every loss before it is learned from."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.executor.plan import Program
from mxtrain.trainer.batches import Batch, Batches, Loader
from mxtrain.trainer.bound import BoundBatch
from mxtrain.trainer.errors import InterruptError, NotFiniteError
from mxtrain.trainer.failure import first_bad_tensor
from mxtrain.trainer.measure import Measure, loss_of
from mxtrain.trainer.metrics import make_metrics

if TYPE_CHECKING:
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.profile import Profile

Array = np.ndarray[Any, Any]

# Seconds between two reports within an epoch.
REPORT_EVERY = 0.25


class Loop:
    """Trains and evaluates a built module that has an optimizer.

    Parameters
    ----------
    built : the module with its data.
    stop_requested : asked after every batch; True ends the loop with `InterruptError`.
    on_progress : called with (batch, batches, values, rows done, seconds) a few times a second.
    profile : times every kernel.
    """

    def __init__(
        self,
        built: Built,
        stop_requested: Callable[[], bool] = lambda: False,
        on_progress: Callable[..., None] = lambda *arguments: None,
        profile: Profile | None = None,
    ) -> None:
        spec = built.spec
        self.built = built
        self._stop_requested, self._on_progress = stop_requested, on_progress
        self._run = Program.run if profile is None else profile.run
        self._update: Callable[[], None] = built.module.update
        if profile is not None:
            self._update = lambda: profile.call("optimizer", "update", built.module.update)
        self._train_loader = Loader(built.data.train)
        rows = built.data.eval
        self._eval_loader = None if rows is None else Loader(rows)
        size = spec.data.batch_size
        seed = spec.seed if spec.data.shuffle else None
        self.batches = Batches(len(built.data.train), size, spec.data.last_batch, seed)
        self._class_weights = built.data.class_weights(spec.data.class_weight)
        self._bound: dict[int, BoundBatch] = {}
        self.train_measure, self.eval_measure = self._measure(), self._measure()
        self._clip = spec.fit.clip_global_norm
        self.epoch = 0
        self.batches_done = 0

    def _measure(self) -> Measure:
        full = self.bound(self.built.spec.data.batch_size)
        metrics = make_metrics(self.built.spec.fit.metrics, self.built.heads)
        return Measure(self.built.heads, metrics, self.built.labels, full)

    def bound(self, rows: int) -> BoundBatch:
        """Return the plan of a batch of `rows` rows."""
        if rows not in self._bound:
            self._bound[rows] = BoundBatch(self.built, rows, self._class_weights, self._run)
        return self._bound[rows]

    def try_out(self) -> None:
        """Predict and measure one batch: what cannot work is found before anything is written.

        Raises SetupError, for instance for a metric that cannot measure the output.
        """
        batch = self.bound(self.built.spec.data.batch_size)
        batch.backward_program()
        self._train_loader.fill(np.arange(batch.rows), batch.data, batch.labels)
        with np.errstate(all="ignore"):
            batch.executor.plan.forward(False).run()
            self.train_measure.add(batch)
            self.train_measure.flush()
        self.train_measure.reset()

    # -- training ----------------------------------------------------------------------------

    def train_epoch(self, epoch: int) -> int:
        """Train on every batch of an epoch (numbered from 0) and return the rows trained on.

        Raises NotFiniteError, and InterruptError after the batch in which a stop was asked for.
        """
        self.epoch, self.batches_done = epoch, 0
        self.train_measure.reset()
        count = self.batches.per_epoch()
        rows, started = 0, time.perf_counter()
        next_report = started + REPORT_EVERY
        with np.errstate(all="ignore"):
            for batch in self.batches.epoch(epoch):
                self.train_batch(batch)
                self.batches_done += 1
                rows += len(batch.rows) - batch.pad
                if self._stop_requested():
                    raise InterruptError(self.batches_done)
                now = time.perf_counter()
                if now >= next_report:
                    next_report = now + REPORT_EVERY
                    values = self.train_measure.values_so_far()
                    self._on_progress(self.batches_done, count, values, rows, now - started)
            self.train_measure.flush()
        return rows

    def train_batch(self, batch: Batch) -> None:
        """Learn from one batch. Raises NotFiniteError before the update if its loss is not."""
        bound = self.bound(len(batch.rows))
        self._train_loader.fill(batch.rows, bound.data, bound.labels)
        bound.forward()
        if not bound.seems_finite():
            self._look_closer(bound)
        bound.backward()
        if self._clip is not None:
            self._clip_gradients(self._clip, bound)
        self._update()
        self.train_measure.add(bound, batch.pad)

    def _look_closer(self, bound: BoundBatch) -> None:
        """Raise unless it was only the square of an output that overflowed, not a loss."""
        names = [*(head.output for head in self.built.heads), *self.built.labels]
        arrays = dict(zip(names, bound.measured, strict=True))
        outputs_are_finite = all(bool(np.isfinite(output).all()) for output in bound.outputs)
        totals = [loss_of(head, arrays)[0] for head in self.built.heads]
        if not (outputs_are_finite and np.isfinite(totals).all()):
            raise self._not_finite("loss", bound)

    def _not_finite(self, what: str, bound: BoundBatch) -> NotFiniteError:
        inputs = {"data", *self.built.labels}
        tensor = first_bad_tensor(bound, inputs, backward=what == "gradient")
        return NotFiniteError(what, self.epoch + 1, self.batches_done + 1, tensor, self._advice())

    def _advice(self) -> str:
        spec = self.built.spec
        tries = ["a lower learning rate"]
        if spec.data.features.scale == "none":
            tries.append("data.features: {scale: standard}")
        if spec.fit.clip_global_norm is None:
            tries.append("fit.clip_global_norm")
        return " or ".join(tries)

    def _clip_gradients(self, limit: float, bound: BoundBatch) -> None:
        """Scale all gradients so that their rescaled norm, taken together, is at most `limit`."""
        grads = self.built.module.flat_gradients()
        norm = float(np.sqrt(sum(float(np.dot(grad, grad)) for grad in grads)))
        if not np.isfinite(norm):  # the squares may overflow where the gradient does not
            norm = float(np.sqrt(sum(np.square(grad, dtype=np.float64).sum() for grad in grads)))
        if not np.isfinite(norm):
            raise self._not_finite("gradient", bound)
        norm *= abs(self.built.module.optimizer.rescale_grad)
        if norm > limit:
            for grad in grads:
                np.multiply(grad, limit / norm, grad)

    # -- evaluation --------------------------------------------------------------------------

    def evaluate(self) -> dict[str, float]:
        """Return loss and metrics over all eval rows, each counted once (none without eval rows).

        Raises InterruptError where a stop is asked for.
        """
        rows = self.built.data.eval
        if rows is None or self._eval_loader is None:
            return {}
        self.eval_measure.reset()
        with np.errstate(all="ignore"):
            for batch in Batches(len(rows), self.built.spec.data.batch_size).epoch(0):
                bound = self.bound(len(batch.rows))
                self._eval_loader.fill(batch.rows, bound.data, bound.labels)
                bound.predict()
                self.eval_measure.add(bound)
                if self._stop_requested():
                    raise InterruptError(self.batches_done)
            self.eval_measure.flush()
        return self.eval_measure.values()
