"""A run from beginning to end: build, train, report, and write everything down."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain import backend as backends
from mxtrain.config import to_yaml
from mxtrain.trainer import describe, folder, resume
from mxtrain.trainer.audience import Audience
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import Built, add_optimizer, build
from mxtrain.trainer.changes import changes
from mxtrain.trainer.checkpoints import Checkpoints
from mxtrain.trainer.errors import InterruptError, NotFiniteError, UnwritableError
from mxtrain.trainer.files import RunFolder
from mxtrain.trainer.fingerprint import data_facts, versions
from mxtrain.trainer.gradients import LOSS_SCALE
from mxtrain.trainer.lock import locked
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.pieces import Pieces
from mxtrain.trainer.profile import Profile
from mxtrain.trainer.rates import ShownRates
from mxtrain.trainer.report import EpochRow, Profiled, Progress, Reporter, RunResult
from mxtrain.trainer.restore import put_back, settle
from mxtrain.trainer.signals import StopRequest
from mxtrain.trainer.threads import limited_threads, suitable_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

REPORTED = ("start", "progress", "epoch", "notice", "finish")


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
    profile : time every phase and node.
    config : what the spec was read from, as it is shown.

    The run ends as ``failed`` where a loss is not finite or a file cannot be written. Raises
    before the first batch: DataError for unusable rows, SetupError for a network or metric that
    does not go with them or a folder in use, FileExistsError for a folder that holds a run, OSError
    for one that cannot be made.
    """
    folder.check_output(output, overwrite)
    with limited_threads(spec.threads):
        run = _Run(spec, reporter, profile, config)
        with run.threads(), folder.claimed(output, overwrite) as path, run.stop:
            return run.told(run.run(RunFolder(path)))


def fit_on(
    found: resume.Found,
    spec: RunSpec,
    reporter: Reporter,
    force: bool = False,
    profile: bool = False,
    config: str = "config.yaml",
) -> RunResult:
    """Go on with a run that `resume.find` has found; without a checkpoint, start it again.

    Weights come out as if the run had never been stopped, to the last bit. `force` lets changed
    settings and data be taken that may alter them; the other arguments and errors are those of
    `fit`, and SetupError says what is damaged or has changed. Nothing is written then.
    """
    with locked(found.folder), limited_threads(spec.threads):
        resume.check_newest(found)
        stored = None
        if found.position is not None:
            stored = resume.read(found, found.position, spec, force)
        else:
            before = found.config.read_text(encoding="utf-8")
            resume.refuse(found.folder, changes(before, to_yaml(spec, found.folder)), force)
        run = _Run(spec, reporter, profile, config, starts=stored is None)
        with run.threads():
            if stored is not None:
                run.put_back(stored)
            with run.stop:
                return run.told(run.run(RunFolder(found.folder), again=True))


class _Run:
    """One run in progress."""

    def __init__(
        self, spec: RunSpec, reporter: Reporter, profile: bool, config: str, starts: bool = True
    ) -> None:
        self.spec, self.config = spec, config
        self.profile = Profile(backends.get(spec.runs_on)) if profile else None
        if self.profile is not None:
            reporter = self.profile.wrap_methods("console", reporter, *REPORTED)
        self.reporter = Audience(reporter)
        self.stop = StopRequest()
        # The weights that a run started from may have gone, or changed, when it goes on.
        self.built: Built = build(spec if starts else replace(spec, weights=None))
        add_optimizer(self.built)
        self.rates = ShownRates(self.built)
        self.loop = Loop(
            self.built, self._should_end, self._progress, self.profile, self._checkpoint
        )
        metrics = self.loop.eval_measure.metrics
        self.best = Best(spec.fit, metrics, self.built.data.eval is not None)
        self.pieces = Pieces(self.built, self.loop, self.best, self.rates.scheduler)
        self.loop.try_out()
        self.stored: resume.Stored | None = None
        self.seconds_before = 0.0
        self.started = time.perf_counter()
        self._facts: dict[str, Any] = {}

    def threads(self) -> AbstractContextManager[None]:
        """Return the ``with`` block to train in: few threads for small products."""
        batch = self.loop.bound(self.spec.data.batch_size)
        return suitable_threads(self.spec.threads, batch)

    def put_back(self, stored: resume.Stored) -> None:
        """Stand where a checkpoint was written (SetupError where it does not fit)."""
        facts = self._unchanging(stored.found.folder)
        stored.check(self.built, describe.metrics_columns(self.loop), facts)
        put_back(stored, self.built.module, self.pieces, self.best)
        self.stored = stored
        self.seconds_before = float(stored.state.values["seconds"])

    def told(self, result: RunResult) -> RunResult:
        """Return how the run ended, or raise the OSError for which nobody could be told."""
        if self.reporter.lost is not None and not self.stop.number:
            raise self.reporter.lost
        return result

    def _should_end(self) -> bool:
        return self.stop.requested() or self.reporter.lost is not None

    def _who_stopped(self) -> str:
        lost = self.reporter.lost
        if lost is None or self.stop.requested():
            return "stopped by the user"
        return f"stopped, since its output cannot be written ({lost.strerror or lost}),"

    def run(self, files: RunFolder, again: bool = False) -> RunResult:
        """Train every epoch, then say how it ended; `again` goes on in a folder that has files."""
        self.files = files
        self.checkpoints = Checkpoints(
            files, self.built.module, self.best, self.spec.fit.checkpoint, self._state, self._notice
        )
        self._after_epoch, self._write = self.checkpoints.after_epoch, self._write_row
        if self.profile is not None:
            self.profile.begin()
            self._after_epoch = self.profile.wrap("files", self._after_epoch)
            self._write = self.profile.wrap("files", self._write)
        self.first = self.loop.position
        try:
            self._begin(again)
            status, reason = self._trained()
        except UnwritableError as error:
            status, reason = "failed", f"{error}\nfiles written before are intact"
            reason += describe.how_to_go_on(self.files.path)
        return self._finish(status, reason)

    def _trained(self) -> tuple[str, str]:
        try:
            return self._ended_before() or self._epochs()
        except InterruptError:
            name = self._save()
            reason = f"{self._who_stopped()} {self.loop.position}; weights saved as {name}"
            return "interrupted", f"{reason}\nto go on: mxtrain fit --resume {self.files.path}"
        except NotFiniteError as error:
            name = self._save()
            reason = f"{error}\nthe weights before this batch are saved as {name}"
            return "failed", reason + describe.how_to_go_on(self.files.path, changed=True)

    def _begin(self, again: bool) -> None:
        spec, data, ended = self.spec, self.built.data, self._ended_before()
        info = describe.run_info(self.built, self.config, str(self.files.path), self.loop)
        # Settings with which nothing is trained are not those of the run.
        is_changed = self.stored is not None and self.stored.needs_rewriting and ended is None
        is_repaired = self.stored is not None and bool(self.stored.repairs)
        if again:
            info = replace(info, resumed=describe.resumed(self.stored))
            if is_changed or is_repaired:
                notes = describe.differences(self.stored, is_changed)
                info = replace(info, notes=(*info.notes, *notes))
            settle(self.stored, self.files, self.checkpoints)
        if self.stored is None or is_changed:
            self.files.write_text(folder.CONFIG, to_yaml(spec, self.files.path))
            self.files.write_preprocessing(data.features, data.labels)
        if self.stored is not None and is_repaired:
            self._repair(self.stored, is_changed)
        if is_changed or is_repaired:
            self.checkpoints.write(self.loop.position)
        self.files.log("\n".join(describe.log_lines(info)))
        self.reporter.start(info)

    def _repair(self, stored: resume.Stored, is_changed: bool) -> None:
        """Write damaged files anew, and let the next checkpoint say what the stored one does."""
        if folder.SYMBOL in stored.damaged:
            self.files.write_symbol(self.built.module)
        if folder.PREPROCESSING in stored.damaged and not is_changed:
            self.files.write_preprocessing(self.built.data.features, self.built.data.labels)
        if not is_changed:
            self._facts = {name: stored.state.metadata[name] for name in self._facts}

    def _ended_before(self) -> tuple[str, str] | None:
        """Return how a resumed run had ended already."""
        if self.best.should_stop:
            return "stopped early", f"{self.best.stopping_reason}; the run had ended before"
        if self.loop.epoch >= self.spec.fit.num_epoch:
            return "done", describe.nothing_left(self.loop.epoch, self.files.path)
        return None

    def _epochs(self) -> tuple[str, str]:
        for epoch in range(self.loop.epoch, self.spec.fit.num_epoch):
            self._one_epoch(epoch)
            is_last = epoch + 1 == self.spec.fit.num_epoch or self.best.should_stop
            wanted = is_last or self.loop.checkpoint_is_due
            if self._after_epoch(self.loop.position, wanted):
                self.loop.saved()
            if self.best.should_stop:
                return "stopped early", self.best.stopping_reason
            if self._should_end() and not is_last:
                raise InterruptError
        return "done", ""

    def _one_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        rows = self.loop.train_epoch(epoch)
        trained = time.perf_counter() - started
        train = self.loop.train_measure.values()
        evaluated = self.loop.evaluate()
        lr_changes = self.rates.changes(self.loop.updates_done)
        extra = self.loop.gradients.values()
        self.loop.begin(epoch + 1)
        is_best = self.best.see(epoch + 1, train, evaluated, self.built.module)
        row = EpochRow(
            epoch=epoch + 1,
            lr=self.rates.now(),
            train=train,
            eval=evaluated,
            samples_per_second=rows / max(trained, 1e-9),
            seconds=time.perf_counter() - started,
            best=is_best,
            lr_changes=lr_changes,
            extra=extra,
        )
        self._write(row)
        self.reporter.epoch(row)

    def _write_row(self, row: EpochRow) -> None:
        self.files.add_metrics(row)
        self.files.log(describe.epoch_line(row, self.spec.fit.num_epoch))

    # -- checkpoints -------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        self.checkpoints.save(self.loop.position)
        self.loop.saved()

    def _save(self) -> str:
        return self.checkpoints.save(self.loop.position)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return metadata and values of the run as it is now."""
        lost = self.pieces.not_stored()
        if lost:
            self.checkpoints.tell(describe.not_stored(lost))
        values = self.pieces.state() | {"seconds": self._seconds()}
        return {**self._unchanging(self.files.path), "metrics": self.files.metrics()}, values

    def _unchanging(self, path: Path) -> dict[str, Any]:
        """Return what the metadata say of config, data and versions; worked out once."""
        if not self._facts:
            self._facts = {
                "config": to_yaml(self.spec, path),
                "data": data_facts(self.built),
                "versions": versions(self.spec.runs_on),
            }
        return self._facts

    def _notice(self, text: str) -> None:
        self.files.log(text)
        self.reporter.notice(text)

    # -- telling -----------------------------------------------------------------------------

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _progress(
        self, batch: int, batches: int, values: dict[str, float], rows: int, seconds: float
    ) -> None:
        done = self.loop.epoch + batch / max(batches, 1)
        now = done - self.first.epoch - self.first.batch / max(batches, 1)
        elapsed = time.perf_counter() - self.started
        self.reporter.progress(
            Progress(
                epoch=self.loop.epoch + 1,
                batch=batch,
                batches=batches,
                lr=self.rates.now(),
                train=values,
                samples_per_second=rows / max(seconds, 1e-9),
                seconds=seconds,
                seconds_left=elapsed / max(now, 1e-9) * max(self.spec.fit.num_epoch - done, 0.0),
            )
        )

    def _profiled(self) -> Profiled | None:
        if self.profile is None:
            return None
        return self.profile.result(self.built.module.update_bytes())

    def _finish(self, status: str, reason: str) -> RunResult:
        weights, best_weights = self.checkpoints.newest, self.checkpoints.best_file()
        restored = self.best.restores and status != "failed" and bool(best_weights)
        if restored:
            self.best.restore(self.built.module)
            weights = best_weights
        result = RunResult(
            status=status,
            epochs=self.loop.epoch - self.spec.fit.begin_epoch,
            seconds=self._seconds(),
            output=str(self.files.path),
            files=(),
            best_epoch=self.best.epoch,
            best_metric=None if self.best.epoch is None else self.best.name,
            best_value=self.best.value,
            best_weights=best_weights,
            weights=weights,
            restored=restored,
            reason=reason,
            profile=self._profiled(),
            signal=self.stop.number,
            skipped_updates=self.loop.gradients.skipped,
            loss_scale=self.loop.gradients.values().get(LOSS_SCALE),
        )
        try:
            self.files.log(describe.result_lines(result))
        except UnwritableError as error:
            if status != "failed":
                result = replace(result, status="failed", reason=str(error))
        result = replace(result, files=self.files.files())
        self.reporter.finish(result)
        return result
