"""Every config in configs/ runs, learns, and reaches what it promises."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.trainer.run import fit

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))

PROMISED = {
    "digits_adam_early_stopping": ("accuracy", 0.96),
    "digits_batchnorm_dropout": ("accuracy", 0.96),
    "digits_half": ("accuracy", 0.95),
    "digits_mlp": ("accuracy", 0.97),
    "digits_residual": ("accuracy", 0.95),
    "digits_softmax": ("accuracy", 0.94),
    "digits_two_outputs": ("accuracy", 0.95),
    "digits_warmup": ("accuracy", 0.96),
    "pendulum": ("rmse", 0.025),
}
"""What the last eval of a config must reach: at least, or for an error at most."""


def run(path: Path, output: Path, *overrides: str) -> list[dict[str, Any]]:
    """Train a config and return the rows of its metrics."""
    fit(load(path, ["threads=1", *overrides]), QuietReporter(sys.stderr), output=output)
    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_config_has_a_promise() -> None:
    assert [path.stem for path in CONFIGS] == sorted(PROMISED)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_loss_falls(path: Path, tmp_path: Path) -> None:
    rows = run(path, tmp_path / "run", "fit.num_epoch=2")
    assert len(rows) == 2
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    assert rows[1]["eval_loss"] < rows[0]["eval_loss"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_whole_run_reaches_what_is_promised(path: Path, tmp_path: Path) -> None:
    metric, limit = PROMISED[path.stem]
    value = run(path, tmp_path / "run")[-1][f"eval_{metric}"]
    assert value <= limit if metric == "rmse" else value >= limit


@pytest.mark.parametrize("seed", range(5))
def test_demo_does_not_live_on_its_seed(seed: int, tmp_path: Path) -> None:
    rows = run(FOLDER / "digits_mlp.yaml", tmp_path / "run", f"seed={seed}")
    assert rows[-1]["eval_accuracy"] >= 0.97


@pytest.mark.parametrize("name", ["digits_mlp", "digits_residual", "pendulum"])
def test_curve_ends_with_the_run(name: str) -> None:
    spec = load(FOLDER / f"{name}.yaml")
    assert spec.lr_scheduler is not None
    rows = len(Path(str(spec.data.train.path)).read_text(encoding="utf-8").splitlines()) - 1
    batches = -(-rows // spec.data.batch_size)
    assert spec.lr_scheduler.settings["max_update"] == spec.fit.num_epoch * batches


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_says_what_it_shows(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 120
