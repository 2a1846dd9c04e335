"""A spec written as YAML loads to the same spec."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from config_base import BASE, write_config
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain.config import (
    Component,
    ConfigErrors,
    EarlyStoppingSpec,
    FeaturesSpec,
    FitSpec,
    FractionSpec,
    RunSpec,
    load,
    to_yaml,
)
from mxtrain.config.document import parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.config.write import _flow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("write")
    write_config(made, BASE)
    return made


def again(spec: RunSpec, folder: Path, relative: bool = False) -> RunSpec:
    path = folder / "again.yaml"
    path.write_text(to_yaml(spec, folder if relative else None), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize("relative", [False, True])
def test_the_base_config(folder: Path, relative: bool) -> None:
    spec = load(folder / "config.yaml")
    assert again(spec, folder, relative) == spec


def test_paths_relative_to_where_it_will_lie(folder: Path) -> None:
    text = to_yaml(load(folder / "config.yaml"), folder / "runs" / "0001")
    assert "train: {path: ../../train.csv, label: digit, kind: table}" in text
    assert str(folder) not in text


def test_absolute_paths_stay_as_they_were_given(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    write_config(real, BASE)
    (tmp_path / "current").symlink_to(real, target_is_directory=True)
    net = "from mxtrain.symbol import Group\ndef get_symbol(): raise ValueError('no')\n"
    for name in ("net.py", "own.py", "weights.params"):
        (real / name).write_text(net)
    shown = f"{tmp_path}/other/../current"
    text = (
        f"plugins: [{shown}/own.py, other.py]\n"
        f"data: {{train: {{path: {shown}/train.csv, label: digit}}, eval: {{}}}}\n"
        f"symbol: {{python: {shown}/net.py}}\n"
        f"weights: {{file: {shown}/weights.params}}\n"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other.py").write_text("")
    (tmp_path / "config.yaml").write_text(text)
    spec = load(tmp_path / "config.yaml", files=False)
    written = to_yaml(pickle.loads(pickle.dumps(spec)), tmp_path / "runs" / "0001")
    assert f"plugins: [{shown}/own.py, ../../other.py]" in written
    assert written.count(f"path: {shown}/train.csv") == 2  # what eval takes from train as well
    assert f"{{python: {shown}/net.py, function: get_symbol}}" in written
    assert f"weights: {{file: {shown}/weights.params," in written
    with pytest.raises(ConfigErrors, match=r"raised ValueError: no \(line 2\)"):
        load(tmp_path / "config.yaml", ["weights=null", "plugins=[]"])


def test_every_default_is_written(folder: Path) -> None:
    lines = to_yaml(load(folder / "config.yaml")).split("\n")
    assert "backend: numpy" in lines
    assert "  begin_epoch: 0" in lines
    assert "  shuffle: true" in lines
    assert "  - {op: Activation, name: relu1, inputs: [fc1], act_type: relu}" in lines


@pytest.mark.parametrize(
    "edit",
    [
        ("act_type: relu}", "act_type: relu, inputs: {data: fc1}}"),
        ("num_hidden: 8}", "num_hidden: 8, init: {weight: {name: xavier, magnitude: 3}}}"),
        ("[accuracy, ce]", "[]"),
        ("keep: 3", "keep: null"),
        ("step: 100, factor: 0.9", "step: 2.5e2, warmup_steps: 3"),
        ("name: factor, step: 100", "name: multifactor, step: [3, 5]"),
        ("symbol:\n", "symbol:\n  - {op: Variable, name: w, shape: [8, 3], init: zero}\n"),
        ("name: fc1, num_hidden", "name: 'no', num_hidden"),
    ],
    ids=lambda edit: edit[1],
)
def test_other_forms(folder: Path, edit: tuple[str, str]) -> None:
    text = BASE.replace(*edit, 1)
    assert text != BASE
    if "Variable" in edit[1]:
        text = text.replace("name: fc1,", "name: fc1, inputs: {data: data, weight: w},")
    spec = load(write_config(folder, text, "form.yaml"))
    assert again(spec, folder) == spec


def test_a_python_symbol(folder: Path) -> None:
    (folder / "net.py").write_text(
        "import mxtrain.symbol as sym\n\n\n"
        "def get_symbol(classes, wide=False):\n"
        "    fc = sym.FullyConnected(sym.Variable('data'), num_hidden=classes)\n"
        "    return sym.SoftmaxOutput(fc, name='softmax')\n"
    )
    nodes = BASE[BASE.index("symbol:") : BASE.index("initializer:")]
    text = BASE.replace(nodes, "symbol: {python: net.py, classes: 3, wide: true}\n")
    spec = load(write_config(folder, text, "form.yaml"))
    assert spec.symbol.arguments == {"classes": 3, "wide": True}  # type: ignore[union-attr]
    assert spec.fit.metrics == (Component("accuracy"), Component("crossentropy"))
    assert again(spec, folder, relative=True) == spec


plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | plain_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_value_is_read_back_as_it_was(value: Any) -> None:
    problems = Problems()
    node = parse(f"x: {_flow(value)}", Mark("f"), problems)
    assert problems.in_order() == ()
    assert node is not None
    found = node.plain()["x"]
    assert found == value
    assert repr(found) == repr(value)


fits = st.builds(
    FitSpec,
    num_epoch=st.integers(2, 500),
    begin_epoch=st.integers(0, 1),
    metrics=st.sampled_from([(), (Component("accuracy"),), (Component("mse"), Component("mae"))]),
    clip_global_norm=st.none() | st.floats(1e-12, 1e12),
    early_stopping=st.none()
    | st.builds(
        EarlyStoppingSpec, patience=st.integers(1, 99), min_delta=st.floats(0, 1, width=32)
    ),
)


@settings(max_examples=40, deadline=None)
@given(
    fit=fits,
    seed=st.integers(0, 2**64),
    threads=st.none() | st.integers(1, 64),
    batch_size=st.integers(1, 10**6),
    scale=st.sampled_from(["standard", "minmax", "none"]),
    last_batch=st.sampled_from(["keep", "pad", "discard", "roll_over"]),
    fraction=st.floats(0.01, 0.99),
    class_weight=st.none() | st.just("balanced") | st.dictionaries(plain_text, st.floats(0, 1e9)),
    rate=st.floats(1e-9, 10),
)
def test_any_spec_is_read_back_as_it_was(
    folder: Path,
    fit: FitSpec,
    seed: int,
    threads: int | None,
    batch_size: int,
    scale: Any,
    last_batch: Any,
    fraction: float,
    class_weight: Any,
    rate: float,
) -> None:
    base = load(folder / "config.yaml")
    data = replace(
        base.data,
        batch_size=batch_size,
        last_batch=last_batch,
        class_weight=class_weight,
        features=FeaturesSpec(scale=scale),
        eval=FractionSpec(fraction=fraction),
    )
    optimizer = Component("adam", {"learning_rate": rate, "beta1": 0.5})
    scheduler = Component("factor", {"step": 7, "base_lr": rate})
    spec = replace(
        base,
        seed=seed,
        threads=threads,
        data=data,
        fit=fit,
        optimizer=optimizer,
        lr_scheduler=scheduler,
    )
    assert again(spec, folder) == spec


def test_the_rate_stands_in_one_place(folder: Path) -> None:
    """So that another rate on the command line does not contradict the saved config."""
    spec = load(folder / "config.yaml", ["lr_scheduler={name: factor, step: 7}"])
    assert spec.lr_scheduler is not None and "base_lr" in spec.lr_scheduler.settings
    assert "base_lr" not in to_yaml(spec)
    assert again(spec, folder) == spec
