"""What `mxtrain fit` costs beside the bare step loop: metrics, shuffling, the live table, files.

The network is 64-128-64-10 with ReLU at batch 32. The bare loop copies the same batch into the
executor's buffers and calls forward, backward and update. `fit` is the whole command but for the
reading of the config: it gathers shuffled rows, looks at every loss, measures accuracy and
cross-entropy, draws the live table with rich (forced to believe in a terminal), and writes
metrics and log after each epoch. Weights are written at the end only, outside the time measured:
what that costs is the disk's business, and `fit.checkpoint.every` decides how often. Both run in
turn in one process, and the order changes from round to round; the medians over the rounds are
compared.

Run it with: python benchmarks/fit_overhead.py [--optimizer sgd] [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LAYERS = (64, 128, 64, 10)
BATCH = 32
STEPS = 500  # per epoch
EPOCHS = 3  # per round; the first is not counted
OPTIMIZERS = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.9},
    "adam": {"learning_rate": 0.001},
}
CONFIG = """
seed: 1
data:
  train: {{path: rows.npz, label: label}}
  batch_size: {batch}
symbol:
  - {{op: FullyConnected, num_hidden: 128}}
  - {{op: Activation, act_type: relu}}
  - {{op: FullyConnected, num_hidden: 64}}
  - {{op: Activation, act_type: relu}}
  - {{op: FullyConnected, num_hidden: 10}}
  - {{op: SoftmaxOutput, name: softmax}}
optimizer: {optimizer}
fit:
  num_epoch: {epochs}
  metrics: [accuracy, ce]
  checkpoint: {{every: 1000}}
"""


def bare_step(optimizer: str) -> Callable[[], None]:
    """Return one step of the bare loop."""
    import mxtrain as mx

    net = mx.sym.Variable("data")
    for size in LAYERS[1:-1]:
        net = mx.sym.FullyConnected(net, num_hidden=size)
        net = mx.sym.Activation(net, act_type="relu")
    net = mx.sym.FullyConnected(net, num_hidden=LAYERS[-1])
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    module.bind([("data", (BATCH, LAYERS[0]))], [("softmax_label", (BATCH,))])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer=optimizer, optimizer_params=OPTIMIZERS[optimizer])
    executor = module.executor
    data, label = (np.asarray(executor.arg_dict[name]) for name in ("data", "softmax_label"))
    rows = np.random.default_rng(0)
    batch = rows.standard_normal(data.shape).astype(np.float32)
    classes = rows.integers(0, LAYERS[-1], BATCH).astype(np.float32)

    def step() -> None:
        np.copyto(data, batch)
        np.copyto(label, classes)
        executor.forward(True)
        executor.backward()
        module.update()

    return step


class Watch:
    """Passes everything on to the live table and notes when each epoch ended."""

    def __init__(self, stream: object) -> None:
        from rich.console import Console

        from mxtrain.console.live import LiveReporter

        console = Console(file=stream, force_terminal=True, width=80, height=24)  # type: ignore[arg-type]  # a stream
        self._live = LiveReporter(stream, console)  # type: ignore[arg-type]  # likewise
        self.ends: list[float] = []
        for name in ("start", "progress", "notice", "finish"):
            setattr(self, name, getattr(self._live, name))

    def epoch(self, row: object) -> None:
        self._live.epoch(row)  # type: ignore[arg-type]  # an EpochRow
        self.ends.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="sgd")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), options.optimizer, options.rounds)


def compare(folder: Path, optimizer: str, rounds: int) -> None:
    from mxtrain.config import load
    from mxtrain.trainer.run import fit

    rows = np.random.default_rng(1)
    np.savez(
        folder / "rows.npz",
        data=rows.standard_normal((STEPS * BATCH, LAYERS[0])).astype(np.float32),
        label=np.arange(STEPS * BATCH) % LAYERS[-1],
    )
    settings = ", ".join(f"{k}: {v}" for k, v in OPTIMIZERS[optimizer].items())
    text = CONFIG.format(batch=BATCH, optimizer=f"{{name: {optimizer}, {settings}}}", epochs=EPOCHS)
    (folder / "config.yaml").write_text(text)
    spec = load(folder / "config.yaml")
    step = bare_step(optimizer)

    def time_bare() -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        return (time.perf_counter() - started) / STEPS

    def time_fit() -> float:
        with (folder / "screen").open("w") as screen:
            watch = Watch(screen)
            fit(spec, watch, folder / "run", overwrite=True)  # type: ignore[arg-type]  # a Reporter
        return (watch.ends[-1] - watch.ends[0]) / (STEPS * (EPOCHS - 1))

    times: dict[str, list[float]] = {"bare": [], "fit": []}
    runs = {"bare": time_bare, "fit": time_fit}
    for number in range(rounds + 1):
        for kind in sorted(runs, reverse=bool(number % 2)):
            seconds = runs[kind]()
            if number:  # the first round warms up
                times[kind].append(seconds)
    bare, whole = (statistics.median(times[kind]) * 1e6 for kind in ("bare", "fit"))
    ratios = [a / b for a, b in zip(times["fit"], times["bare"], strict=True)]
    print(f"{'-'.join(map(str, LAYERS))}, batch {BATCH}, {optimizer}, {rounds} rounds")
    print(f"bare step loop  {bare:7.1f} us per step")
    print(f"mxtrain fit     {whole:7.1f} us per step")
    print(f"ratio of medians {whole / bare:.3f}, median of ratios {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
