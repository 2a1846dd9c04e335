"""Every program of golden/module, by id."""

from __future__ import annotations

import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import callback, lr_scheduler, metric, model, nd, optimizer
from mxtrain import initializer as init
from mxtrain import symbol as sym
from mxtrain.context import cpu
from mxtrain.errors import MXNetError
from mxtrain.io import DataBatch, DataDesc, NDArrayIter
from mxtrain.module import Module
from mxtrain.name import NameManager

FILE = Path(__file__).parent.parent / "golden" / "module" / "module.json"
RECORDED = json.loads(FILE.read_text())
PROGRAMS = {program["id"]: program for program in RECORDED["programs"]}

DIFFERS_ON_PURPOSE = {
    "predict_numpy_other_batch": "an array of another batch size is predicted; the reference "
    "refuses it only because the labels it does not have would change their shape",
}
ERRORS = {
    "AssertionError": AssertionError,
    "KeyError": KeyError,
    "MXNetError": MXNetError,
    "RuntimeError": RuntimeError,
    "StopIteration": StopIteration,
    "TypeError": TypeError,
    "ValueError": ValueError,
}
CALLED = re.compile(r"\bsym\.([A-Za-z_]\w*)\(")
OPERATORS_NOT_YET_THERE = {
    name: sorted(missing)
    for name, program in PROGRAMS.items()
    if (missing := {op for op in CALLED.findall(program["code"]) if not hasattr(sym, op)})
}
# The recorded numbers are rounded to five digits, those in log lines printed with six.
ROUNDED, PRINTED = 1.1e-5, 2e-6
NUMBER = re.compile(r"-?\d+\.\d+")


class Collector(logging.Handler):
    """Keeps the messages of all loggers below the root."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def messages() -> Iterator[list[str]]:
    root, handler = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler.messages
    root.removeHandler(handler)
    root.setLevel(level)


def warnings_of(function: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        function()
    return sorted(warning.category.__name__ for warning in seen)


def small_network() -> sym.Symbol:
    first = sym.FullyConnected(sym.Variable("data"), num_hidden=2, name="fc1")
    second = sym.FullyConnected(sym.Activation(first, act_type="tanh"), num_hidden=2, name="fc2")
    return sym.SoftmaxOutput(second, name="softmax")


def run(
    code: str, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Run a program after the common prelude and return its names."""
    clock = [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    with NameManager(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {
            "sym": sym,
            "nd": nd,
            "np": np,
            "Module": Module,
            "NDArrayIter": NDArrayIter,
            "DataBatch": DataBatch,
            "DataDesc": DataDesc,
            "metric": metric,
            "init": init,
            "callback": callback,
            "optimizer": optimizer,
            "lr_scheduler": lr_scheduler,
            "model": model,
            "cpu": cpu,
            "NET": small_network(),
            "logger": logging.getLogger("golden"),
            "LOG": messages,
            "CLOCK": clock,
            "tmp": str(tmp_path),
            "warnings_of": warnings_of,
        }
        exec(RECORDED["prelude"], names)
        exec(code, names)
    return names


def plain(value: Any) -> Any:
    """Return a result as JSON would keep it."""
    return json.loads(
        json.dumps(value, default=lambda o: o.item() if hasattr(o, "item") else str(o))
    )


def differences(got: Any, want: Any, place: str = "result") -> list[str]:
    """Return the places where two results differ by more than their rounding."""
    if isinstance(want, bool) or want is None or isinstance(want, int):
        return [] if got == want else [f"{place}: {got!r}, recorded {want!r}"]
    if isinstance(want, float):
        near = isinstance(got, int | float) and got == pytest.approx(want, rel=0, abs=ROUNDED)
        return [] if near else [f"{place}: {got!r}, recorded {want!r}"]
    if isinstance(want, str):
        return text_differences(got, want, place)
    keys = want if isinstance(want, dict) else range(len(want))
    if type(got) is not type(want) or len(got) != len(want):
        return [f"{place}: {got!r}, recorded {want!r}"]
    return [
        text
        for key in keys
        for text in (
            differences(got[key], want[key], f"{place}[{key!r}]")
            if not isinstance(want, dict) or key in got
            else [f"{place} has no {key!r}"]
        )
    ]


def text_differences(got: Any, want: str, place: str) -> list[str]:
    same = isinstance(got, str) and NUMBER.sub("#", got) == NUMBER.sub("#", want)
    if same:
        pairs = zip(NUMBER.findall(got), NUMBER.findall(want), strict=True)
        same = all(abs(float(a) - float(b)) <= PRINTED for a, b in pairs)
    return [] if same else [f"{place}: {got!r}, recorded {want!r}"]


@pytest.mark.also_on_host
@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize(
    "name", [n for n in PROGRAMS if n not in {*DIFFERS_ON_PURPOSE, *OPERATORS_NOT_YET_THERE}]
)
def test_program(
    name: str, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = PROGRAMS[name]
    if program["error"]:
        with pytest.raises(ERRORS[program["error"]]) as caught:
            run(program["code"], tmp_path, messages, monkeypatch)
        assert str(caught.value) or program["error"] == "StopIteration"
        return
    got = run(program["code"], tmp_path, messages, monkeypatch)["result"]
    assert not differences(plain(got), program["result"])


def test_the_comparison_notices_differences() -> None:
    want = {"a": [1, 0.5, "loss=0.250000", True, None]}
    assert not differences({"a": [1, 0.500009, "loss=0.250001", True, None]}, want)
    for changed in (
        [2, 0.5, "loss=0.250000", True, None],
        [1, 0.50002, "loss=0.250000", True, None],
        [1, 0.5, "loss=0.250003", True, None],
        [1, 0.5, "lost=0.250000", True, None],
        [1, 0.5, "loss=0.250000", False, None],
        [1, 0.5, "loss=0.250000", True],
    ):
        assert differences({"a": changed}, want)
    assert differences({"b": want["a"]}, want)


def test_an_array_of_another_batch_size_is_predicted(
    tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`predict_numpy_other_batch`, and the rows agree with those of the bound batch size."""
    code = PROGRAMS["predict_numpy_other_batch"]["code"]
    names = run(code, tmp_path, messages, monkeypatch)
    assert plain(names["result"]) == [[7, 2], [["data", [7, 3]]]]
    module, x = names["mod"], names["x"]
    by_fours = np.concatenate([module.predict(x[:4]), module.predict(x[4:8])])
    np.testing.assert_allclose(names["o"], by_fours[:7], rtol=0, atol=1e-6)


def test_count(say_counts: Any) -> None:
    absent = OPERATORS_NOT_YET_THERE
    compared = len(PROGRAMS) - len(DIFFERS_ON_PURPOSE) - len(absent)
    differing = ", ".join(DIFFERS_ON_PURPOSE)
    say_counts(
        "module", f"{compared} of {len(PROGRAMS)} programs match, differs on purpose: {differing}"
    )
    assert len(PROGRAMS) == 106
    assert set(DIFFERS_ON_PURPOSE) <= set(PROGRAMS)
    assert not absent
