"""One value against one annotation: what is taken, and in which words the rest is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen, MultipleOf
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.config.document import parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.config.value import bounds, can_be_set, check, describe


def checked(annotation: Any, text: str) -> tuple[Any, list[str]]:
    node = parse(text, Mark("f"), Problems())
    assert node is not None
    found, findings = check(annotation, node)
    return found, [f"{mark}{inside}: {what}" for mark, inside, what in findings]


class Mode(Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclass
class Pair:
    a: int
    b: float = 0.5


class Opaque:
    pass


@pytest.mark.parametrize(
    ("annotation", "text", "found"),
    [
        (float, "1", 1),
        (float, "1e-3", 0.001),
        (Annotated[float | None, Gt(0), "rate"], "~", None),
        (Annotated[float, Ge(0), Lt(1)], "0", 0),
        (int | None, "3", 3),
        (bool, "true", True),
        (str, "'1'", "1"),
        (Literal["in", "out"], "in", "in"),
        (list[int], "[1, 2]", [1, 2]),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (tuple[int, float], "[1, 2.5]", (1, 2.5)),
        (int | tuple[int, ...], "7", 7),
        (int | tuple[int, ...], "[7]", (7,)),
        (dict[str, float], "{a: 1, b: 2.5}", {"a": 1, "b": 2.5}),
        (Any, "[1, {a: x}]", [1, {"a": "x"}]),
        (list, "[1, a]", [1, "a"]),
        (Mode, "fast", Mode.FAST),
        (Pair, "{a: 3}", Pair(3)),
    ],
    ids=str,
)
def test_right_values(annotation: Any, text: str, found: Any) -> None:
    assert checked(annotation, text) == (found, [])


@pytest.mark.parametrize(
    ("annotation", "text", "problem"),
    [
        (Annotated[float, Ge(0), Lt(1)], "1", "f:1:1: must be at least 0 and below 1, received 1"),
        (Annotated[float | None, Gt(0)], "-1", "f:1:1: must be above 0, received -1"),
        (
            Annotated[int, Interval(ge=1, le=9)],
            "0",
            "f:1:1: must be at least 1 and at most 9, received 0",
        ),
        (Annotated[int, MultipleOf(4)], "6", "f:1:1: must be a multiple of 4, received 6"),
        (Annotated[tuple[int, ...], Ge(1)], "[1, 0]", "f:1:5[1]: must be at least 1, received 0"),
        (Annotated[list[int], MinLen(1)], "[]", "f:1:1: must have at least 1 item(s), received []"),
        (tuple[int, int], "[1]", "f:1:1: expected a list of 2 whole numbers, received [1]"),
        (float, "true", "f:1:1: expected a number, received true"),
        (float | None, "x", "f:1:1: expected a number, received 'x'"),
        (int, "", "f:1:1: expected a whole number, received nothing"),
        (bool, "1", "f:1:1: expected true or false, received 1 (write true)"),
        (str, "1e-3", "f:1:1: expected text, received 1e-3 (put it in quotes: '1e-3')"),
        (list[str], "a", "f:1:1: expected a list of texts, received 'a' (write [a])"),
        (int | tuple[int, ...], "[1, a]", "f:1:5[1]: expected a whole number, received 'a'"),
        (dict[str, float], "{a: x}", "f:1:5.a: expected a number, received 'x'"),
        (Literal["in", "out"], "3", "f:1:1: expected one of: in, out, received 3"),
        (Opaque, "1", "f:1:1: cannot be set in a config; it takes a Python object"),
    ],
    ids=str,
)
def test_wrong_values(annotation: Any, text: str, problem: str) -> None:
    assert checked(annotation, text) == (None, [problem])


def test_each_wrong_item_is_reported() -> None:
    _, problems = checked(list[int], "[1, x, 2.5]")
    assert problems == [
        "f:1:5[1]: expected a whole number, received 'x'",
        "f:1:8[2]: expected a whole number, received 2.5",
    ]


def test_a_long_value_is_shown_short() -> None:
    _, (problem,) = checked(int, "x" * 500)
    assert len(problem) < 120


@given(st.floats(allow_nan=False))
def test_a_range_holds_exactly(number: float) -> None:
    text = repr(number).replace("inf", ".inf")
    _, problems = checked(Annotated[float, Gt(-1), Le(2)], text)
    assert (not problems) == (-1 < number <= 2)


def test_descriptions() -> None:
    assert describe(Annotated[int, Ge(1)]) == "a whole number"
    assert describe(int | float) == "a number"
    assert describe(list[list[int]]) == "a list of lists of whole numbers"
    assert describe(tuple[int, int]) == "a list of 2 whole numbers"
    assert describe(Callable[..., float]) == "a Python function"
    assert bounds(list[Annotated[int, Ge(1)]]) == "at least 1"
    assert not can_be_set(Opaque)
