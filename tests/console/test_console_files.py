"""Tables of arrays, histograms and differences: what fits, and what stands in for what."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.checkpoint.arrays import write_arrays
from mxtrain.console.arrays import show_arrays
from mxtrain.console.differences import show_comparison
from mxtrain.console.fitting import Column, shortened, show_columns
from mxtrain.console.histogram import bars, sparkline
from mxtrain.inspection.arrays import arrays_report
from mxtrain.inspection.comparison import compare

GOLDEN = Path(__file__).parents[1] / "golden" / "files"


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        self.seek(0)
        return self.read().splitlines()


def drawn(monkeypatch: pytest.MonkeyPatch, columns: int, show: Any, encoding: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal(encoding)
    show(stream)
    return stream.lines()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("columns", [40, 60, 80, 132])
@pytest.mark.parametrize("name", ["mlp-0003.params", "special.params", "dtypes.params"])
def test_arrays_fit_a_terminal(
    monkeypatch: pytest.MonkeyPatch, name: str, columns: int, encoding: str
) -> None:
    report = arrays_report(GOLDEN / name)
    lines = drawn(monkeypatch, columns, lambda stream: show_arrays(report, stream), encoding)
    table = lines[1 : 1 + len(report.arrays) + 1]
    if len(report.arrays) > 1:
        assert max(map(len, table)) <= columns
        assert table[0].split()[0] == "name"
        if columns >= 80:
            assert [line.split()[0] for line in table[1:]] == [r.name for r in report.arrays]
    elif columns >= 80:
        assert max(map(len, lines[1:])) <= columns  # the first has the path


def test_a_pipe_has_every_column() -> None:
    stream = io.StringIO()
    show_arrays(arrays_report(GOLDEN / "mlp-0003.params"), stream)
    header, *rows = stream.getvalue().splitlines()[1:]
    wanted = "name shape dtype bytes min max mean std nan inf zeros histogram"
    assert header.split() == wanted.split()
    assert rows[0].split()[:4] == ["arg:fc1_weight", "16x10", "float32", "640"]


def test_one_array_is_shown_in_detail(tmp_path: Path) -> None:
    array = np.array([-1.0, 0, 0, 1.0, np.nan, np.inf], np.float32)
    write_arrays(tmp_path / "w.npz", {"w": array})
    stream = io.StringIO()
    show_arrays(arrays_report(tmp_path / "w.npz"), stream)
    words = [line.split() for line in stream.getvalue().splitlines()]
    assert ["zeros", "2", "(33.3%)"] in words
    assert ["nan", "1", "(16.7%)"] in words
    assert ["-1", "0", "0", "1", "nan", "inf"] in words
    assert [line[-1] for line in words if ".." in line] == ["1", "0", "2", "0", "1"]


counts = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)


@given(counts, st.booleans())
def test_only_empty_intervals_are_blank(values: list[int], unicode: bool) -> None:
    line = sparkline(values, unicode)
    assert len(line) == len(values)
    assert [mark == " " for mark in line] == [value == 0 for value in values]
    assert unicode or line.isascii()
    if max(values):
        assert line[values.index(max(values))] == ("█" if unicode else "@")


ends = st.floats(allow_nan=False, allow_infinity=False)


@given(counts, ends, ends, st.integers(60, 120), st.booleans())
def test_bars_fill_a_line_and_no_more(
    values: list[int], a: float, b: float, width: int, unicode: bool
) -> None:
    lines = bars(values, min(a, b), max(a, b), width, unicode)
    assert {len(line) for line in lines} == {width}
    for line, value in zip(lines, values, strict=True):
        assert line.split()[-1] == f"{value:,}"
        assert any(mark in line for mark in "█▏▎▍▌▋▊▉#") == (value > 0)
        assert unicode or line.isascii()


def test_columns_go_by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [
        Column("name", ["a" * 30], right=False),
        Column("first", ["1" * 20], 2),
        Column("last", ["2" * 20], 1),
    ]
    lines = drawn(monkeypatch, 60, lambda stream: show_columns(columns, stream), "utf-8")
    assert lines[0].split() == ["name", "last"]
    lines = drawn(monkeypatch, 20, lambda stream: show_columns(columns, stream), "ascii")
    assert lines[1].rstrip() == "a" * 9 + "..." + "a" * 8


@given(st.text(max_size=30), st.integers(8, 30))
def test_shortened_texts_fit(text: str, width: int) -> None:
    short = shortened(text, width, "...")
    assert len(short) <= width
    assert short == text or (len(text) > width and "..." in short)


def test_summary_of_differences(tmp_path: Path) -> None:
    def summary(tolerance: float, **changes: Any) -> str:
        arrays = {"v": np.array([0.0, 1.0]), "w": np.ones(2)}
        write_arrays(tmp_path / "a.npz", arrays)
        write_arrays(tmp_path / "b.npz", arrays | changes)
        stream = io.StringIO()
        show_comparison(compare(tmp_path / "a.npz", tmp_path / "b.npz", tolerance), stream)
        return stream.getvalue().splitlines()[-1]

    assert summary(0) == "2 of 2 arrays equal, bit by bit"
    assert summary(0, v=np.array([-0.0, 1.0])) == "2 of 2 arrays equal, 1 bit by bit"
    assert summary(0, v=np.array([0.0, 1.5])) == "1 of 2 arrays equal, bit by bit"
    near = summary(0.5, v=np.array([0.0, 1.5]))
    assert near == "2 of 2 arrays equal, 1 bit by bit, the others within 0.5"
    assert summary(0, v=np.zeros(3), w=np.zeros(3)) == "0 of 2 arrays equal"
