"""Every kind of mistake in a config: the exact line that reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from config_base import BASE, write_config

from mxtrain.config import ConfigErrors, load

CASES: list[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("broken_configs.yaml").read_text()
)
PARTS = {
    "@all": BASE,
    "@symbol": BASE[BASE.index("symbol:") : BASE.index("initializer:")],
    "@fit": BASE[BASE.index("  num_epoch") :],
}


def broken(case: dict[str, Any]) -> str:
    text = BASE
    for old, new in case["edits"]:
        old = PARTS.get(old, old)
        assert old in text, f"nothing to edit: {old!r}"
        text = text.replace(old, new, 1)
    return text


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    names = [case["case"] for case in CASES]
    assert len(names) >= 100
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_mistake_is_reported_in_exactly_these_lines(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path, broken(case))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigErrors) as caught:
        load("config.yaml")
    assert str(caught.value).split("\n") == [f"config.yaml:{line}" for line in case["lines"]]


def test_the_right_config_has_no_mistake(tmp_path: Path) -> None:
    assert load(write_config(tmp_path, BASE)).optimizer.name == "sgd"


def test_all_mistakes_are_reported_at_once_in_file_order(tmp_path: Path) -> None:
    single = [
        case
        for case in CASES
        if len(case["lines"]) == 1
        and case["case"].endswith(("-key", "range"))
        and "top" not in case["case"]
    ]
    text = BASE
    for case in single:
        for old, new in case["edits"]:
            text = text.replace(old, new, 1)
    with pytest.raises(ConfigErrors) as caught:
        load(write_config(tmp_path, text))
    places = [(problem.mark.line, problem.mark.column) for problem in caught.value.problems]
    assert len(places) >= 8
    assert places == sorted(places)


def test_a_misspelled_key_takes_at_most_three_lines(tmp_path: Path) -> None:
    for key in ("data", "train", "path", "symbol", "op", "name", "num_hidden", "optimizer", "fit"):
        text = BASE.replace(f"{key}:", f"{key[:-1]}x{key[-1]}:", 1)
        with pytest.raises(ConfigErrors) as caught:
            load(write_config(tmp_path, text))
        assert len(str(caught.value).split("\n")) <= 3, key


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    path = write_config(tmp_path, BASE)
    with pytest.raises(
        ConfigErrors, match=r"cnfig\.yaml: no such file \(did you mean 'config.yaml'"
    ):
        load(tmp_path / "cnfig.yaml")
    with pytest.raises(ConfigErrors, match="there is no folder"):
        load(tmp_path / "configs" / "config.yaml")
    with pytest.raises(ConfigErrors, match="this is a folder"):
        load(path.parent)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"seed: 7\nname: \xff\n", "2:7: not UTF-8 text (byte 0xff)"),
        (b"\xff\xfes\x00e\x00", "1:1: not UTF-8 text (byte 0xff)"),
        (b"seed: \x00", "1:7: character U+0000 cannot stand in YAML"),
        (b"seed: [" * 60, "1:176: nested deeper than 50 levels"),
    ],
    ids=["latin-1", "utf-16", "nul", "nesting"],
)
def test_bytes_that_are_no_yaml(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{line}"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"#" * 3_000_000)
    with pytest.raises(ConfigErrors, match="larger than 2,000,000 bytes"):
        load(path)


def test_what_a_terminal_would_not_print_is_escaped(tmp_path: Path) -> None:
    path = write_config(tmp_path, BASE.replace("seed: 7", '"\\e[31mred\\nseed": 7'))
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert "\\x1b[31mred\\nseed: unknown key" in str(caught.value)
    assert len(str(caught.value).split("\n")) == 1
