"""Small comparisons for the tests: own optimizers, a reporter that remembers, fixtures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trainer_runs import CONFIG, Notes, write_config

from mxtrain import lr_scheduler
from mxtrain import optimizer as optimizers
from mxtrain.config import load
from mxtrain.trainer.compare.compare import compare
from mxtrain.trainer.compare.report import CompareInfo, Comparison, TrialRow

PLUGIN = """\
import os, warnings
from mxtrain import lr_scheduler, optimizer

@lr_scheduler.register
class Alone:
    def __init__(self):
        self.base_lr = 0.5
    def __call__(self, num_update):
        return self.base_lr

class Base(optimizer.Optimizer):
    def create_state(self, index, weight):
        return None

@optimizer.register()
class Broken(Base):
    def update(self, index, weight, grad, state):
        raise ZeroDivisionError("no such luck")

@optimizer.register()
class Deadly(Base):
    def update(self, index, weight, grad, state):
        os._exit(3)

@optimizer.register()
class Vanishing(Base):
    def update(self, index, weight, grad, state):
        os.kill(os.getpid(), 9)

@optimizer.register()
class Worried(Base):
    def update(self, index, weight, grad, state):
        warnings.warn("this never learns", UserWarning)
"""
OWN = ("broken", "deadly", "vanishing", "worried")


class Watcher(Notes):
    """A reporter that keeps everything it is told about a comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.told: CompareInfo | None = None
        self.seen: list[TrialRow] = []
        self.ended: Comparison | None = None

    def start(self, info: Any) -> None:
        self.told = info

    def update(self, row: TrialRow) -> None:
        self.seen.append(row)

    def finish(self, result: Any) -> None:
        self.ended = result


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, "threads: 1\n" + CONFIG)


@pytest.fixture
def own_config(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(PLUGIN)
    yield write_config(tmp_path, "threads: 1\nplugins: [own.py]\n" + CONFIG)
    for name in OWN:
        optimizers.registry._classes.pop(name, None)
    lr_scheduler.registry._classes.pop("alone", None)


def run(config: Path, *changes: str, watcher: Watcher | None = None, **options: Any) -> Comparison:
    """Compare into a folder beside the config."""
    options.setdefault("output", config.parent / "out")
    return compare(load(config, changes), watcher or Watcher(), **options)


def by_label(result: Comparison) -> dict[str, TrialRow]:
    return {row.label: row for row in result.rows}


def points(result: Comparison) -> dict[str, Any]:
    """The epochs of each trial from the results, without what the clock decides."""
    rows = json.loads(Path(result.output, "results.json").read_text())["rows"]
    timeless = {
        f"{row['label']} {row['rate']}": [
            {k: v for k, v in point.items() if k != "seconds"} for point in row["points"]
        ]
        for row in rows
    }
    assert any(timeless.values())
    return timeless
