from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace

import pytest
from console_events import INFO, result, row, run, running
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mxtrain.console.columns import choose_layout, columns_for
from mxtrain.console.glyphs import ASCII, UNICODE
from mxtrain.console.live import LiveReporter
from mxtrain.trainer.report import NodeTime, PhaseTime, Profiled

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UP_AND_ERASE = re.compile(r"(?:\x1b\[1A\x1b\[2K)+")


class Unicode(io.StringIO):
    encoding = "utf-8"


def reporter(
    width: int = 80, height: int = 24, step: float = 1.0
) -> tuple[LiveReporter, io.StringIO]:
    """A live reporter on a made-up terminal whose clock moves `step` seconds at each look."""
    stream = Unicode()
    console = Console(
        file=stream,
        width=width,
        height=height,
        force_terminal=True,
        highlight=False,
        legacy_windows=False,
    )
    clock = itertools.count(0, step)
    return LiveReporter(stream, console, now=lambda: next(clock)), stream


def scrollback(text: str) -> list[str]:
    """What is left on an endless terminal: a line that was erased is gone."""
    lines = [""]
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n|\r)", text):
        if part == "\x1b[1A":
            lines.pop()
        elif part == "\x1b[2K" or part == "\r":
            lines[-1] = ""
        elif part == "\n":
            lines.append("")
        elif not part.startswith("\x1b"):
            lines[-1] += part
    return [line.rstrip() for line in lines]


def epochs_in(lines: list[str]) -> list[int]:
    rules = [index for index, line in enumerate(lines) if line.startswith("─────")]
    lines = lines[rules[0] :] if rules else lines  # what will run stands above, in words
    found = (re.match(r"^[ *★]*(\d+)  ?\S", line) for line in lines)
    return [int(match[1]) for match in found if match]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("height", [12, 24, 60])
def test_every_epoch_is_left_in_the_scrollback_once_in_order(width: int, height: int) -> None:
    live, stream = reporter(width, height)
    run(live, epochs=45)
    lines = scrollback(stream.getvalue())
    assert epochs_in(lines) == list(range(1, 46))
    assert max(map(len, lines)) <= width


def test_one_heading_is_left_however_long_the_run() -> None:
    live, stream = reporter()
    run(live, epochs=60)
    headings = [line for line in scrollback(stream.getvalue()) if line.startswith("epoch    loss")]
    assert len(headings) == 1


def test_two_metrics_on_train_and_eval_fit_80_columns_with_everything_else() -> None:
    layout = choose_layout(columns_for(INFO), 80)
    assert layout.width <= 80
    assert layout.headings == (
        "epoch",
        "loss",
        "acc",
        "ce",
        "loss",
        "acc",
        "ce",
        "lr",
        "samp/s",
        "time",
    )


def test_wide_terminal_has_whole_names() -> None:
    layout = choose_layout(columns_for(INFO), 120)
    assert "cross-entropy" in layout.headings
    assert "samples/s" in layout.headings


def test_narrow_terminal_keeps_what_matters_most() -> None:
    layout = choose_layout(columns_for(INFO), 32)
    kept = [(column.group, column.name) for column in layout.columns]
    assert kept == [("", "epoch"), ("train", "loss"), ("eval", "loss"), ("eval", "accuracy")]


@given(
    width=st.integers(20, 200),
    train=st.lists(st.text("abcdefgh-", min_size=1, max_size=20), max_size=6, unique=True),
    evaluated=st.lists(st.text("abcdefgh-", min_size=1, max_size=20), max_size=6, unique=True),
)
def test_layout_fits_and_aligns(width: int, train: list[str], evaluated: list[str]) -> None:
    info = replace(INFO, train_columns=tuple(train), eval_columns=tuple(evaluated))
    layout = choose_layout(columns_for(info), width)
    assert layout.columns[0].name == "epoch"
    assert layout.width <= width
    for glyphs in (UNICODE, ASCII):
        for line in layout.heading(glyphs):
            assert len("".join(text for text, _ in line).rstrip()) <= layout.width
    assert len(layout.row({}, "")[0][0]) == layout.width


@pytest.mark.parametrize("height", [10, 24])
def test_region_is_never_taller_than_the_screen(height: int) -> None:
    live, stream = reporter(height=height)
    run(live, epochs=50)
    erased = [
        len(found[0]) // len("\x1b[1A\x1b[2K") for found in UP_AND_ERASE.finditer(stream.getvalue())
    ]
    assert erased
    assert max(erased) < height


def test_drawn_at_most_four_times_a_second() -> None:
    live, stream = reporter(step=0.01)
    live.start(INFO)
    before = stream.getvalue().count("samp/s")
    for batch in range(100):  # the clock moves one second in all
        live.progress(running(1, batch % 23))
    frames = stream.getvalue().count("samp/s") - before
    live.close()
    assert 3 <= frames <= 5


def test_best_epoch_is_marked_and_stays_in_sight_when_it_has_scrolled_away() -> None:
    live, stream = reporter(height=14)
    live.start(INFO)
    for epoch in range(1, 30):
        live.epoch(row(epoch, best=epoch == 3))
    stream.truncate(0)
    live.progress(running(30))
    frame = ESCAPE.sub("", stream.getvalue())
    live.close()
    assert "★ 3" in frame
    assert "⋮" in frame
    assert " 29 " in frame


def test_the_newest_epoch_is_on_the_screen_while_older_ones_scroll_away() -> None:
    live, stream = reporter()
    live.start(INFO)
    for epoch in range(1, 61):
        live.epoch(row(epoch))
        shown = epochs_in(scrollback(stream.getvalue()))
        assert epoch in shown, "the region was drawn as it was before"
        assert len(shown) >= min(epoch, 15)
    live.close()


def test_only_the_newest_best_epoch_is_marked_on_the_screen() -> None:
    live, stream = reporter()
    live.start(INFO)
    for epoch in range(1, 5):
        live.epoch(row(epoch, best=True))
    live.finish(result())
    lines = scrollback(stream.getvalue())
    assert [line.split()[1] for line in lines if "★" in line] == ["4"]


def test_change_of_the_rate_is_shown_with_its_update() -> None:
    live, stream = reporter()
    live.start(INFO)
    live.epoch(row(1))
    live.epoch(row(2, lr=0.09, lr_changes=((100, 0.09),)))
    live.finish(result())
    text = "\n".join(scrollback(stream.getvalue()))
    assert "lr 0.1 → 0.09 at update 100" in text
    assert "0.09↓" in text


def test_rate_that_changes_all_the_time_has_only_an_arrow() -> None:
    live, stream = reporter()
    live.start(INFO)
    live.epoch(row(1))
    changes = tuple((n, 0.1 - n / 1000) for n in range(1, 24))
    live.epoch(row(2, lr=changes[-1][1], lr_changes=changes))
    live.finish(result())
    text = "\n".join(scrollback(stream.getvalue()))
    assert "at update" not in text
    assert "0.077↓" in text


def test_notice_stands_where_it_happened() -> None:
    live, stream = reporter()
    live.start(INFO)
    live.epoch(row(1))
    live.notice("the loss is NaN at node fc1")
    live.epoch(row(2))
    live.finish(result("failed"))
    lines = [line for line in scrollback(stream.getvalue()) if "NaN" in line or epochs_in([line])]
    assert "NaN" in lines[1]
    assert len(lines) == 3


@pytest.mark.parametrize("ending", ["finish", "close"])
def test_cursor_comes_back_however_the_run_ends(ending: str) -> None:
    live, stream = reporter()
    live.start(INFO)
    live.progress(running(1))
    assert "\x1b[?25l" in stream.getvalue()
    if ending == "finish":
        live.finish(result("interrupted", epochs=0))
    live.close()
    live.close()
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_short_epochs_share_one_bar_over_the_run() -> None:
    live, stream = reporter()
    live.start(INFO)
    live.progress(running(1))
    assert "epoch 1/20" in stream.getvalue()
    live.epoch(row(1, seconds=0.01))
    live.progress(running(2))
    live.close()
    last = ESCAPE.sub("", stream.getvalue()).rpartition("run ")[2]
    assert "epoch 2/20" in last


def test_run_without_eval_data_has_no_eval_columns() -> None:
    live, stream = reporter()
    live.start(replace(INFO, eval_data=None, eval_columns=()))
    live.epoch(row(1, eval={}))
    live.finish(result())
    text = "\n".join(scrollback(stream.getvalue()))
    assert "no eval data" in text
    assert " eval ─" not in text


def test_phases_and_nodes_of_a_profiled_run_are_listed() -> None:
    live, stream = reporter()
    live.start(INFO)
    phases = (PhaseTime("forward", 460, 0.03, 0.015), PhaseTime("other", 1, 0.01))
    nodes = (NodeTime("fc2", "forward", 460, 0.02, 0.015), NodeTime("relu", "forward", 460, 0.01))
    live.finish(result(profile=Profiled(0.04, phases, nodes, 98e9, 24e9)))
    lines = scrollback(stream.getvalue())
    shown = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert shown["other"] == ["1", "10.00", "25.0%"]
    assert shown["fc2"] == ["forward", "460", "20.00", "50.0%", "75%"]
    assert shown["relu"] == ["forward", "460", "10.00", "25.0%"]
    forward = next(line for line in lines if line.startswith("forward"))
    assert forward.split() == ["forward", "460", "30.00", "75.0%", "50%"]
    assert "98 GFLOP/s" in stream.getvalue() and "24 GB/s" in stream.getvalue()
