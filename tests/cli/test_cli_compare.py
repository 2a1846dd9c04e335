"""The compare command: what it reads, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line

CONFIG = """\
threads: 1
data:
  train: {path: train.csv, label: kind}
  eval: {fraction: 0.25}
  batch_size: 8
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
fit: {num_epoch: 2, metrics: accuracy}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [f"{n % 7},{(n * n) % 5},{'ab'[n % 7 > 3]}" for n in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["x,y,kind", *rows]) + "\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, ["compare", *arguments], prog_name="mxtrain")


def test_table_and_folder(folder: Path) -> None:
    result = invoke("--optimizer", "sgd, adam", "--optimizer=groupadagrad", "--rates", "0.1,0.01")
    assert result.exit_code == 0, result.output
    assert "6 trials in" in result.output
    assert "refused: GroupAdaGrad updates matrices" in result.output
    assert (folder / "compare" / "0001" / "curves.svg").is_file()


def test_json_has_every_measure(folder: Path) -> None:
    arguments = ("--optimizer", "sgd,adam", "--json", "--quiet", "-o", "out", "--target", "0.1")
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    (line,) = result.output.splitlines()
    found = json.loads(line)
    assert found["status"] == "done"
    assert found["output"] == "out"
    assert {row["label"] for row in found["rows"]} == {"sgd", "adam"}
    assert all(row["target_epoch"] == 1 for row in found["rows"])


def test_several_processes(folder: Path) -> None:
    result = invoke("--optimizer", "sgd,adam", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert "2 processes of 1 thread each" in result.output


def test_quiet_is_silent(folder: Path) -> None:
    result = invoke("--optimizer", "sgd", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_nothing_learned_is_a_failed_run(folder: Path) -> None:
    result = invoke("--optimizer", "groupadagrad", "--quiet")
    assert result.exit_code == 1
    assert "updates matrices" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--optimizer", "adm"), "did you mean 'adam'"),
        (("--optimizer", ","), "names at least one"),
        (("--rates", "0.1,-1"), "expected numbers above 0, received '-1'"),
        (("--rates", "fast"), "expected numbers above 0, received 'fast'"),
        (("--rates", "nan"), "expected numbers above 0, received 'nan'"),
        (("--jobs", "0"), "0 is not in the range"),
        (("--set", "compare.optimizers=[sdg]"), "did you mean 'sgd'"),
        (("missing.yaml",), "There is no file 'missing.yaml'"),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, tuple) else "",
)
def test_mistakes(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert not (folder / "compare").exists()


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    assert invoke("--optimizer", "sgd", "-q", "-o", "out").exit_code == 0
    again = invoke("--optimizer", "sgd", "-q", "-o", "out")
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    assert invoke("--optimizer", "sgd", "-q", "-o", "out", "--overwrite").exit_code == 0
    # the folder stands for the config in it, which repeats the comparison
    assert invoke("out", "-q", "-o", "more").exit_code == 0
