"""A short run under every fault of its disk, and what must hold afterwards.

Run it whole with: python tests/reliability/fault_runs.py
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from faulty_files import KINDS, Faults, KilledError, faulty

from mxtrain import nd
from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.digest import sha256_of
from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.trainer.position import Position
from mxtrain.trainer.resume import find, states_in
from mxtrain.trainer.run import fit, fit_on

CONFIG = """\
seed: 5
data: {train: {path: rows.npz, label: label}, eval: {path: rows.npz}, batch_size: 4}
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 3}
  - {op: Dropout, name: drop1}
  - {op: FullyConnected, name: fc2, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adam, learning_rate: 0.1}
fit: {num_epoch: 2, metrics: [accuracy], checkpoint: {every_batches: 2, keep: 1}}
"""
TWICE = 100
CLOCK = ("seconds", "samples_per_second")


class Trial:
    """The run, once without a fault and then with one."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((12, 3)).astype(np.float32)
        np.savez(folder / "rows.npz", data=rows, label=np.arange(12) % 2)
        (folder / "config.yaml").write_text(CONFIG)
        self.folder, self.spec = folder, load(folder / "config.yaml")
        self.silent = QuietReporter(io.StringIO())
        faults = Faults(self.run)
        with faulty(faults):
            fit(self.spec, self.silent, output=self.run)
        self.operations = faults.log
        self.wanted = outcome(self.run)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def fails(self, kind: str, at: int, again: int = 0) -> str:
        """Let operation `at` fail, and operation `again` of what follows; return how it ended.

        The folder is checked after each, and at the end compared with that of the whole run.
        """
        shutil.rmtree(self.run)
        ended = self._under(Faults(self.run, kind, at))
        if again:
            ended = f"{ended}, {self._under(Faults(self.run, kind, again))}"
        assert self._train() == "done"
        assert outcome(self.run) == self.wanted
        return ended

    def _under(self, faults: Faults) -> str:
        try:
            with faulty(faults):
                ended = self._train()
        except KilledError:
            ended = "killed"
        check_whole(self.run)
        return ended

    def _train(self) -> str:
        """Train from the newest checkpoint, or anew where there is no run yet."""
        if not (self.run / "config.yaml").exists():
            return fit(self.spec, self.silent, output=self.run).status
        found = find(str(self.run))
        return fit_on(found, load(found.config), self.silent).status


def check_whole(folder: Path) -> None:
    """Check that every file in its place is whole, and that every state finds what it names."""
    for position in states_in(folder):
        metadata = run_state.load(folder / position.state).metadata
        for name, digest in metadata["files"].items():
            assert sha256_of(folder / name) == digest, name
        for name, facts in metadata["metrics"].items():
            if facts["bytes"]:
                assert (folder / name).stat().st_size >= facts["bytes"], name
    for path in folder.glob("model-*.params"):
        if Position.of(path.name):
            assert nd.load(str(path)), path.name
    for name in ("model-symbol.json", "preprocessing.json"):
        if (folder / name).exists():
            json.loads((folder / name).read_text())


def outcome(folder: Path) -> dict[str, Any]:
    """Return everything that a run leaves, but for times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    table = [line.split(",")[:-2] for line in (folder / "metrics.csv").read_text().splitlines()]
    states = {path.name: run_state.load(path) for path in folder.glob("*.safetensors")}
    return {
        "names": sorted(p.name for p in folder.iterdir()),
        "weights": {p.name: p.read_bytes() for p in folder.glob("*.params")},
        "optimizer": {name: repr(one.values["optimizer"]) for name, one in states.items()},
        "best": {name: one.values["best"] for name, one in states.items()},
        "metrics": [{k: v for k, v in row.items() if k not in CLOCK} for row in rows],
        "table": table,
    }


def main() -> None:
    """Go over every operation with every kind of fault."""
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name))
        print(f"{len(trial.operations)} operations:", dict(_kinds(trial.operations)))
        for kind in KINDS:
            ended: Counter[str] = Counter()
            for at in range(1, len(trial.operations) + 1):
                ended[trial.fails(kind, at)] += 1
            print(f"{kind:7} at each of {sum(ended.values())}: same bits; ended {dict(ended)}")
        picks, ended = random.Random(1), Counter()
        for kind in KINDS:
            for _ in range(TWICE):
                at, again = (picks.randint(1, len(trial.operations)) for _ in range(2))
                ended[trial.fails(kind, at, again)] += 1
        print(f"two faults, {sum(ended.values())} pairs: same bits; ended {dict(ended)}")


def _kinds(operations: list[str]) -> Counter[str]:
    return Counter(text.partition(" ")[0] for text in operations)


if __name__ == "__main__":
    main()
