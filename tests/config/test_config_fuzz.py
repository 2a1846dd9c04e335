"""Whatever stands in a file: `ConfigErrors` or a spec, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from config_base import BASE, write_config
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain.config import ConfigErrors, RunSpec, load

FRAGMENTS = [
    *("data", "train", "eval", "symbol", "op", "name", "inputs", "init", "fit", "metrics", "path"),
    *("optimizer", "sgd", "adam", "factor", "xavier", "FullyConnected", "SoftmaxOutput", "Concat"),
    *("train.csv", "digit", "0.1", "1e-", "-1", ".nan", "true", "null", "~", "*a", "&a ", "<<"),
    *(": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "'", '"', "#", "|", ">", "\t"),
    *("!", "!!int ", "? ", "---\n", "%", "@", "num_hidden", "learning_rate", "lr_scheduler", "\\"),
    *("plugins", "backend", "seed", "checkpoint", "early_stopping", "file", "class_weight", "\0"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    write_config(made, BASE)
    return made


def outcome(folder: Path, text: str, overrides: list[str] | None = None) -> RunSpec | None:
    path = folder / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return load(path, overrides or [])
    except ConfigErrors as errors:
        assert errors.problems
        lines = str(errors).split("\n")
        assert all(line.isprintable() for line in lines)
        assert len(lines) == min(len(errors.problems), 51)
        return None


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join))
def test_words_of_configs_in_any_order(folder: Path, text: str) -> None:
    outcome(folder, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text(folder: Path, text: str) -> None:
    outcome(folder, text)


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, len(BASE)),
    st.integers(0, 12),
    st.lists(st.sampled_from(FRAGMENTS), max_size=3).map("".join),
)
def test_the_right_config_with_a_piece_changed(
    folder: Path, start: int, length: int, piece: str
) -> None:
    outcome(folder, BASE[:start] + piece + BASE[start + length :])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["data", "data.train", "data.eval", "symbol", "symbol.fc1", "symbol[0].inputs"])
    | st.sampled_from(["optimizer", "lr_scheduler", "fit", "fit.metrics", "initializer", "plugins"])
    | st.sampled_from(["data.class_weight", "symbol.fc1.init", "fit.checkpoint", "data.columns"]),
    st.sampled_from(FRAGMENTS)
    | st.sampled_from(["[]", "{}", "[[]]", "[{}]", "{a: {b: c}}", "[1, x]", "{name: []}", "{1: 2}"])
    | st.sampled_from(["{name: sgd}", "[accuracy, {name: acc}]", "{op: Concat}", "{file: .}"])
    | st.sampled_from(["{python: config.yaml}", "{images: .}", "{path: {}}", "[~]", "{op: {}}"]),
)
def test_any_section_replaced_by_anything(folder: Path, path: str, value: str) -> None:
    outcome(folder, BASE, [f"{path}={value}"])


def test_lines_in_any_order(folder: Path) -> None:
    generator = random.Random(3)
    lines = BASE.split("\n")
    read = 0
    for _ in range(60):
        generator.shuffle(lines)
        read += outcome(folder, "\n".join(lines)) is not None
    assert read == 0
