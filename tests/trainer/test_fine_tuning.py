"""Starting from saved weights: what is taken, what is not, and parameters that stay fixed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, Notes, recorded, train, weights, write_config

from mxtrain import nd
from mxtrain.checkpoint.arrays import write_parameters
from mxtrain.config import load, to_yaml
from mxtrain.errors import MXNetError
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.preview import initial_weights, summary

FILES = Path(__file__).parents[1] / "golden" / "files"
NEW_LAYER = CONFIG.replace("name: fc2, num_hidden: 3", "name: fc_new, num_hidden: 3")
BOTH = ("weights.allow_missing=true", "weights.ignore_extra=true")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, beside its config and data."""
    folder = tmp_path_factory.mktemp("fine")
    train(write_config(folder), "fit.num_epoch=2")
    return folder / "run"


def start(config: Path, *changes: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the weights that a config starts from."""
    return {each.name: each.values for each in initial_weights(load(config, changes))}


def test_a_run_that_goes_on_elsewhere_takes_every_weight(base: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path)
    notes = Notes()
    train(config, f"weights.file={base}", "fit.num_epoch=1", notes=notes)
    stored = weights(base, "model-0002.params")
    found = start(config, f"weights.file={base}")
    assert found.keys() == stored.keys()
    assert all(np.array_equal(found[name], stored[name]) for name in stored)
    assert notes.info is not None
    assert notes.info.weights is not None
    assert sorted(notes.info.weights.taken) == sorted(stored)
    assert (notes.info.weights.missing, notes.info.weights.extra) == ((), ())


@pytest.mark.parametrize("name", ["model-0001.params", "model-symbol.json", "model"])
def test_weights_are_named_as_models_are(base: Path, tmp_path: Path, name: str) -> None:
    wanted = weights(base, "model-0001.params" if "0001" in name else "model-0002.params")
    found = start(write_config(tmp_path), f"weights.file={base / name}")
    assert all(np.array_equal(found[each], wanted[each]) for each in wanted)


@pytest.mark.parametrize("ending", [".params", ".npz", ".safetensors"])
def test_weights_need_no_graph(base: Path, tmp_path: Path, ending: str) -> None:
    stored = nd.load(str(base / "model-0002.params"))
    assert isinstance(stored, dict)
    write_parameters(tmp_path / f"mine{ending}", stored)
    found = start(write_config(tmp_path), f"weights.file=mine{ending}")
    for name, array in stored.items():
        assert np.array_equal(found[name.removeprefix("arg:")], array)


def test_another_last_layer_starts_anew(base: Path, tmp_path: Path) -> None:
    """What is missing starts as the initializer says, the rest as it was; all of it is told."""
    config = write_config(tmp_path, NEW_LAYER)
    notes = Notes()
    changes = (f"weights.file={base}", *BOTH)
    train(config, *changes, notes=notes)
    assert notes.info is not None
    found = notes.info.weights
    assert found is not None
    assert found.source.endswith("model-0002.params")
    assert found.taken == ("fc1_weight", "fc1_bias")
    assert found.missing == ("fc_new_weight", "fc_new_bias")
    assert found.extra == ("fc2_weight", "fc2_bias")
    begun = start(config, *changes)
    assert np.array_equal(begun["fc1_weight"], weights(base, "model-0002.params")["fc1_weight"])
    assert np.ptp(begun["fc_new_weight"]) > 0
    words = {row.name: row.initializer for row in notes.info.parameters}
    assert words["fc1_weight"].startswith("loaded from ")
    assert words["fc_new_weight"].startswith("Xavier: ")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "  taken: fc1_weight, fc1_bias\n" in log
    assert "  missing, so initialized: fc_new_weight, fc_new_bias\n" in log
    assert "  left over in the file: fc2_weight, fc2_bias\n" in log


def test_a_saved_config_starts_from_the_same_weights(base: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, NEW_LAYER)
    train(config, f"weights.file={base}", *BOTH)
    again = train(tmp_path / "run" / "config.yaml", output=tmp_path / "again")
    assert again.status == "done"
    assert recorded(tmp_path / "again") == recorded(tmp_path / "run")


def test_weights_are_written_relative_to_the_config(base: Path, tmp_path: Path) -> None:
    given = os.path.relpath(base, tmp_path)
    spec = load(write_config(tmp_path), [f"weights.file={given}", "fit.fixed_params=[fc1_*]"])
    path = tmp_path / "again.yaml"
    path.write_text(to_yaml(spec, tmp_path))
    assert load(path) == spec
    assert str(base) not in path.read_text()


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (
            (),
            [
                r"missing: 'fc_new_weight' .*, 'fc_new_bias' .*; with weights.allow_missing",
                "not of this network: 'fc2_weight', 'fc2_bias'; weights.ignore_extra",
            ],
        ),
        (BOTH[:1], ["not of this network: 'fc2_weight', 'fc2_bias'; weights.ignore_extra"]),
        (BOTH[1:], ["missing: 'fc_new_weight', 'fc_new_bias'"]),
    ],
)
def test_what_does_not_fit_is_refused(
    base: Path, tmp_path: Path, changes: tuple[str, ...], messages: list[str]
) -> None:
    config = write_config(tmp_path, NEW_LAYER)
    with pytest.raises(SetupError) as caught:
        start(config, f"weights.file={base}", *changes)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert line.startswith("weights.file: ")
        assert message.split("'")[0] in line
        assert all(f"'{name}'" in line for name in message.split("'")[1::2])


def test_another_shape_is_refused_with_both_whatever_is_allowed(base: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.replace("num_hidden: 8", "num_hidden: 9"))
    with pytest.raises(SetupError) as caught:
        start(config, f"weights.file={base}", *BOTH)
    text = str(caught.value)
    for shapes in ("'fc1_weight' is 8x2, not 9x2", "'fc1_bias' is 8, not 9"):
        assert shapes in text
    assert "needs a name of its own" in text
    assert not (tmp_path / "run").exists()


def test_a_file_without_any_of_the_weights_is_refused(tmp_path: Path) -> None:
    nd.save(str(tmp_path / "other.params"), {"arg:x": nd.zeros((2,))})
    with pytest.raises(SetupError, match="none of its arrays is a parameter of this network"):
        start(write_config(tmp_path), "weights.file=other.params", *BOTH)


def test_a_file_that_holds_no_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises((SetupError, MXNetError), match=r"train\.csv"):
        start(write_config(tmp_path), "weights.file=train.csv")


def test_auxiliary_states_are_taken_too(tmp_path: Path) -> None:
    text = CONFIG.replace(
        "  - {op: Activation,",
        "  - {op: BatchNorm, name: bn, fix_gamma: false}\n  - {op: Activation,",
    )
    config = write_config(tmp_path, text)
    train(config)
    stored = weights(tmp_path / "run", "model-0003.params")
    assert np.ptp(stored["bn_moving_mean"]) > 0
    found = start(config, "weights.file=run")
    assert all(np.array_equal(found[name], stored[name]) for name in stored)


# -- fixed parameters -----------------------------------------------------------------------------


def test_fixed_parameters_stay_and_the_others_learn(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    begun = start(config)
    notes = Notes()
    train(config, "fit.fixed_params=[fc1_*, '*2_bias']", notes=notes)
    ended = weights(tmp_path / "run", "model-0003.params")
    same = {name for name in begun if np.array_equal(begun[name], ended[name])}
    assert same == {"fc1_weight", "fc1_bias", "fc2_bias"}
    assert notes.info is not None
    assert {row.name for row in notes.info.parameters if row.fixed} == same
    assert "fc1_weight 8x2: Xavier" in (tmp_path / "run" / "log.txt").read_text()


def test_a_summary_tells_what_is_fixed(tmp_path: Path) -> None:
    found = summary(load(write_config(tmp_path), ["fit.fixed_params=[fc1_*]"]))
    assert [row.name for row in found.parameters if row.fixed] == ["fc1_weight", "fc1_bias"]


def test_nothing_left_to_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"fixes all 4 parameters, so there is nothing to learn"):
        start(write_config(tmp_path), "fit.fixed_params=['*']")


@pytest.mark.parametrize(("fixed", "moves"), [("[bn_*, fc1_*]", False), ("[bn_*]", True)])
def test_moving_values_follow_as_long_as_a_gradient_passes(
    tmp_path: Path, fixed: str, moves: bool
) -> None:
    """They move in the backward pass of BatchNorm, which only what learns before it needs."""
    layer = "  - {op: BatchNorm, name: bn, fix_gamma: false}\n  - {op: Activation,"
    config = write_config(tmp_path, CONFIG.replace("  - {op: Activation,", layer))
    begun = start(config)
    train(config, f"fit.fixed_params={fixed}")
    ended = weights(tmp_path / "run", "model-0003.params")
    assert np.array_equal(begun["bn_gamma"], ended["bn_gamma"])
    for name in ("bn_moving_mean", "bn_moving_var"):
        assert np.array_equal(begun[name], ended[name]) != moves


def test_a_recorded_model_is_tuned_for_other_classes(tmp_path: Path) -> None:
    """Weights that MXNet wrote, its graph with a new last layer of two classes."""
    for name in ("mlp-symbol.json", "mlp-0003.params"):
        shutil.copy(FILES / name, tmp_path)
    rng = np.random.default_rng(4)
    data = rng.normal(size=(64, 10))
    np.savez(tmp_path / "rows.npz", data=data, label=(data[:, 0] > 0).astype(int))
    (tmp_path / "net.py").write_text(
        "from mxtrain import symbol\n\n\n"
        "def get_symbol(graph, classes):\n"
        "    features = symbol.load(graph).get_internals()['fc2_output']\n"
        "    layer = symbol.FullyConnected(features, num_hidden=classes, name='fc_new')\n"
        "    return symbol.SoftmaxOutput(layer, name='softmax')\n"
    )
    (tmp_path / "config.yaml").write_text(
        "data: {train: {path: rows.npz, label: label}, batch_size: 16}\n"
        f"symbol: {{python: net.py, graph: {tmp_path / 'mlp-symbol.json'}, classes: 2}}\n"
        "weights: {file: mlp, allow_missing: true, ignore_extra: true}\n"
        "fit: {num_epoch: 4, fixed_params: ['fc1_*', 'bn1_*', 'prelu1_*', 'fc2_*']}\n"
    )
    notes = Notes()
    result = train(tmp_path / "config.yaml", notes=notes)
    assert result.status == "done"
    assert notes.rows[-1].train["loss"] < notes.rows[0].train["loss"]
    stored, ended = (
        weights(FILES, "mlp-0003.params"),
        weights(tmp_path / "run", "model-0004.params"),
    )
    assert ended["fc_new_weight"].shape == (2, 8)
    kept = [name for name in ended if name in stored and "bn" not in name]
    assert len(kept) == 5
    assert all(np.array_equal(stored[name], ended[name]) for name in kept)
