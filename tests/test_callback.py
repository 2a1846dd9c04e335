"""Callbacks against the log lines recorded from MXNet 1.9.1."""

from __future__ import annotations

import json
import logging
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mxtrain import callback, metric, nd

GOLDEN = json.loads((Path(__file__).parent / "golden" / "module" / "module.json").read_text())
PROGRAMS = {program["id"]: program for program in GOLDEN["programs"]}
WITHOUT_MODULE = [
    "speedometer",
    "speedometer_no_reset",
    "speedometer_no_metric",
    "speedometer_zero_time",
    "speedometer_starts_late",
    "log_train_metric",
    "progress_bar",
    "log_validation",
]
BatchEndParam = namedtuple("BatchEndParam", ["epoch", "nbatch", "eval_metric", "locals"])


class _Collector(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        assert (record.name, record.levelno) == ("root", logging.INFO)
        self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[list[str]]:
    root, collector = logging.getLogger(), _Collector([])
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.INFO)
    yield collector.lines
    root.setLevel(level)
    root.removeHandler(collector)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [1000.0]
    monkeypatch.setattr(callback.time, "time", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize("name", WITHOUT_MODULE)
def test_recorded_program(name: str, log: list[str], clock: list[float]) -> None:
    names: dict[str, Any] = {
        "callback": callback,
        "metric": metric,
        "nd": nd,
        "model": SimpleNamespace(BatchEndParam=BatchEndParam),
        "LOG": log,
        "CLOCK": clock,
    }
    exec(PROGRAMS[name]["code"], names)
    assert names["result"] == PROGRAMS[name]["result"]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    model = ModuleType("mxtrain.model")
    model.save_checkpoint = lambda *given: calls.append(given)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mxtrain.model", model)
    return calls


@pytest.mark.parametrize(
    ("program", "period", "epochs"), [("do_checkpoint", 2, 5), ("checkpoint_period_zero", 0, 2)]
)
def test_recorded_checkpoints(
    program: str, period: int, epochs: int, saved: list[tuple[Any, ...]]
) -> None:
    save = callback.do_checkpoint("c", period)
    for epoch in range(epochs):
        save(epoch, "symbol", {"w": 1}, {"m": 2})
    files = [f"c-{number:04d}.params" for _, number, *_ in saved]
    assert [*files, "c-symbol.json"] == PROGRAMS[program]["result"]
    assert {(call[0], *map(str, call[2:])) for call in saved} == {
        ("c", "symbol", "{'w': 1}", "{'m': 2}")
    }


@pytest.mark.parametrize(("period", "numbers"), [(1, [1, 2, 3, 4]), (3, [3]), (-1, [1, 2, 3, 4])])
@pytest.mark.parametrize("states", [False, True])
def test_module_checkpoint_asks_the_module(period: int, numbers: list[int], states: bool) -> None:
    calls: list[tuple[Any, ...]] = []
    module = SimpleNamespace(save_checkpoint=lambda *given: calls.append(given))
    save = callback.module_checkpoint(module, "c", period, states)
    for epoch in range(4):
        save(epoch)
    assert calls == [("c", number, states) for number in numbers]


def test_without_a_metric_only_the_speed_is_logged(log: list[str], clock: list[float]) -> None:
    param = BatchEndParam(0, 0, None, None)
    callback.LogValidationMetricsCallback()(param)
    callback.log_train_metric(1)(param)
    assert log == []


def test_log_train_metric_keeps_the_sums_unless_told(log: list[str]) -> None:
    made = metric.create("acc")
    made.update(nd.array([0]), nd.array([[1, 0]]))
    callback.log_train_metric(2)(BatchEndParam(3, 4, made, None))
    assert log == ["Iter[3] Batch[4] Train-accuracy=1.000000"]
    assert made.num_inst == 1


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("frequent must be at least 1 batch, got 0", lambda: callback.Speedometer(8, 0)),
        ("total must be at least 1 batch, got 0", lambda: callback.ProgressBar(0)),
        ("period must be at least 1 batch, got -1", lambda: callback.log_train_metric(-1)),
    ],
)
def test_errors_say_what_was_received(text: str, program: Any) -> None:
    with pytest.raises(ValueError, match=text):
        program()
