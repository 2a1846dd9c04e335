"""Whole `mxtrain fit` as something that can be measured, between the ends of its epochs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import Task
from measuring import installed
from options import Bench
from sides.base import Timed
from timing import Contender, in_turns

BACKENDS = ("numpy", "numba")


def config(task: Task, backend: str, steps: int) -> str:
    """Return a config with everything that costs time: metrics, shuffling, a schedule."""
    layers = []
    for width in task.network.sizes[1:-1]:
        layers.append(f"  - {{op: FullyConnected, num_hidden: {width}}}")
        layers.append("  - {op: Activation, act_type: relu}")
    layers.append(f"  - {{op: FullyConnected, num_hidden: {task.network.sizes[-1]}}}")
    layers.append("  - {op: SoftmaxOutput, name: softmax}")
    settings = {"name": task.rule.name, "learning_rate": task.rate, **task.rule.settings}
    optimizer = ", ".join(f"{key}: {value}" for key, value in settings.items())
    return "\n".join(
        (
            "seed: 1",
            f"backend: {backend}",
            f"data: {{train: {{path: rows.npz, label: label}}, batch_size: {task.network.batch}}}",
            "symbol:",
            *layers,
            f"optimizer: {{{optimizer}}}",
            "lr_scheduler: {name: cosine, max_update: 1000000}",
            "fit: {num_epoch: 2, metrics: [accuracy, ce], checkpoint: {every: 1000}}",
        )
    )


class Watch:
    """Passes everything on to the live table and notes when each epoch ended."""

    def __init__(self, stream: Any) -> None:
        from rich.console import Console

        from mxtrain.console.live import LiveReporter

        console = Console(file=stream, force_terminal=True, width=80, height=24)
        self._live = LiveReporter(stream, console)
        self.ends: list[float] = []
        for name in ("start", "progress", "notice", "finish"):
            setattr(self, name, getattr(self._live, name))

    def epoch(self, row: Any) -> None:
        """Note the time after the row is drawn."""
        self._live.epoch(row)
        self.ends.append(time.perf_counter())


class Fit(Timed):
    """Runs of `fit` on random rows, from the end of their first epoch on.

    Shuffled rows are gathered, every loss is looked at, accuracy and cross-entropy are measured,
    the rate follows a schedule, the live table is drawn as for a terminal, metrics and log are
    written after each epoch. Weights are written at the end only, outside the time measured.
    """

    def __init__(self, task: Task, backend: str, steps: int) -> None:
        from mxtrain.config import load

        self.steps_per_epoch = self.stride = steps
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        rows = steps * task.network.batch
        generator = np.random.default_rng(1)
        data = generator.standard_normal((rows, task.network.sizes[0]), np.float32)
        label = np.arange(rows) % task.network.sizes[-1]
        np.savez(self.folder / "rows.npz", data=data, label=label)
        path = self.folder / "config.yaml"
        path.write_text(config(task, backend, steps), encoding="utf-8")
        self.spec = load(path)

    def steps(self, count: int) -> None:
        """Take whole epochs."""
        self.measure(count)

    def measure(self, count: int) -> float:
        """Return the seconds of a step in as many epochs as hold `count` steps."""
        from mxtrain.trainer.run import fit

        epochs = 1 + max(1, count // self.steps_per_epoch)
        spec = replace(self.spec, fit=replace(self.spec.fit, num_epoch=epochs))
        with (self.folder / "screen").open("w", encoding="utf-8") as screen:
            watch = Watch(screen)
            result = fit(spec, watch, self.folder / "run", overwrite=True)
        if result.status != "done":
            raise ArithmeticError(f"fit ended as {result.status}: {result.reason}")
        return (watch.ends[-1] - watch.ends[0]) / (self.steps_per_epoch * (epochs - 1))


def fit_contenders(bench: Bench, task: Task, steps: int) -> list[Contender]:
    """Return `fit` on every backend that is there, ready to be measured."""
    found = []
    for backend in BACKENDS:
        if not installed(bench, backend, f"fit on {backend}"):
            continue
        worker = bench.workers.get("fitting:Fit", backend)
        worker.make(task, backend, steps)
        found.append(Contender(backend, worker))
    return found


def per_step(bench: Bench, task: Task, steps: int) -> dict[str, list[float]]:
    """Return the seconds of a step within `fit`, with `steps` steps per epoch, by backend."""
    bench.progress(f"  fit, {task.label}, {steps * task.network.batch:,} rows")
    contenders = fit_contenders(bench, task, steps)
    in_turns(contenders, bench.options.rounds, bench.options.block)
    bench.workers.drop_all()
    return {contender.key: contender.seconds for contender in contenders}
