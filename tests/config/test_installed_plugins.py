"""Classes from installed packages: the entry-point group ``mxtrain.plugins``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
from typing import Annotated

from mxtrain.initializer import Initializer
from mxtrain.initializer import register as register_initializer
from mxtrain.lr_scheduler import LRScheduler
from mxtrain.lr_scheduler import register as register_scheduler
from mxtrain.optimizer import Optimizer, register


@register
class Wander(Optimizer):
    """Plain descent from a package (Anybody 2030)."""

    def rule(self, xp):
        return lambda weight, grad, lr: weight - lr * grad


@register_initializer
class Thirds(Initializer):
    """Weights of a third."""

    def _init_weight(self, name, array):
        array[...] = 1 / 3


@register_scheduler
class HalvingScheduler(LRScheduler):
    """Half the rate after each update."""

    def __call__(self, num_update):
        return self.base_lr / 2**num_update
'''
CONFIG = """\
data: {train: {path: train.csv, label: y}, batch_size: 2}
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
initializer: thirds
optimizer: {name: wander, learning_rate: 1}
lr_scheduler: halving
fit: {num_epoch: 2}
"""


def install(folder: Path, module: str) -> None:
    """Put a package of one module into a folder, as an installer does."""
    info = folder / "wander_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wander-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mxtrain.plugins]\nwander = wander_plugin\n")
    (folder / "wander_plugin.py").write_text(module)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    install(tmp_path / "site", MODULE)
    (tmp_path / "train.csv").write_text("a,y\n1,0\n2,1\n3,0\n4,1\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def run(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(work / "site")}
    command = [sys.executable, "-m", "mxtrain.cli", *arguments]
    return subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )


def test_a_config_uses_them(work: Path) -> None:
    shown = run(work, "lr", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["rates"] == [0.5, 0.25, 0.125, 0.0625]
    weights = run(work, "init")
    assert "Thirds" in weights.stdout
    done = run(work, "fit", "--output", "run")
    assert done.returncode == 0, done.stderr
    assert "wander" in (work / "run" / "log.txt").read_text()


def test_listings_and_show_have_them(work: Path) -> None:
    listed = json.loads(run(work, "list-optimizers", "--json").stdout)
    (entry,) = (entry for entry in listed if entry["name"] == "wander")
    assert (entry["states"], entry["source"]) == ("0", "Anybody 2030")
    assert "Plain descent from a package" in run(work, "show", "wander").stdout
    assert "thirds" in run(work, "list-initializers").stdout
    assert "class wander_plugin.HalvingScheduler" in run(work, "show", "halving").stdout


def test_a_package_that_fails_is_named(work: Path) -> None:
    (work / "site" / "wander_plugin.py").write_text("import nothing_of_that_name\n")
    for arguments in (("validate",), ("list-metrics",)):
        done = run(work, *arguments)
        assert done.returncode == 2
        assert "installed plugin 'wander' failed" in done.stderr
        assert "No module named 'nothing_of_that_name'" in done.stderr


def test_a_config_of_built_in_names_does_not_load_them(work: Path) -> None:
    (work / "site" / "wander_plugin.py").write_text("raise RuntimeError\n")
    text = CONFIG.replace("thirds", "xavier").replace("wander", "sgd").replace("halving", "null")
    (work / "config.yaml").write_text(text)
    assert run(work, "validate").returncode == 0
