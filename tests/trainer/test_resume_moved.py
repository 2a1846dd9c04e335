"""Going on where the files that a run was started from have gone, or the run lies elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from resume_runs import compare, no_disk
from resume_runs import resume as resume_own
from trainer_runs import CONFIG, Notes, write_config

from mxtrain import symbol
from mxtrain.cli import command_line
from mxtrain.config import load
from mxtrain.trainer.run import fit

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]

NODES = CONFIG[CONFIG.index("symbol:") : CONFIG.index("optimizer:")]
PYTHON = """\
from mxtrain import symbol as sym

def get_symbol(hidden=4):
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=hidden, name="fc1")
    net = sym.FullyConnected(net, num_hidden=3, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")
"""


def invoke(*arguments: str | Path) -> Result:
    given = ["fit", *map(str, arguments)]
    return CliRunner().invoke(command_line, given, prog_name="mxtrain")


def said(result: Result) -> str:
    """Return what a command has printed, in one line."""
    return " ".join(result.output.split())


def resume(*arguments: str | Path) -> Result:
    return invoke("--resume", *arguments, "--set", "fit.num_epoch=4")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A run whose network is in a file of its own, ``net.json``, and a copy that trains on."""
    first = write_config(tmp_path / "first")
    made = fit(load(first), Notes(), output=tmp_path / "made")
    shutil.copy(Path(made.output, "model-symbol.json"), tmp_path / "net.json")
    config = write_config(tmp_path, CONFIG.replace(NODES, "symbol: {file: net.json}\n"))
    fit(load(config), Notes(), output=tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    return tmp_path / "run"


@pytest.mark.parametrize("named", [False, True])
def test_the_network_is_the_runs_own_where_its_file_has_gone(stored: Path, named: bool) -> None:
    whole = resume_own(stored.parent / "whole", "fit.num_epoch=4")
    (stored.parent / "net.json").unlink()
    config = [stored.parent / "config.yaml"] if named else []
    result = resume(stored, *config)
    assert result.exit_code == 0, result.output
    assert "the network is the run's own model-symbol.json: ../net.json has gone" in said(result)
    again = resume_own(stored)
    compare(stored.parent / "whole", whole, stored, again)
    assert "symbol: {file: model-symbol.json}" in (stored / "config.yaml").read_text()
    before = resume(stored / "model-0003.safetensors")  # whose state names the file that has gone
    assert before.exit_code == 0, before.output


def test_a_network_made_by_python_that_has_gone(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PYTHON)
    config = write_config(tmp_path, CONFIG.replace(NODES, "symbol: {python: net.py, hidden: 5}\n"))
    run = tmp_path / "run"
    fit(load(config), Notes(), output=run)
    (tmp_path / "net.py").unlink()
    result = resume(run)
    assert result.exit_code == 0, result.output
    assert "the network is the run's own model-symbol.json: ../net.py has gone" in said(result)


def test_another_network_in_that_file_is_refused(stored: Path) -> None:
    net = symbol.load(str(stored.parent / "net.json")).tojson()
    (stored.parent / "net.json").write_text(net.replace('"tanh"', '"relu"'))
    for force in ([], ["--force"]):
        result = resume(stored, *force)
        assert result.exit_code == 2
        assert "the network is not that of" in said(result)


def test_without_a_checkpoint_there_is_no_network_to_take(stored: Path) -> None:
    (stored.parent / "net.json").unlink()
    for path in stored.glob("model-0*"):
        path.unlink()
    result = resume(stored)
    assert result.exit_code == 2
    assert "no such file '../net.json'" in said(result)


def test_a_damaged_network_of_its_own_is_no_help(stored: Path) -> None:
    (stored.parent / "net.json").unlink()
    own = stored / "model-symbol.json"
    own.write_text(own.read_text().replace('"tanh"', '"relu"'))
    assert "model-symbol.json is damaged" in said(resume(stored))
    refused = resume(stored, "--force")
    assert refused.exit_code == 2
    assert "the network is not that of" in said(refused)
    own.write_text("{")
    assert resume(stored, "--force").exit_code == 2


def test_a_moved_run_finds_data_by_absolute_paths(tmp_path: Path) -> None:
    config = write_config(tmp_path / "project")
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train.csv", "test.csv"):
        (config.parent / name).rename(data / name)
        config.write_text(config.read_text().replace(name, str(data / name)))
    fit(load(config), Notes(), output=config.parent / "run")
    (tmp_path / "far" / "away").mkdir(parents=True)
    moved = (config.parent / "run").rename(tmp_path / "far" / "away" / "run")
    result = resume(moved)
    assert result.exit_code == 0, result.output
    assert "changed data" not in said(result)
    assert f"train: {{path: {data / 'train.csv'}" in (moved / "config.yaml").read_text()


@pytest.mark.parametrize("absolute", [False, True])
def test_weights_are_saved_as_the_command_line_gives_them(
    stored: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    monkeypatch.chdir(stored.parent)
    given = stored / "model-0003.params" if absolute else Path("run", "model-0003.params")
    result = invoke("first/config.yaml", "--weights", given, "--ignore-extra", "-o", "a/b")
    assert result.exit_code == 0, result.output
    shown = given if absolute else "../../run/model-0003.params"
    saved = (stored.parent / "a" / "b" / "config.yaml").read_text()
    assert f"weights: {{file: {shown}," in saved
