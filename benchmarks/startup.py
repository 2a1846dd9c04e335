"""Start-up times beside those of the imports they cannot avoid, measured in turns.

    python benchmarks/startup.py [ROUNDS]

Prints for each command its median, that of its yardstick, and their ratio with the aim.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MXTRAIN = [sys.executable, "-c", "from mxtrain.cli import main; main()"]
BROKEN = """\
seed: seven
data: {train: {path: train.csv, label: digit}, batch_size: 0}
symbol:
  - {op: FullyConnected, name: fc, num_hiden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adm}
"""
CASES = (
    ("--help", [*MXTRAIN, "--help"], "import click", 1.6),
    ("list-optimizers", [*MXTRAIN, "list-optimizers"], "import click, numpy", 2.0),
    ("four mistakes", [*MXTRAIN, "validate", "broken.yaml"], "import click, yaml, numpy", 2.0),
)


def seconds(command: list[str], folder: str) -> float:
    """Run `command` once and return how long it took."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=False, env=os.environ)
    return time.perf_counter() - begin


def main(rounds: int) -> None:
    """Measure every case `rounds` times, in turns, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "broken.yaml").write_text(BROKEN, encoding="utf-8")
        Path(folder, "train.csv").write_text("x,y,digit\n1,2,0\n3,4,1\n", encoding="utf-8")
        commands = [case[1] for case in CASES] + [[sys.executable, "-c", case[2]] for case in CASES]
        times: list[list[float]] = [[] for _ in commands]
        for command in commands:
            seconds(command, folder)  # compiled modules and file caches are not what is measured
        for _ in range(rounds):
            for index, command in enumerate(commands):
                times[index].append(seconds(command, folder))
    medians = [statistics.median(found) * 1000 for found in times]
    print(f"{'command':<18}{'ms':>7}  {'yardstick':<26}{'ms':>7}{'ratio':>8}{'aim':>7}")
    for index, (name, _, yardstick, aim) in enumerate(CASES):
        own, other = medians[index], medians[index + len(CASES)]
        ratio = own / other
        print(f"{name:<18}{own:7.1f}  {yardstick:<26}{other:7.1f}{ratio:8.2f}{aim:7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
