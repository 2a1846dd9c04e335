"""Start-up: whole commands beside the imports they cannot avoid."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import installed
from options import Bench, Table, Topic
from shown import millis, times
from timing import ratio

ROOT = Path(__file__).parents[2]
ENTRY = "from mxtrain.cli import main; main()"
# Ends the process where the first batch, or the first few in one call, have been learned from.
FIRST_BATCH = f"""
import os
from mxtrain.trainer.loop import Loop
train_piece = Loop._train_piece
def first_piece(self, *arguments, **named):
    train_piece(self, *arguments, **named)
    os._exit(0)
Loop._train_piece = first_piece
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
data: {train: {path: PATH, label: label}, batch_size: 16}
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 16}
  - {op: Activation, name: relu1, act_type: relu}
  - {op: FullyConnected, name: fc2, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}
fit: {num_epoch: 1}
"""
ALL_IMPORTS = "numpy, click, rich, yaml, pydantic"
DIGITS = str(ROOT / "configs" / "digits_mlp.yaml")


class Case(NamedTuple):
    """A command with the code that starts it, what it must say, its yardstick and its aim."""

    name: str
    code: str
    arguments: tuple[str, ...]
    status: int
    says: tuple[str, ...]
    yardstick: str
    aim: float | None

    def command(self) -> list[str]:
        """Return the command line that is measured."""
        return [sys.executable, "-c", self.code, *self.arguments]

    def other(self) -> list[str]:
        """Return the command line of the yardstick."""
        return [sys.executable, "-c", f"import {self.yardstick}"]


def first_batch(name: str, arguments: tuple[str, ...], aim: float | None) -> Case:
    """Return a case of `fit` from the prompt to the end of the first batch."""
    fit = ("fit", *arguments, "--quiet")
    return Case(f"mxtrain fit, {name}, first batch", FIRST_BATCH, fit, 0, (), ALL_IMPORTS, aim)


MISTAKES = ("broken.yaml:1:", "batch_size", "num_hiden", "'adm'")
CASES = (
    Case("mxtrain --help", ENTRY, ("--help",), 0, ("Usage", "fit"), "click", 1.6),
    Case(
        "mxtrain list-optimizers",
        ENTRY,
        ("list-optimizers",),
        0,
        ("sgd", "adam"),
        "click, numpy",
        2,
    ),
    Case(
        "mxtrain validate, four mistakes",
        ENTRY,
        ("validate", "broken.yaml"),
        2,
        MISTAKES,
        "click, yaml, numpy",
        2,
    ),
    first_batch("tiny .npz", ("npz.yaml",), 2),
    first_batch("small CSV", ("csv.yaml",), 2.5),
    first_batch("digits", (DIGITS,), None),
)
NUMBA_CASE = first_batch("digits on Numba, kernels kept", (DIGITS, "--backend", "numba"), None)


def environment(folder: str) -> dict[str, str]:
    """Return an environment in which Python and mxtrain keep what they compile, in `folder`."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    python, kernels = str(Path(folder, "compiled")), str(Path(folder, "kernels"))
    return kept | {"PYTHONPYCACHEPREFIX": python, "MXTRAIN_CACHE": kernels}


def seconds(command: list[str], folder: str) -> float:
    """Run a command once and return how long it took."""
    variables = environment(folder)
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False, env=variables)
    return time.perf_counter() - begin


def problem(case: Case, folder: str) -> str:
    """Run a case; return why it cannot be measured, or nothing. Compiles all modules on the way."""
    variables = environment(folder)
    done = subprocess.run(case.command(), cwd=folder, capture_output=True, text=True, env=variables)
    said = done.stdout + done.stderr
    missing = [text for text in case.says if text not in said]
    if done.returncode != case.status or missing:
        return f"{case.name}: status {done.returncode}, missing {missing}, output: {said[-500:]}"
    yardstick = subprocess.run(case.other(), cwd=folder, env=variables, capture_output=True)
    return f"the yardstick of {case.name} failed" if yardstick.returncode else ""


def write_files(folder: str) -> None:
    """Write the configs and their data."""
    Path(folder, "broken.yaml").write_text(BROKEN, encoding="utf-8")
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((256, 20), np.float32)
    label = generator.integers(0, 2, 256)
    np.savez(Path(folder, "train.npz"), data=rows, label=label)
    header = ",".join([*(f"x{n}" for n in range(20)), "label"])
    table = np.column_stack([rows, label])
    np.savetxt(Path(folder, "rows.csv"), table, "%.6g", ",", header=header, comments="")
    Path(folder, "train.csv").write_text("x,y,digit\n1,2,0\n3,4,1\n", encoding="utf-8")
    for kind, path in (("npz", "train.npz"), ("csv", "rows.csv")):
        text = TINY.replace("PATH", path)
        Path(folder, f"{kind}.yaml").write_text(text, encoding="utf-8")


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure every case and its yardstick, in turns."""
    cases = [*CASES, *([NUMBA_CASE] if installed(bench, "numba", "start-up of Numba") else [])]
    own: dict[str, list[float]] = {}
    other: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        for case in list(cases):
            text = problem(case, folder)
            if text:
                bench.failure(text)
                cases.remove(case)
        for _ in range(bench.options.rounds):
            for case in cases:
                own.setdefault(case.name, []).append(seconds(case.command(), folder))
                other.setdefault(case.name, []).append(seconds(case.other(), folder))
    return [
        {
            "command": case.name,
            "yardstick": case.yardstick,
            "aim": case.aim,
            "seconds": own[case.name],
            "imports": other[case.name],
        }
        for case in cases
    ]


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return times, ratios and aims."""
    rows = []
    for case in data:
        found = ratio(case["seconds"], case["imports"])
        aim = "" if case["aim"] is None else f"{case['aim']:.1f}"
        if aim:
            aim += ", met" if found.median <= case["aim"] else ", missed"
        cells = [millis(case["seconds"]), case["yardstick"], millis(case["imports"]), times(found)]
        rows.append([case["command"], *cells, aim])
    header = ["command", "ms", "beside python -c 'import ...'", "ms", "ratio", "aim"]
    return [Table("Start-up: whole processes, milliseconds, median (quartiles)", header, rows)]


TOPIC = Topic("startup", "Start-up", measure, tables)
