"""``--set path=value``: what is replaced, and how mistakes in it are reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_base import BASE, write_config

from mxtrain.config import ConfigErrors, FractionSpec, NodeSpec, RunSpec, SourceSpec, load


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_config(tmp_path, BASE)
    monkeypatch.chdir(tmp_path)
    return "config.yaml"


def hidden(spec: RunSpec, number: int) -> object:
    node = spec.symbol[number]  # type: ignore[index]  # the base config has a list of nodes
    assert isinstance(node, NodeSpec)
    return node.attrs["num_hidden"]


def test_values_are_replaced_and_added(config: str) -> None:
    spec = load(
        config,
        ["optimizer.learning_rate=5e-2", "fit.early_stopping.patience=7", "seed=9", "threads=2"],
    )
    assert spec.optimizer.settings["learning_rate"] == 0.05
    assert spec.fit.early_stopping is not None
    assert spec.fit.early_stopping.patience == 7
    assert (spec.seed, spec.threads) == (9, 2)


def test_sections_and_short_forms(config: str) -> None:
    spec = load(config, ["data.eval={fraction: 0.25}", "optimizer=adam", "optimizer.beta1=0.8"])
    assert spec.data.eval == FractionSpec(fraction=0.25)
    assert spec.optimizer.name == "adam"
    assert spec.optimizer.settings["beta1"] == 0.8
    assert load(config, ["lr_scheduler=null"]).lr_scheduler is None


@pytest.mark.parametrize("path", ["symbol[0]", "symbol.0", "symbol.fc1"])
def test_items_by_number_and_by_name(config: str, path: str) -> None:
    assert hidden(load(config, [f"{path}.num_hidden=16"]), 0) == 16
    assert hidden(load(config), 0) == 8


def test_the_last_one_counts(config: str) -> None:
    assert load(config, ["seed=1", "seed=2"]).seed == 2


def test_an_alias_changes_in_one_place_only(tmp_path: Path) -> None:
    text = BASE.replace("{path: train.csv, label: digit}", "&t {path: train.csv, label: digit}")
    path = write_config(tmp_path, text.replace("eval: {path: test.csv}", "eval: *t"))
    spec = load(path, ["data.eval.path=test.csv"])
    assert isinstance(spec.data.eval, SourceSpec)
    assert str(spec.data.train.path).endswith("train.csv")
    assert str(spec.data.eval.path).endswith("test.csv")


EXAMPLE = "expected path=value, as in --set optimizer.learning_rate=0.05"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("optimizer.lr=0.1", "unknown setting of sgd (did you mean 'learning_rate'?)"),
        ("optimizer.momentum=x", "expected a number, received 'x'"),
        ("optimizer.momentum=0,9", "expected a number, received '0,9' (use a point: 0.9)"),
        ("optimzer.lr=1", "optimzer: unknown key (did you mean 'optimizer'?)"),
        ("seed", EXAMPLE),
        ("seed=[1", "the '[' at 1:1 is not closed, or a ',' is missing"),
        ("symbol.fc9.num_hidden=3", "the list has no item 'fc9' (did you mean 'fc2'?)"),
        ("symbol[9].num_hidden=3", "the list has no item '9' (items: 0 to 3)"),
        ("seed[0]=3", "there is no list to take item [0] of"),
        ("data.train.path=wxyz", "no such file 'wxyz'"),
        ("symbol.fc1.num_hidden=0", "must be at least 1, received 0"),
        ("seed={a: 1, a: 2}", "seed.a: given twice; keep one"),
    ],
)
def test_mistakes_name_the_option(config: str, override: str, text: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(config, [override])
    path = override.split("=")[0]
    assert str(caught.value).split("\n")[0] == f"--set {path}: {text}"


@pytest.mark.parametrize("override", ["=3", "a..b=3", ".a=3", "a[=3", "a[x]=3", ""])
def test_what_is_no_path(config: str, override: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(config, [override])
    assert str(caught.value) == f"--set {override}: {EXAMPLE}"


def test_mistakes_of_the_file_come_first(config: str, tmp_path: Path) -> None:
    write_config(tmp_path, BASE.replace("num_epoch", "num_epochs"))
    with pytest.raises(ConfigErrors) as caught:
        load(config, ["seed=x"])
    assert [p.mark.source for p in caught.value.problems] == ["config.yaml", "--set seed"]


def test_an_empty_file_can_be_filled_from_the_command_line(config: str, tmp_path: Path) -> None:
    write_config(tmp_path, "", "empty.yaml")
    nodes = "[{op: FullyConnected, num_hidden: 3}, {op: SoftmaxOutput}]"
    spec = load("empty.yaml", ["data.train={path: train.csv, label: digit}", f"symbol={nodes}"])
    assert hidden(spec, 0) == 3
