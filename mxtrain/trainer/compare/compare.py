"""A comparison from beginning to end: what is tried, the trials, table and curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mxtrain.trainer import describe, folder
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import Built, build
from mxtrain.trainer.compare.audience import CompareAudience
from mxtrain.trainer.compare.files import CompareFolder
from mxtrain.trainer.compare.one import run_trial
from mxtrain.trainer.compare.png import check_png
from mxtrain.trainer.compare.report import (
    FAILED,
    CompareInfo,
    CompareReporter,
    Comparison,
    Ending,
    Event,
    Goal,
    Started,
)
from mxtrain.trainer.compare.scores import Scores
from mxtrain.trainer.compare.trials import make_trials, spec_of
from mxtrain.trainer.compare.workers import Workers, threads_for
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.metrics import higher_is_better
from mxtrain.trainer.signals import StopRequest
from mxtrain.trainer.threads import limited_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec


def compare(
    spec: RunSpec,
    reporter: CompareReporter,
    names: Sequence[str] | None = None,
    rates: Sequence[float] | None = None,
    target: float | None = None,
    jobs: int = 1,
    output: Path | None = None,
    overwrite: bool = False,
    png: bool = False,
    config: str = "config.yaml",
) -> Comparison:
    """Train what a spec describes with one optimizer after the other, and say which did best.

    Every trial starts from the same weights and sees the same batches: both are functions of the
    seed. What is compared is the metric that `fit` follows: that of early stopping, or else the
    first, on the eval rows where there are any.

    Parameters
    ----------
    spec : the checked config; see `mxtrain.config.CompareSpec` for what it says about this.
    reporter : receives what happens.
    names : optimizers to try; by default those of the config, or all.
    rates : learning rates to try each of them with.
    target : value of the compared metric; the table tells the first epoch that reached it.
    jobs : trials at the same time, each in a process of its own with its share of the cores. A
        script that asks for several must be importable (``if __name__ == "__main__":``).
    output : folder of the results; None makes a new numbered one under ``compare/``.
    overwrite : let `output` replace what it holds.
    png : draw the curves as PNG too, which needs matplotlib.
    config : what the spec was read from, as it is shown.

    An optimizer that diverges or does not take the network ends its own trial only. A reporter that
    raises OSError ends the comparison as a signal does, with the table so far; the error is raised
    once that is written.

    Raises before the first trial what `mxtrain.trainer.run.fit` raises, SetupError for optimizers
    that are not registered and for a PNG without matplotlib; OSError for a file that cannot be
    written.
    """
    trials = make_trials(spec, names, rates)
    jobs = min(jobs, len(trials))
    folder.check_output(output, overwrite)
    if png:
        check_png()
    with limited_threads(spec.threads):
        built, loop = _tried_out(spec)
        goal = _goal(built, loop, target)
        weights = sum(row.parameters for row in describe.layer_rows(built.module))
        epochs = spec.fit.num_epoch - spec.fit.begin_epoch
        scores = Scores(trials, goal, epochs, max(weights, 1))
        files = CompareFolder(output, overwrite, png)
        files.write_config(spec, scores)
        running = _Running(spec, scores, files, reporter, jobs)
        return running.run(_info(built, loop, scores, weights, jobs, config, str(files.path)))


def _tried_out(spec: RunSpec) -> tuple[Built, Loop]:
    """Build the network and measure a batch: what no optimizer could train is found once."""
    built = build(spec)
    loop = Loop(built)
    loop.try_out()
    return built, loop


def _goal(built: Built, loop: Loop, target: float | None) -> Goal:
    spec, metrics = built.spec, loop.eval_measure.metrics
    side, _, name = Best(spec.fit, metrics, built.data.eval is not None).name.partition("_")
    if target is None and spec.compare is not None:
        target = spec.compare.target
    return Goal(side, name, higher_is_better(name, metrics), target)


def _info(
    built: Built, loop: Loop, scores: Scores, weights: int, jobs: int, config: str, output: str
) -> CompareInfo:
    spec, data = built.spec, built.data
    return CompareInfo(
        config=config,
        output=output,
        network=describe.network(built),
        num_parameters=weights,
        train_data=data.train.source,
        eval_data=None if data.eval is None else data.eval.source,
        train_rows=len(data.train),
        eval_rows=0 if data.eval is None else len(data.eval),
        batch_size=spec.data.batch_size,
        batches_per_epoch=loop.batches.per_epoch(),
        num_epoch=spec.fit.num_epoch,
        begin_epoch=spec.fit.begin_epoch,
        seed=spec.seed,
        lr_scheduler=describe.schedule_text(spec),
        goal=scores.goal,
        jobs=jobs,
        threads=threads_for(spec, jobs),
        rows=tuple(scores.row(number) for number in range(len(scores.trials))),
    )


class _Running:
    """One comparison in progress."""

    def __init__(
        self,
        spec: RunSpec,
        scores: Scores,
        files: CompareFolder,
        reporter: CompareReporter,
        jobs: int,
    ) -> None:
        self.spec, self.scores, self.files = spec, scores, files
        self.reporter, self.jobs = CompareAudience(reporter), jobs
        self.stop = StopRequest()

    def run(self, info: CompareInfo) -> Comparison:
        """Run every trial, then say how it ended, or raise what kept that from being said."""
        self.reporter.start(info)
        started = time.perf_counter()
        specs = [spec_of(self.spec, trial) for trial in self.scores.trials]
        with self.stop:
            if self.jobs > 1:
                with Workers(self.jobs, threads_for(self.spec, self.jobs)) as workers:
                    workers.run(specs, self._receive, self._should_end)
            else:
                self._one_by_one(specs)
            for number in self.scores.unfinished():
                self._receive(number, Ending("interrupted"))
            self.files.write_results(self.scores)
            self.files.write_curves(self.scores)
        result = self._finish(time.perf_counter() - started)
        if self.reporter.lost is not None and not self.stop.number:
            raise self.reporter.lost
        return result

    def _should_end(self) -> bool:
        return self.stop.requested() or self.reporter.lost is not None

    def _who_stopped(self) -> str:
        lost = self.reporter.lost
        if lost is None or self.stop.requested():
            return "stopped by the user"
        return f"stopped, since the output cannot be written ({lost.strerror or lost})"

    def _one_by_one(self, specs: Sequence[RunSpec]) -> None:
        for number, spec in enumerate(specs):
            if self._should_end():
                return
            self._receive(number, Started())

            def send(event: Event, number: int = number) -> None:
                self._receive(number, event)

            self._receive(number, run_trial(spec, send, self._should_end))

    def _receive(self, number: int, event: Event) -> None:
        if isinstance(event, Ending) and event.status == "interrupted":
            event = replace(event, reason=self._who_stopped())
        self.scores.receive(number, event)
        if isinstance(event, Ending) and event.status != "interrupted":
            self.files.write_results(self.scores)
        self.reporter.update(self.scores.row(number))

    def _finish(self, seconds: float) -> Comparison:
        rows = tuple(self.scores.ranked())
        status = "failed" if all(row.status in FAILED for row in rows) else "done"
        if any(row.status == "interrupted" for row in rows):
            status = "interrupted"
        result = Comparison(
            status=status,
            rows=rows,
            goal=self.scores.goal,
            seconds=seconds,
            output=str(self.files.path),
            files=self.files.files(),
            signal=self.stop.number,
        )
        self.reporter.finish(result)
        return result
