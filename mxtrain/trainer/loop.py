"""The training loop: epochs of batches, with a look at every loss before it is learned from."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.executor.plan import Program
from mxtrain.trainer.ahead import Ahead
from mxtrain.trainer.batches import Batch, Batches, Loader
from mxtrain.trainer.bound import BoundBatch
from mxtrain.trainer.errors import InterruptError, NotFiniteError
from mxtrain.trainer.failure import first_bad_tensor
from mxtrain.trainer.gradients import Gradients
from mxtrain.trainer.measure import Measure, loss_of
from mxtrain.trainer.metrics import make_metrics
from mxtrain.trainer.position import Position

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
    profile : times every phase and node.
    on_checkpoint : called within an epoch, after a batch, when a checkpoint is due.

    Attributes
    ----------
    epoch, batches_done : where it stands: whole epochs, and batches of the next one.
    checkpoint_is_due : a checkpoint became due with the last batch of an epoch.
    gradients : the scale of the losses, and how many updates were left out.
    """

    def __init__(
        self,
        built: Built,
        stop_requested: Callable[[], bool] = lambda: False,
        on_progress: Callable[..., None] = lambda *arguments: None,
        profile: Profile | None = None,
        on_checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        spec = built.spec
        self.built = built
        self._on_checkpoint = on_checkpoint
        self._stop_requested, self._on_progress = stop_requested, on_progress
        self._run = Program.run if profile is None else profile.run
        self._timed = _as_it_is if profile is None else profile.wrap
        self.gradients = Gradients(built.module, spec.fit)
        self._update: Callable[[], None] = self._timed("update", self.gradients.update)
        self._train_loader = Loader(built.data.train)
        rows = built.data.eval
        self._eval_loader = None if rows is None else Loader(rows)
        size = spec.data.batch_size
        seed = spec.seed if spec.data.shuffle else None
        self.batches = Batches(len(built.data.train), size, spec.data.last_batch, seed)
        self._class_weights = built.data.class_weights(spec.data.class_weight)
        self._fill = self._timed("input", self._train_loader.fill)
        self._seems_finite = self._timed("metric", BoundBatch.seems_finite)
        self._bound: dict[int, BoundBatch] = {}
        self._only_predicting: dict[int, BoundBatch] = {}
        self.train_measure, self.eval_measure = self._measure(), self._measure()
        self._add = self._timed("metric", self.train_measure.add)
        looks = spec.fit.clip_global_norm is not None or self.gradients.scale is not None
        # BatchNorm's averages move before it is known whether the gradient is finite.
        averages = built.module.auxiliary_arrays() if looks else []
        self._averages = [(array, np.array(array)) for array in averages]
        keeping = spec.fit.checkpoint
        self._save_every = keeping.every_batches or math.inf
        self._save_after = math.inf if keeping.every_minutes is None else 60 * keeping.every_minutes
        self._save_at = time.perf_counter() + self._save_after
        self._total_batches = 0
        self.checkpoint_is_due = False
        self._ahead = Ahead(
            built,
            self.bound(size),
            self._train_loader,
            self.train_measure,
            self.gradients,
            self._averages,
            allowed=profile is None,
        )
        self.begin(spec.fit.begin_epoch)

    def _measure(self) -> Measure:
        full = self.bound(self.built.spec.data.batch_size)
        metrics = make_metrics(self.built.spec.fit.metrics, self.built.heads)
        return Measure(self.built.heads, metrics, self.built.labels, full)

    def bound(self, rows: int) -> BoundBatch:
        """Return the plan of a batch of `rows` rows."""
        if rows not in self._bound:
            scales = self.gradients.scale is not None
            made = BoundBatch(self.built, rows, self._class_weights, self._run, scales=scales)
            self._bound[rows] = made
        return self._bound[rows]

    def _predicting(self, rows: int) -> BoundBatch:
        """Return a plan of a batch of `rows` eval rows."""
        if rows in self._bound:
            return self._bound[rows]
        if rows not in self._only_predicting:
            bound = BoundBatch(self.built, rows, {}, self._run, learns=False)
            self._only_predicting[rows] = bound
        return self._only_predicting[rows]

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

    def rehearse(self) -> list[BoundBatch]:
        """Compute a batch of every length there will be, whatever comes of it.

        Returns the plans, that of a full batch first. All memory a run needs is taken then.
        """
        with np.errstate(all="ignore"):
            for rows in self.batches.sizes():
                bound = self.bound(rows)
                self._train_loader.fill(np.arange(rows), bound.data, bound.labels)
                bound.forward()
                bound.backward()
                self._update()
            if self._eval_loader is not None and self.built.data.eval is not None:
                count = len(self.built.data.eval)
                for rows in Batches(count, self.built.spec.data.batch_size).sizes():
                    bound = self._predicting(rows)
                    self._eval_loader.fill(np.arange(rows), bound.data, bound.labels)
                    bound.predict()
        return [*self._bound.values(), *self._only_predicting.values()]

    def nbytes(self) -> int:
        """Return the bytes it holds beside the module and the rows, the order of these included."""
        loaders = [self._train_loader, self._eval_loader]
        measures = [self.train_measure, self.eval_measure]
        kept = sum(one.nbytes() for one in (*loaders, *measures) if one is not None)
        longest = max(len(rows) for rows in (self.built.data.train, self.built.data.eval or ()))
        averages = sum(int(before.nbytes) for _, before in self._averages)
        averages += self._ahead.nbytes()
        return kept + averages + longest * np.dtype(np.int64).itemsize

    # -- where it stands ---------------------------------------------------------------------

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.epoch, self.batches_done)

    @property
    def updates_done(self) -> int:
        """Updates of the running epoch."""
        return self.batches_done - self.gradients.skipped_in_epoch

    def begin(self, epoch: int) -> None:
        """Stand at the beginning of an epoch, numbered from 0."""
        self.epoch, self.batches_done = epoch, 0
        self._carried = self.batches.carried
        self.train_measure.reset()
        self.gradients.begin_epoch()

    def saved(self) -> None:
        """Take note of a checkpoint: minutes to the next one are counted from now."""
        self.checkpoint_is_due = False
        self._save_at = time.perf_counter() + self._save_after

    def state(self) -> dict[str, Any]:
        """Return what it takes, beside the position, to go on from it."""
        return {
            "carried": self._carried,
            "total_batches": self._total_batches,
            "train": self.train_measure.state(),
            "eval": [attributes.state() for attributes in self.eval_measure.remembered],
            "loss_scale": self.gradients.state(),
        }

    def set_state(self, position: Position, values: Mapping[str, Any]) -> None:
        """Stand at `position`, as the loop whose `state` this is."""
        self.batches.carried = np.asarray(values["carried"], np.int64)
        self.begin(position.epoch)
        self.batches_done = position.batch
        self._total_batches = int(values["total_batches"])
        self.train_measure.set_state(values["train"])
        for attributes, kept in zip(self.eval_measure.remembered, values["eval"], strict=True):
            attributes.set_state(kept)
        self.gradients.set_state(values.get("loss_scale"))

    # -- training ----------------------------------------------------------------------------

    def train_epoch(self, epoch: int) -> int:
        """Train on every batch of an epoch (numbered from 0) and return the rows trained on.

        Batches done before, where the loop stands within this epoch, are passed over. Raises
        NotFiniteError, and InterruptError after the batch in which a stop was asked for.
        """
        if epoch != self.epoch:
            self.begin(epoch)
        count = self.batches.per_epoch()
        rows, started = 0, time.perf_counter()
        next_report = started + REPORT_EVERY
        with np.errstate(all="ignore"):
            coming = islice(self.batches.epoch(epoch), self.batches_done, None)
            while piece := list(islice(coming, self._ahead.length(self._until_saving()))):
                self._train_piece(piece)
                for batch in piece:
                    rows += len(batch.rows) - batch.pad
                if self._stop_requested():
                    raise InterruptError
                now = time.perf_counter()
                if now >= next_report:
                    next_report = now + REPORT_EVERY
                    values = self.train_measure.values_so_far()
                    self._on_progress(self.batches_done, count, values, rows, now - started)
                if now >= self._save_at or not self._total_batches % self._save_every:
                    self._save(self.batches_done == count)
            self._timed("metric", self.train_measure.flush)()
        return rows

    def _until_saving(self) -> int:
        """Return the batches until a checkpoint is due by their number, 1 at least."""
        if self._save_every == math.inf:
            return sys.maxsize
        return int(self._save_every - self._total_batches % self._save_every)

    def _train_piece(self, piece: list[Batch]) -> None:
        """Learn from some batches, as many in one call as can be."""
        while piece:
            done, overflowed = self._ahead.run(piece)
            self._count(done)
            if overflowed:
                self._leave_out(self.bound(len(piece[done].rows)))
                self.train_measure.took(1)
                self._count(1)
            elif not done:
                self.train_batch(piece[0])
                self._count(1)
            piece = piece[max(done + overflowed, 1) :]

    def _count(self, batches: int) -> None:
        self.batches_done += batches
        self._total_batches += batches

    def _save(self, is_last: bool) -> None:
        """Let a checkpoint be written; one due with the last batch waits for the epoch's end."""
        if is_last:
            self.checkpoint_is_due = True
        else:
            self._on_checkpoint()

    def train_batch(self, batch: Batch) -> None:
        """Learn from one batch.

        Raises NotFiniteError where its loss is not; everything is then as before the batch. Where
        a scale of the losses made a gradient overflow, the update alone is left out: the batch is
        measured, and BatchNorm's averages stay where it has moved them.
        """
        bound = self.bound(len(batch.rows))
        self._fill(batch.rows, bound.data, bound.labels)
        bound.forward()
        if not self._seems_finite(bound):
            self._look_closer(bound)
        if self.gradients.may_fail:
            for average, before in self._averages:
                np.copyto(before, average)
        bound.scale(self.gradients.factor)
        bound.backward()
        if self.gradients.are_finite():
            self._update()
        else:
            self._leave_out(bound)
        self._add(bound, batch.pad)

    def _leave_out(self, bound: BoundBatch) -> None:
        """Go on without an update (NotFiniteError where no lower scale is left to try)."""
        if not self.gradients.leave_out():
            raise self._not_finite("gradient", bound)

    def _look_closer(self, bound: BoundBatch) -> None:
        """Raise unless it was only the square of an output that overflowed, not a loss."""
        names = [*(head.output for head in self.built.heads), *self.built.labels]
        arrays = dict(zip(names, bound.measured, strict=True))
        outputs_are_finite = all(bool(np.isfinite(output).all()) for output in bound.outputs)
        totals = [loss_of(head, arrays)[0] for head in self.built.heads]
        if not (outputs_are_finite and np.isfinite(totals).all()):
            raise self._not_finite("loss", bound)

    def _not_finite(self, what: str, bound: BoundBatch) -> NotFiniteError:
        """Take the batch back and say what went wrong."""
        inputs = {"data", *self.built.labels}
        tensor = first_bad_tensor(bound, inputs, backward=what == "gradient")
        self.built.module.random.steps[True] -= 1
        if what == "gradient":
            for average, before in self._averages:
                np.copyto(average, before)
        advice = self._advice(what)
        return NotFiniteError(what, self.epoch + 1, self.batches_done + 1, tensor, advice)

    def _advice(self, what: str) -> str:
        spec = self.built.spec
        tries = ["a lower learning rate"]
        scale = self.gradients.scale
        if what == "gradient" and scale is not None and not scale.is_dynamic:
            tries.insert(0, "a smaller fit.loss_scale, or dynamic,")
        if spec.data.features.scale == "none":
            tries.append("data.features: {scale: standard}")
        if spec.fit.clip_global_norm is None:
            tries.append("fit.clip_global_norm")
        return " or ".join(tries)

    # -- evaluation --------------------------------------------------------------------------

    def evaluate(self) -> dict[str, float]:
        """Return loss and metrics over all eval rows, each counted once (none without eval rows).

        Raises InterruptError where a stop is asked for.
        """
        rows = self.built.data.eval
        if rows is None or self._eval_loader is None:
            return {}
        self.eval_measure.reset()
        steps = self.built.module.random.steps
        before = steps[False]
        fill = self._timed("input", self._eval_loader.fill)
        add = self._timed("metric", self.eval_measure.add)
        with np.errstate(all="ignore"):
            for batch in Batches(len(rows), self.built.spec.data.batch_size).epoch(0):
                bound = self._predicting(len(batch.rows))
                fill(batch.rows, bound.data, bound.labels)
                bound.predict()
                add(bound)
                if self._stop_requested():
                    steps[False] = before  # a run that goes on evaluates from the beginning
                    raise InterruptError
            self._timed("metric", self.eval_measure.flush)()
        return self.eval_measure.values()


def _as_it_is(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Time nothing."""
    return function
