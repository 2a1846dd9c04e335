"""inspect, diff and convert on what ``mxtrain fit`` leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.inspection.run import run_report

CONFIG = Path(__file__).parents[2] / "configs" / "digits_batchnorm_dropout.yaml"
WEIGHTS = "model-0002.params"


def invoke(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(command_line, list(map(str, arguments)), prog_name="mxtrain")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        epochs = ("--set", "fit.num_epoch=2")
        invoke("fit", CONFIG, "-q", "--seed", seed, *epochs, "-o", folder / name)
    return [folder / "a", folder / "b", folder / "c"]


def test_run(runs: list[Path]) -> None:
    report = run_report(runs[0])
    assert (report.status, report.epochs, report.num_epoch) == ("done", 2, 2)
    assert report.notes == ()
    assert report.best_epoch in (1, 2)
    assert [each.weights for each in report.checkpoints if each.best] == [
        f"model-{report.best_epoch:04d}.params"
    ]
    assert WEIGHTS in [each.weights for each in report.checkpoints]
    assert not any(each.problem for each in report.checkpoints)
    output = invoke("inspect", runs[0]).output
    assert "run, done, 2 of 2 epochs" in output
    assert WEIGHTS in output
    (told,) = json.loads(invoke("inspect", runs[0], "--json").output)
    assert (told["kind"], told["metrics"][1]["epoch"]) == ("run", 2)


def test_every_file_of_arrays_and_the_graph(runs: list[Path]) -> None:
    files = [path for path in runs[0].glob("model-*") if path.name != "model-symbol.json"]
    for path in files:
        assert invoke("inspect", path).output.startswith(str(path))
    output = invoke("inspect", runs[0] / "model-symbol.json").output
    assert f"shapes from {WEIGHTS}" in output
    assert "?x64" in output


def test_diff_of_runs(runs: list[Path]) -> None:
    a, b, c = runs
    assert invoke("diff", a, b).output.endswith("arrays equal, bit by bit\n")
    output = invoke("diff", a, c, code=1).output
    assert "seed" in output
    assert "last epoch.eval_loss" in output
    assert "of 8,192 differ" in output


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_weights_come_back_byte_for_byte(runs: list[Path], tmp_path: Path, ending: str) -> None:
    between, back = tmp_path / f"w{ending}", tmp_path / "back.params"
    invoke("convert", runs[0] / WEIGHTS, between)
    invoke("diff", runs[0] / WEIGHTS, between)
    invoke("convert", between, back)
    assert back.read_bytes() == (runs[0] / WEIGHTS).read_bytes()
    assert "moving_mean" in invoke("inspect", between).output
