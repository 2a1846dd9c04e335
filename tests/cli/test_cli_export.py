"""``mxtrain export`` as a user calls it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.export.runtime import Session
from mxtrain.io.dataset import load_dataset
from mxtrain.io.features import Features
from mxtrain.trainer.run import fit

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "files"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pendulum"
    spec = load(ROOT / "configs" / "pendulum.yaml", ["fit.num_epoch=2", "threads=1"])
    fit(spec, QuietReporter(sys.stderr), output=folder)
    return folder


def export(*arguments: Any) -> Result:
    runner = CliRunner(env={"COLUMNS": "80"})
    return runner.invoke(command_line, ["export", *map(str, arguments)], prog_name="mxtrain")


def test_a_run(trained: Path, tmp_path: Path) -> None:
    done = export(trained, "--onnx", tmp_path / "m.onnx")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("model", "network", "input", "output", "compared", "difference"),
    ]
    assert lines[2] == "input       data, float64, batch x 2, scaled by the model (standard)"
    assert lines[3] == "output      period_output, float32, batch x 1"
    assert re.fullmatch(r"compared    with mxtrain on 200 rows of .*, in .* 200 and 1", lines[4])
    assert re.fullmatch(r"difference  .*, allowed is 1e-05", lines[5])


def test_json(trained: Path, tmp_path: Path) -> None:
    done = export(trained, "--onnx", tmp_path / "m.onnx", "--json", "--no-preprocessing")
    found = json.loads(done.stdout)
    assert found["inputs"] == [{"name": "data", "dtype": "float32", "shape": ["batch", 2]}]
    assert found["scaled_inside"] == {}
    assert found["difference"] <= found["tolerance"] == 1e-5
    assert found["bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert (found["batch_size"], found["notes"], found["rows"]) == (None, [], 200)


def test_both_kinds_of_input_give_the_same(trained: Path, tmp_path: Path) -> None:
    for name, option in (("raw", "--preprocessing"), ("scaled", "--no-preprocessing")):
        assert export(trained, "--onnx", tmp_path / name, option, "-q").output == ""
    stored = json.loads((trained / "preprocessing.json").read_text())
    features = Features.from_json(stored["features"])
    data = ROOT / "data" / "pendulum" / "test.csv"
    dataset = load_dataset(data, label="period_s", ignore=("mass_kg",))
    raw = {"data": features.in_order(dataset)}
    scaled = {"data": features.apply(dataset)}
    one = Session((tmp_path / "raw").read_bytes()).run(raw)[0]
    other = Session((tmp_path / "scaled").read_bytes()).run(scaled)[0]
    np.testing.assert_array_equal(one, other)


def test_weights_of_an_epoch_and_a_fixed_batch(trained: Path, tmp_path: Path) -> None:
    done = export(trained, "--onnx", tmp_path / "m", "--epoch", 2, "--batch-size", 16, "--json")
    found = json.loads(done.stdout)
    assert found["inputs"][0]["shape"] == [16, 2]
    assert (found["batch_size"], found["batches"]) == (16, [16])
    done = export(trained, "--onnx", tmp_path / "n", "--epoch", 1)
    assert done.exit_code == 2


def test_mxnet_prefix_with_its_shape_given(tmp_path: Path) -> None:
    for option in ((), ("--data-shape", "10"), ("--data-shape", "data=N,10")):
        done = export(GOLDEN / "mlp", "--onnx", tmp_path / "m.onnx", "--overwrite", *option)
        assert done.exit_code == 0, done.output
        assert "on 67 random rows, in batches of 67 and 1" in done.stdout


FIXES_THE_BATCH = """\
data:
  train: {{path: {data}/pendulum/train.csv, label: period_s}}
  eval: {{fraction: 0.2}}
  batch_size: 20
  last_batch: discard
  ignore: [mass_kg]
symbol:
  - {{op: FullyConnected, name: fc1, num_hidden: 1}}
  - {{op: Reshape, name: column, shape: [20, 1]}}
  - {{op: LinearRegressionOutput, name: period}}
fit: {{num_epoch: 1}}
"""


def test_a_network_that_fixes_the_batch(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(FIXES_THE_BATCH.format(data=ROOT / "data"))
    fit(load(config, []), QuietReporter(sys.stderr), output=tmp_path / "run")
    done = export(tmp_path / "run", "--onnx", tmp_path / "m.onnx")
    assert done.exit_code == 0, done.output
    assert "input       data, float32, 20 x 2\n" in done.stdout
    assert "the model takes 20 rows at a time: with a batch of 5, node 'column'" in done.stdout
    assert re.search(r"on 120 rows of 0.2 of .*, in batches of 20\n", done.stdout)
    done = export(tmp_path / "run", "--onnx", tmp_path / "n.onnx", "--batch-size", 7)
    assert done.exit_code == 2
    assert "node 'column' (Reshape): (7, 1) has 7 elements" in done.stderr


def test_rows_that_have_gone_are_replaced_by_random_ones(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("test.csv", "gone.csv"))
    done = export(run, "--onnx", tmp_path / "m.onnx")
    assert done.exit_code == 0, done.output
    assert "note        the eval rows of the run cannot be read:" in done.stdout
    assert "with mxtrain on 67 random rows" in done.stdout


def test_too_small_a_tolerance_writes_nothing(trained: Path, tmp_path: Path) -> None:
    done = export(trained, "--onnx", tmp_path / "m.onnx", "--tolerance", "0")
    assert done.exit_code == 1
    assert "the model differs from mxtrain by" in done.stderr
    assert re.search(r"It begins at node '\w+' \(\w+\)", done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--onnx", "{tmp}/no/m.onnx"], "there is no folder"),
        (["--onnx", "{tmp}"], "is a folder; name a file in it"),
        (["--onnx", "{tmp}/there"], "is there already; replace it with --overwrite"),
        (["--onnx", "{tmp}/m", "--opset", "7"], "operator set 7 cannot be written"),
        (["--onnx", "{tmp}/m", "--tolerance", "nan"], "--tolerance should be a finite number"),
        (["--onnx", "{tmp}/m", "--data-shape", "3,a"], "is no shape; write it like 784"),
        (["--onnx", "{tmp}/m", "--data-shape", "N,N"], "is no shape"),
        (["--onnx", "{tmp}/m", "--data-shape", "dta=2"], "did you mean 'data'?"),
        (["--onnx", "{tmp}/m", "--data-shape", "3"], "weight should be (32, 3), it is (32, 2)"),
        (["--onnx", "{tmp}/m", "--which", "first"], "Invalid value for '--which'"),
        ([], "Missing option '--onnx'"),
    ],
)
def test_wrong_command_lines(
    trained: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "there").write_text("x")
    done = export(trained, *(option.format(tmp=tmp_path) for option in options))
    assert done.exit_code == 2
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_wrong_models(trained: Path, tmp_path: Path) -> None:
    done = export(tmp_path / "nothing", "--onnx", tmp_path / "m.onnx")
    assert (done.exit_code, "there is no model" in done.stderr) == (2, True)
    done = export(GOLDEN / "lenet", "--onnx", tmp_path / "m.onnx")
    assert done.exit_code == 2
    assert "Convolution (conv1, conv2)" in done.stderr


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_without_the_libraries(
    library: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [library, *(n for n in sys.modules if n.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    done = export(trained, "--onnx", tmp_path / "m.onnx")
    assert done.exit_code == 2
    assert "pip install 'mxtrain[onnx]'" in done.stderr
