"""A run on handwritten digits is killed at random moments, and goes on each time.

Run it with: python tests/reliability/kill_runs.py --kills 50
Each moment gets a run of its own: started, killed with SIGKILL, its folder looked at, resumed to
the end, and compared with the run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from fault_runs import check_whole, outcome

from mxtrain.trainer.resume import states_in

CONFIG = Path(__file__).parents[2] / "configs" / "digits_batchnorm_dropout.yaml"
# A checkpoint after every batch, so that many kills fall into writes.
CHANGES = (
    "fit.num_epoch=6",
    "fit.checkpoint={every_batches: 1, keep: 2}",
    "data.last_batch=roll_over",
    "threads=1",
)
WORDS = {"params": "weights", "safetensors": "a state"}
COMMAND = (sys.executable, "-c", "from mxtrain.cli import main; main()", "fit")


@dataclass
class Kill:
    """One kill: when, in seconds after the first batch could begin, and what it hit."""

    seconds: float
    where: str
    position: str


class Kills:
    """The undisturbed run, and any number of killed ones."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder, self._random = folder, random.Random(seed)
        process, started = self._start(folder / "whole")
        process.communicate()
        assert process.returncode == 0
        self.seconds = time.monotonic() - started
        self.wanted = outcome(folder / "whole")

    def kill(self, number: int) -> Kill:
        """Kill a run at a random moment, let it go on, and compare."""
        run = self.folder / f"run{number}"
        seconds, killed = 0.0, False
        while not killed:  # one that had ended before is none
            seconds = self._random.uniform(0, self.seconds)
            process, started = self._start(run, "--overwrite")
            time.sleep(max(0.0, started + seconds - time.monotonic()))
            process.kill()
            process.communicate()
            killed = process.returncode < 0
        kill = Kill(seconds, where(run), str(max(states_in(run), default="no checkpoint")))
        check_whole(run)
        done = subprocess.run(
            [*COMMAND, "--resume", str(run), "--quiet"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert outcome(run) == self.wanted
        return kill

    def _start(self, run: Path, *options: str) -> tuple[subprocess.Popen[str], float]:
        """Start a run and wait until its first batch may begin; return that moment as well."""
        changes = [text for change in CHANGES for text in ("--set", change)]
        process = subprocess.Popen(
            [*COMMAND, str(CONFIG), "--output", str(run), "--json", *changes, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError(process.communicate()[1])
        return process, time.monotonic()


def where(run: Path) -> str:
    """Say what the process was doing, as far as its folder tells."""
    parts = {path.name.split(".")[-3] for path in run.glob(".*.tmp")}
    if parts:
        return " and ".join(f"writing {WORDS.get(part, part)}" for part in sorted(parts))
    newest = max(states_in(run), default=None)
    weights = {path.stem for path in run.glob("model-*.params")}
    states = {path.stem for path in run.glob("model-*.safetensors")}
    if weights - states and newest is not None:
        return "between the files of a checkpoint"
    return "elsewhere" if states else "before the first checkpoint"


def main() -> None:
    """Kill as often as asked, and count where that fell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        kills = Kills(Path(name), options.seed)
        print(f"undisturbed: {kills.seconds:.2f} s from the first batch to the end")
        for number in range(options.kills):
            kill = kills.kill(number)
            found[kill.where] += 1
            print(
                f"{number + 1:3} at {kill.seconds:5.2f} s, {kill.position}: {kill.where}",
                flush=True,
            )
    print(f"{sum(found.values())} kills, all resumed to the same weights, states and metrics")
    print(json.dumps(found.most_common(), indent=1))


if __name__ == "__main__":
    main()
