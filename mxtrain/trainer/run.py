"""A run from beginning to end: build, train, report, and write everything down."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.config import to_yaml
from mxtrain.trainer import describe, folder
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import Built, add_optimizer, build, make_scheduler
from mxtrain.trainer.folder import RunFolder
from mxtrain.trainer.loop import InterruptError, Loop, NotFiniteError
from mxtrain.trainer.profile import Profile
from mxtrain.trainer.report import EpochRow, InitialWeight, Progress, Reporter, RunResult
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

    Raises DataError for unusable rows, FileExistsError for a folder that holds a run, and OSError
    where files cannot be written. A loss that is not finite ends the run as ``failed``.
    """
    with limited_threads(spec.threads), StopRequest() as stop:
        built = build(spec)
        add_optimizer(built)
        path = folder.make_folder(output, overwrite)
        timer = Profile() if profile else None
        return _Run(built, RunFolder(path), reporter, stop, timer, config).run()


class _Run:
    """One run in progress."""

    def __init__(
        self,
        built: Built,
        files: RunFolder,
        reporter: Reporter,
        stop: StopRequest,
        profile: Profile | None,
        config: str,
    ) -> None:
        self.config = config
        self.built, self.files, self.reporter = built, files, reporter
        self.stop, self.profile = stop, profile
        self.spec = built.spec
        self.loop = Loop(built, stop.requested, self._progress)
        self.best = Best(self.spec.fit, built.data.eval is not None)
        self.scheduler = make_scheduler(self.spec)
        self.epochs_done = self.spec.fit.begin_epoch
        self.started = time.perf_counter()

    def run(self) -> RunResult:
        """Train every epoch, then say how it ended."""
        self._begin()
        try:
            status, reason = self._epochs()
        except InterruptError:
            status, reason = "interrupted", "stopped by the user"
            self.files.save_weights(self.built.module, self.epochs_done + 1)
        except NotFiniteError as error:
            status, reason = "failed", str(error)
            self.files.save_weights(self.built.module, self.epochs_done + 1)
        return self._finish(status, reason)

    def _begin(self) -> None:
        spec, data = self.spec, self.built.data
        self.files.write_text(folder.CONFIG, to_yaml(spec))
        self.files.write_preprocessing(data.features, data.labels)
        info = describe.run_info(self.built, self.config, str(self.files.path), self.loop)
        for line in describe.log_lines(info):
            self.files.log(line)
        self.reporter.start(info)
        if self.profile is not None:
            self._install_profile(self.profile)

    def _install_profile(self, profile: Profile) -> None:
        module, make = self.built.module, self.loop.buffers_for
        update = module.update

        def timed_update() -> None:
            started = time.perf_counter()
            update()
            profile.add("optimizer", "update", time.perf_counter() - started)

        def timed_buffers(rows: int) -> Any:
            buffers = make(rows)
            buffers.executor.run = profile.run
            return buffers

        module.update = timed_update  # type: ignore[method-assign]  # for this run only
        self.loop.buffers_for = timed_buffers  # type: ignore[method-assign]  # likewise

    def _epochs(self) -> tuple[str, str]:
        for epoch in range(self.spec.fit.begin_epoch, self.spec.fit.num_epoch):
            row = self._one_epoch(epoch)
            self._checkpoint(epoch + 1, row.best)
            if self.best.should_stop:
                return "stopped early", self._stopping_reason()
        return "done", ""

    def _one_epoch(self, epoch: int) -> EpochRow:
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
        return row

    def _rate(self, update: int) -> float:
        if self.scheduler is None:
            return float(self.built.module.optimizer.learning_rate)
        return float(self.scheduler(update))

    def _rate_changes(self, first: int) -> tuple[tuple[int, float], ...]:
        """Return (update, new rate) for each change within the updates of the epoch."""
        if self.scheduler is None:
            return ()
        last = self.built.module.optimizer.num_update
        rates = [self._rate(update) for update in range(max(first - 1, 1), last + 1)]
        numbers = range(max(first - 1, 1) + 1, last + 1)
        changes = [
            (number, rate)
            for number, before, rate in zip(numbers, rates, rates[1:], strict=False)
            if rate != before
        ]
        return tuple(changes) if len(changes) <= MAX_LR_CHANGES else ()

    def _checkpoint(self, epoch: int, is_best: bool) -> None:
        every, keep = self.spec.fit.checkpoint.every, self.spec.fit.checkpoint.keep
        last = epoch == self.spec.fit.num_epoch or self.best.should_stop
        if epoch % every == 0 or is_best or last:
            self.files.save_weights(self.built.module, epoch)
            self.files.prune(keep, self.best.epoch)

    def _stopping_reason(self) -> str:
        return f"{self.best.name} has not improved since epoch {self.best.epoch}"

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
        if status != "failed" and self.best.restore(self.built.module):
            text = f"restored the weights of epoch {self.best.epoch}, the best"
            self.files.log(text)
            self.reporter.notice(text)
        result = RunResult(
            status=status,
            epochs=self.epochs_done - self.spec.fit.begin_epoch,
            seconds=time.perf_counter() - self.started,
            output=str(self.files.path),
            files=(),
            best_epoch=self.best.epoch,
            best_metric=self.best.name,
            best_value=self.best.value,
            reason=reason,
            kernels=self.profile.rows() if self.profile is not None else (),
            signal=self.stop.number,
        )
        self.files.log(describe.result_line(result))
        result = replace(result, files=self.files.files())
        self.reporter.finish(result)
        return result


def initial_weights(spec: RunSpec) -> list[InitialWeight]:
    """Return every parameter and auxiliary state as the run starts with it."""
    built = build(spec)
    rules = describe.initializer_rules(built)
    arg_params, aux_params = built.module.get_params()
    return [
        InitialWeight(kind, name, np.asarray(values), rules[name])
        for kind, store in (("arg", arg_params), ("aux", aux_params))
        for name, values in store.items()
    ]
