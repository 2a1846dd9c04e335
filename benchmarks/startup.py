"""Start-up times beside those of the imports they cannot avoid, measured in turns.

    python benchmarks/startup.py [ROUNDS]

Prints for each command its median, that of its yardstick, and the ratio of the two in each round
(median and quartiles) with the aim. `fit` is measured from the prompt to the end of the first
batch, on a small network and an ``.npz`` file; the aim for it is not set yet.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine import facts

ENTRY = "from mxtrain.cli import main; main()"
# Ends the process where the first batch has been learned from.
FIRST_BATCH = f"""
import os
from mxtrain.trainer.loop import Loop
train_batch = Loop.train_batch
def first_batch(self, *arguments, **named):
    train_batch(self, *arguments, **named)
    os._exit(0)
Loop.train_batch = first_batch
{ENTRY}
"""
BROKEN = """\
seed: seven
data: {train: {path: train.csv, label: digit}, batch_size: 0}
symbol:
  - {op: FullyConnected, name: fc, num_hiden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adm}
"""
TINY = """\
seed: 7
data: {train: {path: train.npz, label: label}, batch_size: 16}
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 16}
  - {op: Activation, name: relu1, act_type: relu}
  - {op: FullyConnected, name: fc2, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}
fit: {num_epoch: 1}
"""


class Case(NamedTuple):
    """A command with the code that starts it, what it must say, its yardstick and its aim."""

    name: str
    code: str
    arguments: tuple[str, ...]
    status: int
    says: tuple[str, ...]
    yardstick: str
    aim: float | None


CASES = (
    Case("--help", ENTRY, ("--help",), 0, ("Usage", "fit"), "click", 1.6),
    Case("list-optimizers", ENTRY, ("list-optimizers",), 0, ("sgd", "adam"), "click, numpy", 2.0),
    Case(
        "four mistakes",
        ENTRY,
        ("validate", "broken.yaml"),
        2,
        ("broken.yaml:1:", "batch_size", "num_hiden", "'adm'"),
        "click, yaml, numpy",
        2.0,
    ),
    Case(
        "fit, first batch",
        FIRST_BATCH,
        ("fit", "tiny.yaml", "--quiet"),
        0,
        (),
        "numpy, click, rich, yaml, pydantic",
        None,
    ),
)


def environment(folder: str) -> dict[str, str]:
    """Return an environment in which Python keeps what it compiles, in a folder of its own."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(Path(folder, "compiled"))}


def seconds(command: list[str], folder: str) -> float:
    """Run a command once and return how long it took."""
    variables = environment(folder)
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False, env=variables)
    return time.perf_counter() - begin


def own_command(case: Case) -> list[str]:
    """Return the command line that is measured."""
    return [sys.executable, "-c", case.code, *case.arguments]


def other_command(case: Case) -> list[str]:
    """Return the command line of the yardstick."""
    return [sys.executable, "-c", f"import {case.yardstick}"]


def check(case: Case, folder: str) -> None:
    """End the program if the command does not do its work; compiles all modules on the way."""
    done = subprocess.run(
        own_command(case), cwd=folder, capture_output=True, text=True, env=environment(folder)
    )
    said = done.stdout + done.stderr
    missing = [text for text in case.says if text not in said]
    if done.returncode != case.status or missing:
        sys.exit(f"{case.name}: status {done.returncode}, missing {missing}, output:\n{said}")
    yardstick = subprocess.run(other_command(case), cwd=folder, env=environment(folder))
    if yardstick.returncode:
        sys.exit(f"the yardstick of {case.name} failed")


def write_files(folder: str) -> None:
    """Write the configs and their data."""
    Path(folder, "broken.yaml").write_text(BROKEN, encoding="utf-8")
    Path(folder, "train.csv").write_text("x,y,digit\n1,2,0\n3,4,1\n", encoding="utf-8")
    Path(folder, "tiny.yaml").write_text(TINY, encoding="utf-8")
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((256, 20), np.float32)
    np.savez(Path(folder, "train.npz"), data=rows, label=generator.integers(0, 2, 256))


def main(rounds: int) -> None:
    """Measure every case `rounds` times, in turns, and print the table."""
    print(facts(["numpy", "click", "pyyaml", "rich", "pydantic"]))
    own: list[list[float]] = [[] for _ in CASES]
    other: list[list[float]] = [[] for _ in CASES]
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        for case in CASES:
            check(case, folder)
        for _ in range(rounds):
            for number, case in enumerate(CASES):
                own[number].append(seconds(own_command(case), folder))
                other[number].append(seconds(other_command(case), folder))
    print(f"\nMilliseconds, median of {rounds} rounds:")
    print(
        f"{'command':<18}{'ms':>7}  {'import':<36}{'ms':>7}{'ratio':>8}{'quartiles':>13}{'aim':>7}"
    )
    for case, mine, theirs in zip(CASES, own, other, strict=True):
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        aim = "-" if case.aim is None else f"{case.aim:.1f}"
        print(
            f"{case.name:<18}{statistics.median(mine) * 1000:7.1f}  {case.yardstick:<36}"
            f"{statistics.median(theirs) * 1000:7.1f}{middle:8.2f}"
            f"{f'{low:.2f}-{high:.2f}':>13}{aim:>7}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
