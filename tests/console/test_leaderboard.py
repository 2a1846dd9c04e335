"""The leaderboard and the other forms of a comparison, on made-up trials."""

from __future__ import annotations

import io
import itertools
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from mxtrain.console.comparing import (
    JsonComparison,
    PlainComparison,
    QuietComparison,
    make_compare_reporter,
)
from mxtrain.console.leaderboard import LiveLeaderboard
from mxtrain.console.standings import columns_of, reasons
from mxtrain.trainer.compare.report import (
    CompareInfo,
    CompareReporter,
    Comparison,
    Goal,
    TrialRow,
    ranked,
)

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
UP_AND_ERASE = re.compile(r"(?:\x1b\[1A\x1b\[2K)+")
GOAL = Goal("eval", "accuracy", higher=True, target=0.9)
WAITING = TrialRow(0, "", None, "waiting", 0, 0.0, *(None,) * 7)


def waiting(count: int) -> tuple[TrialRow, ...]:
    return tuple(
        replace(WAITING, number=n, label=f"rule{n} momentum=0.9 wd=0.0001", rate=0.1)
        for n in range(count)
    )


def at(row: TrialRow, epochs: int, value: float, status: str = "running") -> TrialRow:
    return replace(
        row,
        status=status,
        epochs=epochs,
        done=epochs / 4,
        final=value,
        best=value,
        best_epoch=epochs,
        loss=1 - value,
        target_epoch=epochs if value >= 0.9 else None,
        seconds_per_epoch=0.0123,
        state_bytes_per_weight=8.0,
    )


def info(rows: tuple[TrialRow, ...], jobs: int = 1) -> CompareInfo:
    return CompareInfo(
        config="config.yaml",
        output="compare/0001",
        network="64 -> fc1 10 -> softmax 10",
        num_parameters=650,
        train_data="train.csv",
        eval_data="test.csv",
        train_rows=1437,
        eval_rows=360,
        batch_size=32,
        batches_per_epoch=45,
        num_epoch=4,
        begin_epoch=0,
        seed=7,
        lr_scheduler="constant",
        goal=GOAL,
        jobs=jobs,
        threads=1,
        rows=rows,
    )


def play(reporter: CompareReporter, count: int, jobs: int = 1) -> Comparison:
    """Trial n reaches 0.5 + n / 100; the last is refused."""
    rows = waiting(count)
    reporter.start(info(rows, jobs))
    ended = []
    for row in rows[:-1]:
        value = 0.5 + row.number / 100
        for epoch in range(1, 5):
            reporter.update(at(row, epoch, value))
        ended.append(at(row, 4, value, "done"))
        reporter.update(ended[-1])
    ended.append(replace(rows[-1], status="refused", reason="it takes matrices only"))
    reporter.update(ended[-1])
    order = tuple(ranked(ended, GOAL))
    result = Comparison("done", order, GOAL, 2.5, "compare/0001", ("config.yaml", "results.csv"))
    reporter.finish(result)
    return result


class Unicode(io.StringIO):
    encoding = "utf-8"


def board(width: int, height: int) -> tuple[LiveLeaderboard, io.StringIO]:
    stream = Unicode()
    console = Console(
        file=stream,
        width=width,
        height=height,
        force_terminal=True,
        highlight=False,
        legacy_windows=False,
    )
    clock = itertools.count(0, 1.0)
    return LiveLeaderboard(stream, console, now=lambda: next(clock)), stream


def frames(text: str) -> list[list[str]]:
    """The regions drawn one after the other, without escape codes."""
    plain = (ESCAPE.sub("", part) for part in UP_AND_ERASE.split(text))
    return [part.splitlines() for part in plain if part.strip()]


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize(("height", "count"), [(24, 5), (24, 30), (10, 30)])
def test_frames_fit_the_screen(width: int, height: int, count: int) -> None:
    live, stream = board(width, height)
    rows = waiting(count)
    live.start(info(rows))
    before = len(stream.getvalue())
    live.update(at(rows[-1], 1, 0.2))
    (frame,) = frames(stream.getvalue()[before:])
    assert len(frame) < height
    assert max(map(len, frame)) <= width
    assert any("1/4" in line for line in frame)  # the running one, though it is the last
    assert any("more" in line for line in frame) == (count > height - 5)
    live.close()


def test_all_trials_stand_in_the_table_in_the_end_the_best_first() -> None:
    live, stream = board(100, 12)
    play(live, 30)
    text = frames(stream.getvalue())[-1]
    table = [line for line in text if "rule" in line and "done" in line]
    assert len(table) == 29
    assert table[0].split()[:2] == ["1", "rule28"]
    assert any("refused: it takes matrices only" in line for line in text)
    assert any(line.startswith("best") and "0.7800 in epoch 4" in line for line in text)


@pytest.mark.parametrize("width", range(30, 130, 7))
def test_columns_fit(width: int) -> None:
    rows = waiting(12)
    columns = columns_of(GOAL, 4, rows).fitting(width)
    names = [column.name for column in columns.columns]
    assert columns.width <= max(width, 32)
    assert {"#", "optimizer", "best"} <= set(names)


def test_wide_table_has_every_measure() -> None:
    names = [column.name for column in columns_of(GOAL, 4, waiting(3)).fitting(140).columns]
    assert names == [
        "#",
        "optimizer",
        "lr",
        "acc",
        "best",
        "at",
        "loss",
        "to 0.9",
        "s/ep",
        "B/w",
        "status",
    ]


def test_the_time_of_a_short_epoch_fits_its_column() -> None:
    row = replace(at(waiting(1)[0], 1, 0.5), seconds_per_epoch=0.000412)
    ((line, _),) = columns_of(GOAL, 4, [row]).row(1, row, "")
    assert " 4.1e-4 " in line


def test_plain_lines() -> None:
    stream = Unicode()
    play(PlainComparison(stream), 4, jobs=3)
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "jobs      3 processes of 1 thread each" in text
    assert "1/4  rule0 momentum=0.9 wd=0.0001  lr 0.1  best eval accuracy 0.5000" in text
    assert "4/4  rule3 momentum=0.9 wd=0.0001  lr 0.1  refused" in text
    assert text.count("it takes matrices only") == 1
    table = text[text.index(" optimizer") :].splitlines()
    assert table[2].split()[:2] == ["1", "rule2"]


def test_json_lines() -> None:
    stream = io.StringIO()
    result = play(JsonComparison(stream), 3)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["start", *["trial"] * (2 * 5 + 1), "finish"]
    assert [row["number"] for row in lines[-1]["rows"]] == [row.number for row in result.rows]
    only = io.StringIO()
    play(JsonComparison(only, only_result=True), 3)
    assert only.getvalue() == stream.getvalue().splitlines(keepends=True)[-1]


def test_quiet_speaks_of_failures_only() -> None:
    stream = Unicode()
    quiet = QuietComparison(stream)
    result = play(quiet, 3)
    assert stream.getvalue() == ""
    quiet.finish(replace(result, status="failed"))
    assert "failed (written to compare/0001)" in stream.getvalue()
    assert "refused: it takes matrices only" in stream.getvalue()


def test_reporter_suits_the_stream() -> None:
    stream = io.StringIO()
    assert isinstance(make_compare_reporter(True, True, stream), JsonComparison)
    assert isinstance(make_compare_reporter(False, True, stream), QuietComparison)
    assert isinstance(make_compare_reporter(False, False, stream), PlainComparison)


def test_ranking() -> None:
    rows = list(waiting(6))
    rows[0] = at(rows[0], 4, 0.7, "done")
    rows[1] = at(rows[1], 2, 0.9, "diverged")
    rows[2] = at(rows[2], 3, 0.8)
    rows[3] = at(rows[3], 2, 0.7, "done")
    rows[4] = replace(rows[4], status="refused")
    order = [row.number for row in ranked(rows, GOAL)]
    assert order == [2, 3, 0, 5, 1, 4]  # sooner before later; 5 waits; those that failed come last
    lower = [row.number for row in ranked(rows, replace(GOAL, higher=False))]
    assert lower == [3, 0, 2, 5, 1, 4]


def test_warnings_are_shown() -> None:
    row = replace(at(waiting(1)[0], 4, 0.5, "done"), warnings=("small updates are lost",))
    result = Comparison("done", (row,), GOAL, 1.0, "x", ())
    assert reasons(result) == [
        ("rule0 momentum=0.9 wd=0.0001 lr 0.1", "warning: small updates are lost")
    ]
