"""A run from beginning to end: build, train, report, and write everything down."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mxtrain.config import to_yaml
from mxtrain.trainer import describe, folder
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import Built, add_optimizer, build, make_scheduler
from mxtrain.trainer.checkpoints import Checkpoints
from mxtrain.trainer.errors import InterruptError, NotFiniteError, UnwritableError
from mxtrain.trainer.folder import RunFolder
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.profile import Profile
from mxtrain.trainer.report import EpochRow, Progress, Reporter, RunResult
from mxtrain.trainer.signals import StopRequest
from mxtrain.trainer.threads import limited_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

# More changes of the rate than this within an epoch are a curve, shown by its end value only.
MAX_LR_CHANGES = 8


def fit(
    spec: RunSpec,
    reporter: Reporter,
    output: Path | None = None,
    overwrite: bool = False,
    profile: bool = False,
    config: str = "config.yaml",
) -> RunResult:
    """Train what a spec describes, report the progress and return how the run ended.

    Parameters
    ----------
    spec : the checked config.
    reporter : receives what happens.
    output : folder of the run; None makes a new numbered one under ``runs/``.
    overwrite : let `output` replace the run it holds.
    profile : time every kernel.
    config : what the spec was read from, as it is shown.

    The run ends as ``failed`` where a loss is not finite or a file cannot be written. Raises
    before the first batch: DataError for unusable rows, SetupError for a network or metric that
    does not go with them, FileExistsError for a folder that holds a run, OSError for one that
    cannot be made.
    """
    folder.check_output(output, overwrite)
    with limited_threads(spec.threads):
        built = build(spec)
        add_optimizer(built)
        run = _Run(built, reporter, Profile() if profile else None, config)
        files = RunFolder(folder.make_folder(output, overwrite))
        with run.stop:
            return run.run(files)


class _Run:
    """One run in progress."""

    def __init__(
        self, built: Built, reporter: Reporter, profile: Profile | None, config: str
    ) -> None:
        self.built, self.spec = built, built.spec
        self.reporter, self.profile, self.config = reporter, profile, config
        self.stop = StopRequest()
        self.loop = Loop(built, self.stop.requested, self._progress, profile)
        self.loop.try_out()
        metrics = self.loop.eval_measure.metrics
        self.best = Best(self.spec.fit, metrics, built.data.eval is not None)
        self.scheduler = make_scheduler(built)
        self.epochs_done = self.spec.fit.begin_epoch
        self.started = time.perf_counter()

    def run(self, files: RunFolder) -> RunResult:
        """Train every epoch, then say how it ended."""
        self.files = files
        keeping = self.spec.fit.checkpoint
        self.checkpoints = Checkpoints(files, self.built.module, self.best, keeping)
        try:
            self._begin()
            status, reason = self._trained()
        except UnwritableError as error:
            status, reason = "failed", f"{error}\nfiles written before are intact"
        return self._finish(status, reason)

    def _trained(self) -> tuple[str, str]:
        try:
            return self._epochs()
        except InterruptError as error:
            epoch, batches = self.loop.epoch + 1, error.batches
            whole = batches == self._batches_of_epoch
            name = self.checkpoints.save_within(epoch, batches, whole)
            place = f"after epoch {epoch}" if whole else f"after batch {batches} of epoch {epoch}"
            return "interrupted", f"stopped by the user {place}; weights saved as {name}"
        except NotFiniteError as error:
            epoch, batches = self.loop.epoch + 1, error.batch - 1
            name = self.checkpoints.save_within(epoch, batches, whole_epoch=False)
            return "failed", f"{error}\nthe weights before this batch are saved as {name}"

    def _begin(self) -> None:
        spec, data = self.spec, self.built.data
        self.files.write_text(folder.CONFIG, to_yaml(spec, self.files.path))
        self.files.write_preprocessing(data.features, data.labels)
        info = describe.run_info(self.built, self.config, str(self.files.path), self.loop)
        self.files.log("\n".join(describe.log_lines(info)))
        self.reporter.start(info)

    def _epochs(self) -> tuple[str, str]:
        for epoch in range(self.spec.fit.begin_epoch, self.spec.fit.num_epoch):
            self._batches_of_epoch = self.loop.batches.per_epoch()
            self._one_epoch(epoch)
            is_last = epoch + 1 == self.spec.fit.num_epoch or self.best.should_stop
            self.checkpoints.after(epoch + 1, is_last)
            if self.best.should_stop:
                return "stopped early", self._stopping_reason()
            if self.stop.requested() and not is_last:
                raise InterruptError(self._batches_of_epoch)
        return "done", ""

    def _one_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        first_update = self.built.module.optimizer.num_update + 1
        rows = self.loop.train_epoch(epoch)
        trained = time.perf_counter() - started
        train = self.loop.train_measure.values()
        evaluated = self.loop.evaluate()
        self.epochs_done = epoch + 1
        is_best = self.best.see(epoch + 1, train, evaluated, self.built.module)
        row = EpochRow(
            epoch=epoch + 1,
            lr=self._rate(self.built.module.optimizer.num_update),
            train=train,
            eval=evaluated,
            samples_per_second=rows / max(trained, 1e-9),
            seconds=time.perf_counter() - started,
            best=is_best,
            lr_changes=self._rate_changes(first_update),
        )
        self.files.add_metrics(row)
        self.files.log(describe.epoch_line(row, self.spec.fit.num_epoch))
        self.reporter.epoch(row)

    def _rate(self, update: int) -> float:
        if self.scheduler is None:
            return float(self.built.module.optimizer.learning_rate)
        return float(self.scheduler(update))

    def _rate_changes(self, first: int) -> tuple[tuple[int, float], ...]:
        """Return (update, new rate) for each change within the updates of the epoch."""
        if self.scheduler is None:
            return ()
        changes: list[tuple[int, float]] = []
        before = self._rate(max(first - 1, 1))
        for update in range(max(first, 2), self.built.module.optimizer.num_update + 1):
            rate = self._rate(update)
            if rate != before:
                changes.append((update, rate))
                if len(changes) > MAX_LR_CHANGES:
                    return ()
            before = rate
        return tuple(changes)

    def _stopping_reason(self) -> str:
        side, _, name = self.best.name.partition("_")
        return f"{side} {name} has not improved since epoch {self.best.epoch}"

    def _progress(
        self, batch: int, batches: int, values: dict[str, float], rows: int, seconds: float
    ) -> None:
        epochs = self.spec.fit.num_epoch - self.spec.fit.begin_epoch
        done = self.epochs_done - self.spec.fit.begin_epoch + batch / max(batches, 1)
        elapsed = time.perf_counter() - self.started
        self.reporter.progress(
            Progress(
                epoch=self.epochs_done + 1,
                batch=batch,
                batches=batches,
                lr=self._rate(self.built.module.optimizer.num_update),
                train=values,
                samples_per_second=rows / max(seconds, 1e-9),
                seconds=seconds,
                seconds_left=elapsed / max(done, 1e-9) * max(epochs - done, 0.0),
            )
        )

    def _finish(self, status: str, reason: str) -> RunResult:
        weights, best_weights = self.checkpoints.newest, self.checkpoints.best_file()
        restored = self.best.restores and status != "failed" and bool(best_weights)
        if restored:
            self.best.restore(self.built.module)
            weights = best_weights
        result = RunResult(
            status=status,
            epochs=self.epochs_done - self.spec.fit.begin_epoch,
            seconds=time.perf_counter() - self.started,
            output=str(self.files.path),
            files=(),
            best_epoch=self.best.epoch,
            best_metric=None if self.best.epoch is None else self.best.name,
            best_value=self.best.value,
            best_weights=best_weights,
            weights=weights,
            restored=restored,
            reason=reason,
            kernels=self.profile.rows() if self.profile is not None else (),
            signal=self.stop.number,
        )
        try:
            self.files.log(describe.result_lines(result))
        except UnwritableError as error:
            if status != "failed":
                result = replace(result, status="failed", reason=str(error))
        result = replace(result, files=self.files.files())
        self.reporter.finish(result)
        return result
