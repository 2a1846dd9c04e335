"""YAML to values with positions: traps closed, aliases bounded, errors in plain words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.config.document import MAX_NODES, Node, parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.config.scalar import number_hint, resolve


def parsed(text: str) -> tuple[Any, list[str]]:
    problems = Problems()
    node = parse(text, Mark("f.yaml"), problems)
    return node and node.plain(), [str(problem) for problem in problems.in_order()]


def value(text: str) -> Any:
    found, problems = parsed(text)
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e+2", -50.0),
        ("+7", 7),
        ("0", 0),
        ("-12", -12),
        ("0.1", 0.1),
        (".inf", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_what_looks_like_a_number_is_one(word: str, number: float) -> None:
    found = value(f"x: {word}")["x"]
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize(
    "word",
    [
        *("on", "off", "yes", "no", "On", "y", "012", "0x10", "0o7", "1:30", "1_000", "2024-01-01"),
        *("1e-", "0,1", "1e", "e5", ".", "-a", "inf", "nan", "None", "1.2.3", "=", "10%"),
    ],
)
def test_what_other_readers_take_for_something_else_is_text(word: str) -> None:
    assert value(f"x: {word}")["x"] == word


def test_only_true_and_false_are_booleans_and_quotes_make_text() -> None:
    assert value("[true, false, True, FALSE, 'true', \"1\", ~, null, ]") == [
        *(True, False, True, False, "true", "1", None, None)
    ]


def test_keys_are_the_words_as_written() -> None:
    found = value("{0: a, 1e-3: b, true: c, null: d, 'x y': e}")
    assert list(found) == ["0", "1e-3", "true", "null", "x y"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_as_python_writes_it_is_a_number(number: float) -> None:
    assert resolve(repr(number)) == number


@given(st.integers())
def test_every_integer_is_a_number(number: int) -> None:
    assert resolve(str(number)) == number


def test_digits_without_end_are_text_not_a_crash() -> None:
    assert value("x: " + "9" * 5000)["x"] == "9" * 5000


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0,1", "point"),
        ("1e-", "exponent"),
        ("007", "zeros"),
        ("1e-1,5", "whole number"),
        ("1/3", "quotient"),
        ("10^-3", "1e-3"),
        ("Infinity", ".inf"),
        ("0xff", "decimal"),
        ("'", ""),
        ("fast", ""),
    ],
)
def test_hints_for_words_that_mean_a_number(text: str, hint: str) -> None:
    assert hint in number_hint(text)
    assert bool(hint) == bool(number_hint(text))


def test_every_key_and_value_knows_where_it_stands() -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c: 2}\n", Mark("f.yaml"), Problems())
    assert isinstance(root, Node)
    assert str(root.keys["b"]) == "f.yaml:2:1"
    assert str(root.value["a"].mark) == "f.yaml:1:4"
    inner = root.value["b"].value[1]
    assert (str(inner.keys["c"]), str(inner.value["c"].mark)) == ("f.yaml:4:6", "f.yaml:4:9")


def test_columns_count_characters_not_bytes() -> None:
    root = parse("{ä: ö, x: 1}", Mark("f"), Problems())
    assert root is not None
    assert str(root.keys["x"]) == "f:1:8"


def test_anchors_aliases_and_merge_keys() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a]\nd: {<<: [{x: 5}, *a]}\n"
    assert value(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": [{"x": 1, "y": 2}],
        "d": {"x": 5, "y": 2},
    }


def test_a_repeated_key_is_an_error_at_each_repetition() -> None:
    _, problems = parsed("a:\n  x: 1\n  x: 2\n  x: 3\n")
    assert problems == [
        "f.yaml:3:3: a.x: given twice (first at 2:3); keep one",
        "f.yaml:4:3: a.x: given twice (first at 2:3); keep one",
    ]


def test_aliases_cannot_blow_up() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9))
    _, problems = parsed("l0: &l0 [0]\n" + levels)
    assert len(problems) == 1
    assert f"more than {MAX_NODES:,} values" in problems[0]


def test_aliases_cannot_nest_without_end() -> None:
    levels = "".join(f"l{n}: &l{n} [*l{n - 1}]\n" for n in range(1, 200))
    _, problems = parsed("l0: &l0 [0]\n" + levels)
    assert len(problems) == 1
    assert "nested deeper" in problems[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x [*x]", "1:8: a[0]: alias *x stands inside its own anchor"),
        ("? [a]\n: 1", "1:3: a key must be a word, not a list or mapping"),
        ("<<: 3", "1:1: '<<' merges mappings; give an alias of one, as in '<<: *base'"),
        ("a:\n\t- 1", "2:1: a tab indents this line; YAML wants spaces"),
        ("a: 1\n  \tb: 2", "2:3: a tab indents this line; YAML wants spaces"),
        ('a: "\\q"', "1:5: unknown escape after '\\'; use single quotes"),
        ("a: - 1", "1:4: a '-' cannot stand here; put it on its own line"),
        ("  a: 1\nb: 2", "2:1: indented less than the first line; all keys start alike"),
        ("a: !x 1", "1:4: a: tag '!x' is not understood; write the value plainly"),
    ],
)
def test_errors_in_plain_words(text: str, problem: str) -> None:
    found, problems = parsed(text)
    assert found is None
    assert problems == [f"f.yaml:{problem}"]


def test_an_empty_text_is_nothing() -> None:
    assert value("") is None
    assert value("# only a comment\n") is None
