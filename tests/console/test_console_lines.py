"""Plain lines, JSON lines, silence, and the choice between them."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from console_events import INFO, result, row, run, running

from mxtrain.console import make_reporter
from mxtrain.console.jsonl import JsonReporter, dumps
from mxtrain.console.live import LiveReporter
from mxtrain.console.plain import PlainReporter
from mxtrain.console.quiet import QuietReporter


def pipe(encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


def plain_text(encoding: str = "utf-8", **changes: Any) -> str:
    stream = pipe(encoding)
    reporter = PlainReporter(stream)
    run(reporter, epochs=3, info=replace(INFO, **changes))
    return written(stream)


def test_plain_has_one_line_per_epoch_and_no_escape_codes() -> None:
    text = plain_text()
    assert "\x1b" not in text
    assert "\r" not in text
    lines = [line for line in text.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 3
    assert lines[2].startswith("epoch 3/3  train loss 0.3333 accuracy 0.8889 cross-entropy 0.3333")
    assert "eval loss 0.3667" in lines[2]
    assert lines[2].endswith("lr 0.1  38.1k samples/s  0.40s  best")
    assert "left 0:01" in lines[0]


def test_plain_says_first_what_will_run_and_last_where_everything_is() -> None:
    text = plain_text()
    start, _, end = text.partition("epoch 1/3")
    for expected in (
        "9,610 parameters",
        "train train.csv, 1,437 rows",
        "eval test.csv, 360 rows",
        "numpy, seed 7",
        "rescale_grad 1/64",
        "factor(step=100, factor=0.9)",
        "zero: fc1_bias, fc2_bias",
        "wd_mult 0: fc1_bias, fc2_bias",
        "biases are not decayed",
    ):
        assert expected in start
    assert "epoch 3, eval accuracy 0.9778" in end
    assert "runs/0003" in end
    assert "model-0001.params … model-0003.params (3 files)" in end


def test_plain_is_ascii_where_the_encoding_is() -> None:
    text = plain_text("ascii", config="größe.yaml")
    assert "gr\\xf6\\xdfe.yaml -> runs/0003" in text


def test_plain_reports_within_an_epoch_once_a_minute() -> None:
    stream = pipe()
    reporter = PlainReporter(stream)
    reporter.start(INFO)
    for seconds in range(0, 200, 10):
        reporter.progress(replace(running(1), seconds=float(seconds)))
    reporter.epoch(row(1, seconds=200.0))
    reporter.progress(replace(running(2), seconds=50.0))
    lines = [line for line in written(stream).splitlines() if "batch 10/23" in line]
    assert len(lines) == 3


def test_plain_shows_the_changes_of_the_rate() -> None:
    stream = pipe()
    reporter = PlainReporter(stream)
    reporter.start(INFO)
    reporter.epoch(row(1))
    reporter.epoch(row(2, lr=0.09, lr_changes=((100, 0.09),)))
    assert "lr 0.1 → 0.09 at update 100" in written(stream)


def test_json_lines_parse_and_name_every_event() -> None:
    stream = pipe()
    reporter = JsonReporter(stream)
    run(reporter, epochs=2)
    reporter.notice("something")
    events = [json.loads(line) for line in written(stream).splitlines()]
    assert [event["event"] for event in events] == [
        "start",
        "progress",
        "epoch",
        "progress",
        "epoch",
        "finish",
        "notice",
    ]
    assert events[2]["epoch"] == 1
    assert events[2]["train_loss"] == 1.0
    assert events[2]["eval_cross-entropy"] == 1.1
    assert {"lr", "samples_per_second", "seconds", "best", "lr_changes"} <= events[2].keys()
    assert not {"train", "eval"} & events[2].keys()
    assert events[0]["parameters"][0]["shape"] == [128, 64]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_of_a_number_json_lacks_is_a_string_that_float_reads(value: float) -> None:
    stream = pipe()
    JsonReporter(stream).epoch(row(1, train={"loss": value}))

    def never(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    event = json.loads(written(stream), parse_constant=never)
    assert repr(float(event["train_loss"])) == repr(value)


def test_dumps_nests() -> None:
    assert json.loads(dumps({"a": [(1, math.nan)]})) == {"a": [[1, "NaN"]]}


@pytest.mark.parametrize("status", ["done", "stopped early"])
def test_quiet_shows_nothing_when_all_went_well(status: str) -> None:
    stream = pipe()
    reporter = QuietReporter(stream)
    run(reporter)
    reporter.notice("something")
    reporter.finish(result(status))
    assert written(stream) == ""


def test_quiet_mentions_a_failure_with_its_reason() -> None:
    stream = pipe()
    QuietReporter(stream).finish(result("failed", reason="the loss is NaN"))
    assert written(stream) == "failed: the loss is NaN (written to runs/0003)\n"


def test_quiet_json_is_the_result_alone() -> None:
    stream = pipe()
    reporter = make_reporter(json=True, quiet=True, stream=stream)
    run(reporter, epochs=2)
    (line,) = written(stream).splitlines()
    assert json.loads(line)["event"] == "finish"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("json_wanted", "quiet", "stream", "term", "expected"),
    [
        (False, False, Terminal(), "xterm", LiveReporter),
        (False, False, Terminal(), "dumb", PlainReporter),
        (False, False, io.StringIO(), "xterm", PlainReporter),
        (True, False, Terminal(), "xterm", JsonReporter),
        (False, True, Terminal(), "xterm", QuietReporter),
    ],
)
def test_reporter_is_chosen_by_the_stream(
    monkeypatch: pytest.MonkeyPatch,
    json_wanted: bool,
    quiet: bool,
    stream: io.StringIO,
    term: str,
    expected: type,
) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(make_reporter(json_wanted, quiet, stream)) is expected
