"""validate, schema, summary, lr and init."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.trainer.report import InitialWeight, LayerRow, ParameterRow, Rates, Summary

BROKEN = "seed: seven\nfit: {num_epochs: 3}\n"


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(command_line, list(arguments), prog_name="mxtrain")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    return str(path)


def test_validate_shows_every_problem_with_its_place(broken: str) -> None:
    result = invoke("validate", broken)
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert any(line.startswith(f"{broken}:1:7: seed: ") for line in lines)
    assert any(line.startswith(f"{broken}:2:7: fit.num_epochs: ") for line in lines)
    assert "Traceback" not in result.output


def test_validate_json_is_a_list_of_problems(broken: str) -> None:
    result = invoke("validate", broken, "--json")
    assert result.exit_code == 2
    (seed,) = (found for found in json.loads(result.output) if found["path"] == "seed")
    assert seed["file"] == broken
    assert (seed["line"], seed["column"]) == (1, 7)
    assert "seven" in seed["message"]


def test_validate_takes_a_folder(broken: str) -> None:
    assert invoke("validate", str(Path(broken).parent)).output == invoke("validate", broken).output


def fake(monkeypatch: pytest.MonkeyPatch, module: str, **functions: Any) -> None:
    """Let a module of the trainer have these functions alone, and any config be right."""
    made = ModuleType(module)
    vars(made).update(functions)
    monkeypatch.setitem(sys.modules, module, made)
    for command in ("summary", "lr", "init"):
        __import__(f"mxtrain.cli.{command}")
        monkeypatch.setattr(f"mxtrain.cli.{command}.load_spec", lambda *arguments: None)


SUMMARY = Summary(
    network="3 layers, softmax",
    batch_size=64,
    layers=(
        LayerRow("fc1", "FullyConnected", (64, 128), 8320),
        LayerRow("softmax", "SoftmaxOutput", (64, 128), 0, "loss"),
    ),
    parameters=(ParameterRow("fc1_weight", (128, 64), "xavier", 1.0, 0.5),),
    num_parameters=8320,
    memory=(("parameters", 33280), ("gradients", 33280)),
)


def test_summary_shows_layers_parameters_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "mxtrain.trainer.preview", summary=lambda spec: SUMMARY)
    lines = [line.split() for line in invoke("summary").output.splitlines()]
    assert ["fc1", "FullyConnected", "64x128", "8,320"] in lines
    assert ["softmax", "SoftmaxOutput", "64x128", "0", "loss"] in lines
    assert ["fc1_weight", "128x64", "xavier", "1", "0.5"] in lines
    assert ["total", "65.0", "KiB"] in lines
    parsed = json.loads(invoke("summary", "--json").output)
    assert parsed == json.loads(json.dumps(asdict(SUMMARY)))


def shown_rates(monkeypatch: pytest.MonkeyPatch, *rates: float, **changes: Any) -> str:
    found = Rates(tuple(rates), 10, "sgd", "factor", **changes)
    fake(monkeypatch, "mxtrain.trainer.preview", rates=lambda spec: found)
    return invoke("lr").output


def test_lr_names_each_rate_with_its_updates_and_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    output = shown_rates(monkeypatch, *[0.1] * 25, *[0.05] * 15)
    lines = [line.split() for line in output.splitlines()]
    assert ["1-25", "1-3", "0.1"] in lines
    assert ["26-40", "3-4", "0.05"] in lines
    assert "└──" in output


def test_lr_that_always_moves_is_shown_by_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [1 / n for n in range(1, 36)]
    output = shown_rates(monkeypatch, *rates, begin_epoch=4)
    lines = [line.split() for line in output.splitlines()]
    assert ["5", "1-10", "1", "0.1"] in lines
    assert ["8", "31-35", "0.0322581", "0.0285714"] in lines


def test_lr_of_a_long_run_shows_some_epochs_with_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    output = shown_rates(monkeypatch, *[1 / n for n in range(1, 5001)])
    epochs = [line.split()[0] for line in output.splitlines()[2:22]]
    assert (epochs[0], epochs[-1], len(epochs)) == ("1", "500", 20)


def test_lr_json_has_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Rates((0.1, 0.2), 10, "sgd", "constant")
    fake(monkeypatch, "mxtrain.trainer.preview", rates=lambda spec: found)
    assert json.loads(invoke("lr", "--json").output)["rates"] == [0.1, 0.2]


WEIGHTS = (
    InitialWeight("arg", "fc_weight", np.arange(6, dtype=np.float32).reshape(2, 3), "xavier"),
    InitialWeight("arg", "fc_bias", np.zeros(2, dtype=np.float32), "zero"),
    InitialWeight("aux", "bn_moving_var", np.ones(2, dtype=np.float32), "one"),
)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "mxtrain.trainer.preview", initial_weights=lambda spec: WEIGHTS)


@pytest.mark.usefixtures("weights")
def test_init_shows_each_parameter() -> None:
    lines = [line.split() for line in invoke("init").output.splitlines()]
    assert lines[0] == ["name", "shape", "initializer", "mean", "std", "min", "max"]
    assert ["fc_weight", "2x3", "xavier", "2.5000", "1.7078", "0.0000", "5.0000"] in lines
    listed = json.loads(invoke("init", "--json").output)
    assert listed[0]["mean"] == 2.5


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("name", ["w", "w.params", "w.npz", "w.safetensors"])
def test_init_dumps_by_ending(tmp_path: Path, name: str) -> None:
    result = invoke("init", "--dump", str(tmp_path / name))
    (path,) = tmp_path.iterdir()
    assert f"written to {path}" in result.output
    assert path.name == (name if "." in name else f"{name}.params")
    if path.suffix == ".params":
        from mxtrain import nd

        loaded = nd.load(str(path))
        assert isinstance(loaded, dict)
        assert list(loaded) == ["arg:fc_weight", "arg:fc_bias", "aux:bn_moving_var"]
        found = {key.partition(":")[2]: value for key, value in loaded.items()}
    elif path.suffix == ".npz":
        found = dict(np.load(io.BytesIO(path.read_bytes()), allow_pickle=False))
    else:
        from safetensors.numpy import load

        found = load(path.read_bytes())
    assert found.keys() == {weight.name for weight in WEIGHTS}
    for weight in WEIGHTS:
        assert np.array_equal(found[weight.name], weight.values)
        assert found[weight.name].dtype == np.float32


@pytest.mark.usefixtures("weights")
def test_init_replaces_nothing_unless_it_may(tmp_path: Path) -> None:
    path = tmp_path / "w.params"
    path.write_text("precious")
    refused = invoke("init", "--dump", str(tmp_path / "w"))
    assert refused.exit_code == 2
    assert "w.params' is there already; choose another name, or --overwrite" in refused.output
    assert path.read_text() == "precious"
    done = invoke("init", "--dump", str(path), "--overwrite", "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert path.read_bytes() != b"precious"
    alone = invoke("init", "--overwrite")
    assert alone.exit_code == 2
    assert "needs --dump" in alone.output


def test_init_refuses_an_unknown_ending(tmp_path: Path) -> None:
    result = invoke("init", "--dump", str(tmp_path / "w.h5"))
    assert result.exit_code == 2
    assert ".safetensors" in result.output


def test_schema_is_json() -> None:
    schema = json.loads(invoke("schema").output)
    assert {"data", "symbol", "optimizer", "fit"} <= schema["properties"].keys()
