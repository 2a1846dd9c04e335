"""Numbers, formulas, plots and tables as text."""

from __future__ import annotations

import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.console.format import (
    METRIC_WIDTH,
    duration,
    learning_rate,
    metric,
    per_second,
    short_name,
)
from mxtrain.console.latex import unicode_math
from mxtrain.console.plot import plot
from mxtrain.console.tables import Sheet, aligned, show


@given(st.floats(-1e99, 1e99))
def test_metric_fits_its_column_and_is_the_number(value: float) -> None:
    text = metric(value)
    assert len(text) <= METRIC_WIDTH + (abs(value) < 1e-9)  # -1e-100 is as short as it gets
    if 1e-3 <= abs(value) < 1e5:
        assert float(text) == pytest.approx(value, rel=0.06)
    else:
        assert float(text) == pytest.approx(value, rel=0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_metric_that_is_no_number_says_so(value: float) -> None:
    assert metric(value) == str(value)


@given(st.floats(1e-99, 1e5))
def test_learning_rate_keeps_three_digits_in_eight_characters(value: float) -> None:
    text = learning_rate(value)
    assert len(text) <= 8
    assert float(text) == pytest.approx(value, rel=0.006)


@given(st.floats(0, 9e11))
def test_rates_and_durations_are_short(value: float) -> None:
    assert len(per_second(value)) <= 5
    if value < 360_000:
        assert len(duration(value)) <= 8


@given(st.text(min_size=1, max_size=30))
def test_abbreviation_is_at_most_as_wide_as_a_column(name: str) -> None:
    assert len(short_name(name)) <= METRIC_WIDTH


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\beta_1", "β₁"),
        (r"\leftarrow", "←"),
        (r"\sqrt{v}", "√v"),
        (r"\sqrt{v + \epsilon}", "√(v + ε)"),
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{a + 1}{b}", "(a + 1)/b"),
        (r"\frac{1}{n}\sum_i x_i", "1/n Σᵢ xᵢ"),
        (r"\cos\frac{\pi n}{W}", "cos(π n/W)"),
        (r"\beta_2^t", "β₂ᵗ"),
        (r"w_{t+1}", "wₜ₊₁"),
        (r"x^{0.75}", "x^(0.75)"),
        (r"\left\lVert w \right\rVert_2", "‖ w ‖₂"),
        (r"\left. x \right|", "x |"),
        (r"\hat{m}", "m\u0302"),
        (r"\mathrm{sign}(w)", "sign(w)"),
        (r"A^\top", "Aᵀ"),
        (r"a \\ b", "a\nb"),
        (r"\begin{aligned} a &= b \end{aligned}", "a = b"),
        (r"\begin{cases} x & x > 0 \\ 0 \end{cases}", "x   x > 0\n0"),
        (r"\text{base\_lr}", "base_lr"),
        (r"\unheard{x}", "unheardx"),
    ],
)
def test_latex_becomes_text(latex: str, expected: str) -> None:
    assert unicode_math(latex) == expected


@given(st.text(alphabet=r"\{}_^& abfrcsqtlemx12()[].", max_size=60))
def test_any_latex_becomes_some_text(latex: str) -> None:
    assert "{" not in unicode_math(latex.replace("\\", ""))
    unicode_math(latex)


@pytest.mark.parametrize("unicode", [True, False])
@given(values=st.lists(st.floats(allow_nan=True), min_size=1, max_size=300))
def test_plot_keeps_its_size(unicode: bool, values: list[float]) -> None:
    lines = plot(values, width=60, height=8, unicode=unicode)
    assert len(lines) in (1, 10)
    assert max(map(len, lines)) <= 62
    assert unicode or all(line.isascii() for line in lines)


def test_plot_runs_from_the_top_left_to_the_bottom_right() -> None:
    lines = plot([1 - i / 100 for i in range(100)], width=40, height=6, unicode=False)
    stars = [[i for i, char in enumerate(line) if char == "*"] for line in lines[:6]]
    assert all(stars)
    assert [row[0] for row in stars] == sorted(row[0] for row in stars)
    assert lines[0].strip().startswith("1 |*")
    assert lines[-1].split() == ["1", "100"]


def test_plot_of_a_constant_runs_along_the_middle() -> None:
    for unicode, dots in ((False, r"\*"), (True, "[\u2801-\u28ff]")):
        lines = plot([0.1] * 50, width=40, height=5, unicode=unicode)
        assert [index for index, line in enumerate(lines) if re.search(dots, line)] == [2]
        assert [index for index, line in enumerate(lines) if "0.1" in line] == [2]


def test_table_in_a_pipe_is_one_line_per_row() -> None:
    stream = io.StringIO()
    sheet = Sheet(("name", "n"), [("a", "1"), ("long name", "1,000")], right=(1,), title="things")
    show(sheet, stream)
    assert stream.getvalue().splitlines() == [
        "things",
        "name           n",
        "a              1",
        "long name  1,000",
    ]


def on_a_terminal(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    show(sheet, stream)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


def test_a_title_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    title = "adam(learning_rate=0.01, wd=0.0001)"
    lines = on_a_terminal(Sheet(("n",), [("1",)], title=title), monkeypatch)
    assert [line.strip() for line in lines] == [title, "n", "1"]


def test_table_on_a_terminal_wraps_only_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = Sheet(("name", "meaning"), [("a_long_name", "words " * 20)], wide=(1,))
    lines = on_a_terminal(sheet, monkeypatch)
    assert "a_long_name" in lines[1]
    assert len(lines) > 3
    assert max(map(len, lines)) <= 40


def test_no_rows_no_lines() -> None:
    assert aligned([]) == []
