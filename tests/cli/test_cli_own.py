"""What the listings and `show` say of sources, states and uses, and of users' own classes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.cli.catalog import KINDS, Entry, entries, registry_of
from mxtrain.cli.example import KEYS, example
from mxtrain.cli.origin import short_source, source, state_forms, states
from mxtrain.config import ConfigErrors, load

RULE = '''
from typing import Annotated

from mxtrain.optimizer import Optimizer, register


@register
class HeavySteps(Optimizer):
    """Steps along an average (Somebody 2031, "Heavy")."""

    share: Annotated[float, "share of the old average"] = 0.5

    def rule(self, xp):
        def step(weight, grad, average, lr, share):
            average = share * average + (1 - share) * grad
            return weight - lr * average, average

        return step


@register
class OldWay(Optimizer):
    """The classic way."""

    def create_state(self, index, weight):
        return weight.copy()
'''


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, list(arguments), prog_name="mxtrain")


def run(folder: Path, *arguments: str) -> str:
    """Run the program in a process of its own, for what a plugin registers stays there."""
    command = [sys.executable, "-m", "mxtrain.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own")
    (path / "my_rule.py").write_text(RULE)
    return path


def named(name: str, kind: str = "optimizer") -> Entry:
    return next(entry for entry in entries(kind) if entry.name == name)


@pytest.mark.parametrize("kind", ["optimizer", "initializer", "lr-scheduler"])
def test_everything_says_where_it_comes_from(kind: str) -> None:
    assert [entry.name for entry in entries(kind) if not source(entry)] == []


def test_sources() -> None:
    adam = named("adam")
    assert source(adam) == "Kingma & Ba 2014, arXiv:1412.6980; MXNet 1.9.1, optimizer `adam`."
    assert short_source(adam) == "Kingma & Ba 2014, arXiv:1412.6980; MXNet 1.9.1"
    assert short_source(named("lion")) == "Chen and others 2023, arXiv:2302.06675"
    wsd = named("warmupstabledecayscheduler", "lr-scheduler")
    assert short_source(wsd) == "Hu and others 2024 (arXiv:2404.06395)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sgld", "0"),
        ("adam", "2 (mean, var)"),
        ("sgd", "0; 1 (mom) with momentum"),
        ("signum", "1 (mom); 0 without momentum"),
        ("rmsprop", "1 (n); 3 (n, g, delta) with centered"),
        ("groupadagrad", "a number per row (history)"),
    ],
)
def test_states(name: str, text: str) -> None:
    assert states(named(name)) == text
    assert states(named("xavier", "initializer")) == ""


@pytest.mark.parametrize("name", registry_of("optimizer").names())
def test_states_are_those_that_are_made(name: str) -> None:
    import numpy as np

    entry = named(name)
    if not state_forms(entry):
        assert getattr(entry.cls, "keeps", "")
        return
    made = entry.cls()
    state = made.create_state(0, np.zeros((2, 2), np.float32))
    arrays = [] if state is None else list(state) if isinstance(state, list | tuple) else [state]
    assert len([array for array in arrays if array is not None]) == len(
        state_forms(entry)[0]["names"]
    )


def test_the_list_of_optimizers_shows_states_and_sources() -> None:
    head, *lines = invoke("list-optimizers").output.splitlines()
    assert head.split() == ["name", "also", "states", "source", "meaning", "settings"]
    adam = next(line for line in lines if line.startswith("adam "))
    assert "2 (mean, var)" in adam and "Kingma & Ba 2014" in adam
    listed = {
        entry["name"]: entry for entry in json.loads(invoke("list-optimizers", "--json").output)
    }
    assert listed["sgd"]["state_forms"] == [
        {"names": [], "when": ""},
        {"names": ["mom"], "when": "with momentum"},
    ]


def test_words_choose() -> None:
    listed = json.loads(invoke("list-optimizers", "BETA1", "arXiv:2302", "--json").output)
    assert [entry["name"] for entry in listed] == ["lion"]
    nothing = invoke("list-initializers", "nosuchword")
    assert nothing.exit_code == 2
    assert "None of the initializers has nosuchword" in nothing.output


CONFIG = """\
data: {train: {path: train.csv, label: y}, batch_size: 2}
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
"""
SHOWN = [(kind, name) for kind in KEYS for name in registry_of(kind).names()]


@pytest.mark.parametrize(("kind", "name"), SHOWN)
def test_every_example_is_right(kind: str, name: str, tmp_path: Path) -> None:
    line = example(named(name, kind))
    if name == "custommetric":
        assert line == ""
        return
    (tmp_path / "train.csv").write_text("a,y\n1,0\n2,1\n")
    (tmp_path / "config.yaml").write_text(CONFIG + line + "\n")
    load(tmp_path / "config.yaml")
    assert len(line) < 150
    assert yaml.safe_load(line)


def test_an_operator_has_no_example() -> None:
    assert example(named("Activation", "operator")) == ""
    assert set(KINDS) - set(KEYS) == {"operator"}


def test_show_explains_ones_own_like_a_built_in(folder: Path) -> None:
    text = run(folder, "show", "heavysteps", "--plugin", "my_rule.py")
    assert text.startswith("heavysteps (optimizer)")
    for part in (
        'Steps along an average (Somebody 2031, "Heavy").',
        "share of the old average",
        "states per weight: 1 (average)",
        "in a config: optimizer: {name: heavysteps, learning_rate: 0.01, share: 0.5}",
    ):
        assert part in text
    other = run(folder, "show", "oldway", "--plugin", "my_rule.py")
    assert "states per weight: as its create_state makes them" in other


def test_lists_have_ones_own(folder: Path) -> None:
    listed = run(folder, "list-optimizers", "--plugin", "my_rule.py", "heavy")
    assert '1 (average)  Somebody 2031, "Heavy"' in listed


@pytest.mark.parametrize("command", [("show", "sgd"), ("list-metrics",)])
def test_a_plugin_that_fails(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    failed = invoke(*command, "--plugin", str(tmp_path / "broken.py"))
    assert failed.exit_code == 2
    assert "broken.py': raised ZeroDivisionError: division by zero (line 1)" in failed.output
    assert "no such file" in invoke(*command, "--plugin", "nosuch.py").output


def test_the_list_of_optimizers_needs_no_numpy() -> None:
    program = (
        "import sys; from mxtrain.cli import command_line;"
        "command_line(['list-optimizers'], standalone_mode=False);"
        "sys.exit('numpy' in sys.modules or 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0


def test_a_plugin_file_of_a_config_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,y\n1,0\n2,1\n")
    (tmp_path / "config.yaml").write_text(CONFIG + "plugins: [nosuch.py]\n")
    with pytest.raises(ConfigErrors, match=r"plugins\[0\]: plugin 'nosuch.py': no such file"):
        load(tmp_path / "config.yaml")
