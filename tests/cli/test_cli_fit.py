"""The fit command: what it hands to the trainer, and the exit code of each ending."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.errors import MXNetError, PluginError
from mxtrain.trainer.report import RunResult

Trainer = list[dict[str, Any]]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trainer:
    """A trainer that notes its calls and ends as its first item, if any, says."""
    calls: Trainer = []
    module = ModuleType("mxtrain.trainer.run")

    def fit(spec: Any, reporter: Any, **options: Any) -> RunResult:
        wanted = calls.pop(0) if calls else {}
        ending = wanted.get("ending", "done")
        calls.append({"spec": spec, "reporter": reporter, **options})
        if isinstance(ending, Exception):
            raise ending
        result = RunResult(ending, 1, 0.1, "runs/0001", (), signal=wanted.get("signal", 0))
        reporter.finish(result)
        return result

    module.fit = fit  # type: ignore[attr-defined]  # a module made here has no declared names
    monkeypatch.setitem(sys.modules, "mxtrain.trainer.run", module)
    monkeypatch.setattr("mxtrain.cli.options.find_config", lambda path: path)
    monkeypatch.setattr("mxtrain.config.load", lambda path, overrides, graph: (path, overrides))
    monkeypatch.chdir(tmp_path)
    return calls


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, ["fit", "c.yaml", *arguments], prog_name="mxtrain")


def test_options_reach_config_and_trainer(trainer: Trainer) -> None:
    arguments = "--set optimizer.wd=0 --backend numpy --seed 3 -o out --overwrite --profile"
    assert invoke(*arguments.split(" ")).exit_code == 0
    (call,) = trainer
    assert call["spec"] == (Path("c.yaml"), ["optimizer.wd=0", "backend=numpy", "seed=3"])
    assert call["output"] == Path("out")
    assert call["overwrite"] is True
    assert call["profile"] is True


def test_defaults_reach_the_trainer(trainer: Trainer) -> None:
    assert invoke().exit_code == 0
    (call,) = trainer
    assert (call["output"], call["overwrite"], call["profile"]) == (None, False, False)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("done", 0),
        ("stopped early", 0),
        ("failed", 1),
        ("interrupted", 130),
        (MXNetError("out of shape"), 1),
        (OSError(28, "No space left on device", "x.params"), 1),
        (FileExistsError("runs/a holds a run"), 2),
        (PluginError("plugin failed"), 2),
    ],
)
def test_exit_code_tells_how_the_run_ended(trainer: Trainer, ending: Any, code: int) -> None:
    trainer.append({"ending": ending})
    result = invoke("--quiet")
    assert result.exit_code == code
    assert "Traceback" not in result.output


def test_a_profile_needs_somewhere_to_be_shown(trainer: Trainer) -> None:
    result = invoke("--quiet", "--profile")
    assert result.exit_code == 2
    assert "leave one out" in result.output
    assert invoke("--quiet", "--profile", "--json").exit_code == 0


def test_data_error_is_a_mistake_in_the_input(trainer: Trainer) -> None:
    from mxtrain.io import DataError

    trainer.append(
        {"ending": DataError("a.csv", "is not a number", column="x", row=3, value="abc")}
    )
    result = invoke()
    assert result.exit_code == 2
    assert "a.csv" in result.output


def test_the_signal_that_ended_the_run_is_in_the_exit_code(trainer: Trainer) -> None:
    trainer.append({"ending": "interrupted", "signal": 15})
    assert invoke("--quiet").exit_code == 128 + 15


@pytest.mark.parametrize("option", ["--weights=w.params", "--allow-missing", "--ignore-extra"])
def test_a_run_that_goes_on_has_its_weights(trainer: Trainer, option: str) -> None:
    result = invoke("--resume", "run", option)
    assert result.exit_code == 2
    assert result.output.startswith("--resume goes on with the weights of the run, so --weights,")
    assert result.output.count("\n") == 1
    assert not trainer
