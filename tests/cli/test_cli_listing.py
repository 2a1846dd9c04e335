"""The listings and show, over everything that is registered."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Lt, MinLen
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.cli.catalog import KINDS, entries, registry_of
from mxtrain.cli.docstring import blocks
from mxtrain.cli.setting_text import range_text, type_text
from mxtrain.cli.show import KIND_NAMES
from mxtrain.console.latex import FUNCTIONS, unicode_math
from mxtrain.settings import REQUIRED, Declared, Setting, settings


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(command_line, list(arguments), prog_name="mxtrain")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def every_entry() -> list[tuple[str, str]]:
    return [(kind, name) for kind in KINDS for name in registry_of(kind).names()]


@pytest.mark.parametrize("kind", KINDS)
def test_list_has_a_line_for_each_name(kind: str) -> None:
    lines = invoke(f"list-{kind}s").output.splitlines()
    more = ["states", "source"] if kind == "optimizer" else []
    assert lines[0].split() == ["name", "also", *more, "meaning", "settings"]
    for name in registry_of(kind).names():
        assert any(line.split()[0] == name for line in lines[1:] if line)


@pytest.mark.parametrize("kind", KINDS)
def test_json_list_has_every_setting(kind: str) -> None:
    listed = json.loads(invoke(f"list-{kind}s", "--json").output)
    assert [entry["name"] for entry in listed] == [entry.name for entry in entries(kind)]
    for entry in listed:
        declared = settings(registry_of(kind).get(entry["name"]))
        assert [setting["name"] for setting in entry["settings"]] == [s.name for s in declared]
        assert all(("default" in s) != s["required"] for s in entry["settings"])


def test_kinds_of_show_are_those_of_the_catalog() -> None:
    assert tuple(KINDS) == KIND_NAMES


@pytest.mark.parametrize(("kind", "name"), every_entry())
def test_show_explains_everything_registered(kind: str, name: str) -> None:
    result = invoke("show", name, "--kind", kind)
    assert result.exit_code == 0
    assert result.output.startswith(f"{name} ({kind}")
    for setting in settings(registry_of(kind).get(name)):
        assert setting.name in result.output
    for leftover in (".. math", ":math:", "\\frac", "\\left", "``"):
        assert leftover not in result.output


def test_every_command_of_a_formula_is_known() -> None:
    """One that is not would be shown by its LaTeX name."""
    unknown = {
        (entry.name, command)
        for kind in KINDS
        for entry in entries(kind)
        for formula in re.findall(r":math:`[^`]*`|.. math::(?:\n?(?:[ ].*|\n))+", entry.docstring)
        for command in re.findall(r"\\([A-Za-z]+)", formula)
        if command not in FUNCTIONS and unicode_math(f"\\{command}{{x}}{{y}}").startswith(command)
    }
    assert unknown == set()


def test_every_entry_says_what_it_means() -> None:
    silent = [entry.name for kind in KINDS for entry in entries(kind) if not entry.meaning]
    assert silent == []


def test_formula_is_shown_in_unicode() -> None:
    output = invoke("show", "adam").output
    assert "m ← β₁ m + (1 - β₁)" in output
    assert ">= 0, < 1" in output


def test_alias_and_case_are_understood() -> None:
    assert invoke("show", "Acc").output == invoke("show", "accuracy").output
    assert invoke("show", "fullyconnected").output.startswith("FullyConnected (operator")


def test_unknown_name_suggests_over_all_kinds() -> None:
    result = invoke("show", "acuracy")
    assert result.exit_code == 2
    assert result.output == "Nothing is called 'acuracy'. Did you mean 'accuracy' (metric)?\n"


def test_name_far_from_all_points_to_the_lists() -> None:
    result = invoke("show", "qqqqqqqq", "--kind", "metric")
    assert result.exit_code == 2
    assert "mxtrain list-metrics" in result.output


def test_ambiguous_name_shows_all_and_kind_picks_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Accuracy(Declared):
        """A schedule under the name of a metric."""

    registry = registry_of("lr-scheduler")
    monkeypatch.setitem(registry._classes, "accuracy", Accuracy)
    both = invoke("show", "accuracy").output
    assert "accuracy (lr-scheduler)" in both
    assert "accuracy (metric, also acc)" in both
    assert "lr-scheduler" not in invoke("show", "accuracy", "--kind", "metric").output
    assert len(json.loads(invoke("show", "accuracy", "--json").output)) == 2


@pytest.mark.parametrize(
    ("annotation", "type_shown", "range_shown"),
    [
        (Annotated[float, Ge(0), Lt(1)], "float", ">= 0, < 1"),
        (Annotated[float, Ge(0)] | None, "float or null", ">= 0"),
        (Literal["a", "b"], "a | b", ""),
        (Annotated[tuple[int, ...], MinLen(1)], "list of int", "at least 1"),
        (dict[str, float] | Literal["balanced"], "mapping or balanced", ""),
        (Any, "any", ""),
        (str, "text", ""),
    ],
)
def test_types_and_ranges_in_words(annotation: Any, type_shown: str, range_shown: str) -> None:
    from typing import get_args

    constraints = tuple(get_args(annotation)[1:]) if hasattr(annotation, "__metadata__") else ()
    setting = Setting("x", annotation, REQUIRED, "", constraints)
    assert type_text(setting.plain_type) == type_shown
    assert range_text(setting) == range_shown


def test_docstring_falls_into_its_parts() -> None:
    parts = blocks(
        "First line with :math:`\\beta`.\n\n.. math::\n    a \\leftarrow b\n\n    c\n\n"
        "Raises\n------\nValueError : never\n    at all.\n\n>>> 1 + 1\n2\n\n- one\n- two"
    )
    assert [(part.kind, part.text) for part in parts] == [
        ("text", "First line with β."),
        ("math", "a ← b"),
        ("math", "c"),
        ("heading", "Raises"),
        ("code", "ValueError : never at all."),
        ("code", ">>> 1 + 1\n2"),
        ("code", "- one\n- two"),
    ]
