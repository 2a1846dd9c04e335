"""Inference computes in reused buffers: the same bits, with less memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import symbol as sym
from mxtrain.executor.memory import Pool
from mxtrain.symbol import Symbol

ROWS, COLUMNS = 4, 6
OPS = Path(__file__).parent.parent / "golden" / "ops"
CASES = {case["id"]: case for case in json.loads((OPS / "manifest.json").read_text())["cases"]}
Make = Callable[..., Symbol]


def halves(x: Symbol) -> Symbol:
    """The rows in the other order of halves; each half is a view."""
    top, bottom = sym.SliceChannel(x, num_outputs=2, axis=0)
    return sym.Concat(bottom, top, dim=0)


def there_and_back(x: Symbol) -> Symbol:
    return sym.Reshape(sym.Reshape(x, shape=(-1,)), shape=(ROWS, COLUMNS))


def shifted(x: Symbol) -> Symbol:
    mean, variance = sym.BatchNorm(x, output_mean_var=True)[1:3]
    return sym.broadcast_sub(sym.broadcast_mul(x, sym.expand_dims(variance, axis=0)), mean)


ONE: list[Make] = [
    halves,
    there_and_back,
    shifted,
    lambda x: sym.BatchNorm(x),
    lambda x: sym.FullyConnected(x, num_hidden=COLUMNS),
    lambda x: sym.FullyConnected(sym.FullyConnected(x, num_hidden=50), num_hidden=COLUMNS),
    lambda x: sym.Activation(x, act_type="tanh"),
    lambda x: sym.LeakyReLU(x, act_type="gelu"),
    lambda x: sym.Dropout(x, p=0.5),
    lambda x: sym.Dropout(x, p=0),
    lambda x: sym.L2Normalization(x),
    lambda x: sym.softmax(x),
    lambda x: sym.transpose(sym.transpose(x)),
    lambda x: sym.Cast(sym.Cast(x, dtype="float64"), dtype="float32"),
    sym.BlockGrad,
]
TWO: list[Make] = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: sym.where(a > b, b, a)]


@st.composite
def graphs(draw: st.DrawFn) -> Symbol:
    made = [sym.Variable("data")]
    for _ in range(draw(st.integers(1, 12))):
        near = st.integers(max(0, len(made) - 3), len(made) - 1)
        if draw(st.booleans()):
            made.append(draw(st.sampled_from(ONE))(made[draw(near)]))
        else:
            any_of_them = made[draw(st.integers(0, len(made) - 1))]
            made.append(draw(st.sampled_from(TWO))(made[draw(near)], any_of_them))
    heads = {len(made) - 1, *draw(st.lists(st.integers(0, len(made) - 1), max_size=2))}
    return sym.Group([made[number] for number in sorted(heads)])


def bound(net: Symbol, grad_req: str, shapes: dict[str, Any]) -> Any:
    executor = net.simple_bind(grad_req=grad_req, **shapes)
    rng = np.random.default_rng(1)
    for array in (*executor.arg_arrays, *executor.aux_arrays):
        array[...] = rng.uniform(0.1, 1, array.shape)
    return executor


def results(executor: Any, is_train: bool) -> list[bytes]:
    """The outputs of two passes over different data."""
    found = []
    for factor in (1.0, -2.0):
        executor.arg_arrays[0][...] *= factor
        found += [out.asnumpy().tobytes() for out in executor.forward(is_train=is_train)]
    return found


@pytest.fixture(autouse=True)
def no_clean_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes a buffer finds something in it (as floats: NaN)."""
    take = Pool.take

    def dirty(pool: Pool, needed: int) -> Any:
        raw = take(pool, needed)
        raw[...] = 255
        return raw

    monkeypatch.setattr(Pool, "take", dirty)


@settings(max_examples=150)
@given(graphs(), st.booleans())
def test_results_are_those_of_a_plan_that_keeps_everything(net: Symbol, is_train: bool) -> None:
    shapes = {"data": (ROWS, COLUMNS)}
    kept, reused = (bound(net, req, shapes) for req in ("write", "null"))
    assert reused.plan.reuses
    assert not kept.plan.reuses
    assert results(reused, is_train) == results(kept, is_train)
    kept_bytes, reused_bytes = kept.plan.nbytes(), reused.plan.nbytes()
    assert reused_bytes <= kept_bytes


@settings(max_examples=50)
@given(graphs())
def test_a_monitor_may_keep_what_it_is_shown(net: Symbol) -> None:
    seen: list[dict[str, Any]] = []
    for req in ("write", "null"):
        executor = bound(net, req, {"data": (ROWS, COLUMNS)})
        seen.append({})
        executor.set_monitor_callback(seen[-1].__setitem__)
        executor.forward()
    kept, reused = seen
    assert list(kept) == list(reused)
    for name, array in kept.items():
        assert array.tobytes() == reused[name].tobytes(), name


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if hasattr(sym, case["op"])])
def test_every_operator_gives_the_same_bits(name: str) -> None:
    case = CASES[name]
    attrs = {k: tuple(v) if isinstance(v, list) else v for k, v in case["attrs"].items()}
    inputs = {item["name"]: np.dtype(item["dtype"]) for item in case["inputs"]}
    variables = [sym.Variable(n, dtype=dtype) for n, dtype in inputs.items()]
    # Around the operator, results of other nodes that want a buffer.
    before = [
        sym.Cast(v + 0, dtype=t.name) for v, t in zip(variables, inputs.values(), strict=True)
    ]
    if case["call"] == "positional":
        net = getattr(sym, case["op"])(*before, name="op", **attrs)
    else:
        net = getattr(sym, case["op"])(name="op", **dict(zip(inputs, before, strict=True)), **attrs)
    net = sym.Group([output * 2 + 1 for output in net])
    with np.load(OPS / case["file"]) as stored:
        values = {n: stored[f"{name}/in/{n}"] for n in inputs}
        auxiliary = [stored[f"{name}/in/{item['name']}"] for item in case["aux"]]
    found = []
    for req in ("write", "null"):
        arrays = [values[n].copy() for n in net.list_arguments()]
        grads = [np.zeros_like(a) for a in arrays]
        executor = net.bind(None, arrays, grads, req, [a.copy() for a in auxiliary])
        passes = [executor.forward(is_train=False) for _ in range(2)]
        found.append([out.asnumpy().tobytes() for outs in passes for out in outs])
    assert found[0] == found[1]


def chain(layers: int) -> Symbol:
    x = sym.Variable("data")
    for _ in range(layers):
        x = sym.Activation(sym.FullyConnected(x, num_hidden=COLUMNS), act_type="relu")
    return x


@pytest.mark.parametrize("layers", [1, 2, 10, 40])
def test_a_chain_needs_two_buffers(layers: int) -> None:
    executor = bound(chain(layers), "null", {"data": (ROWS, COLUMNS)})
    executor.forward()
    assert executor.plan.nbytes() == 2 * ROWS * COLUMNS * 4


def test_a_buffer_serves_smaller_results_and_no_larger_ones() -> None:
    x = sym.FullyConnected(sym.Variable("data"), num_hidden=100)
    x = sym.FullyConnected(x, num_hidden=10)
    x = sym.FullyConnected(x, num_hidden=50)  # where the 100 were
    x = sym.FullyConnected(x, num_hidden=20)
    executor = bound(x, "null", {"data": (ROWS, COLUMNS)})
    executor.forward()
    assert executor.plan.nbytes() == (100 + 10 + 20) * ROWS * 4


def test_normalization_keeps_nothing_without_a_backward_pass() -> None:
    x = sym.Variable("data")
    for _ in range(5):
        x = sym.BatchNorm(x)
    kept, reused = (bound(x, req, {"data": (1000, 8)}) for req in ("write", "null"))
    for executor in (kept, reused):
        executor.forward()
    one = 1000 * 8 * 4
    assert kept.plan.nbytes() > 10 * one
    assert 3 * one < reused.plan.nbytes() < 4 * one


def test_an_output_that_looks_at_another_result_stays() -> None:
    x = sym.Variable("data") * 2
    early = sym.Reshape(x, shape=(-1,))
    for _ in range(4):
        x = sym.Activation(x + 1, act_type="tanh")
    executor = bound(sym.Group([x, early]), "null", {"data": (ROWS, COLUMNS)})
    executor.arg_dict["data"][:] = 3
    assert executor.forward()[1].tolist() == [6] * ROWS * COLUMNS


def test_outputs_are_zero_before_the_first_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert not bound(chain(2), "null", {"data": (ROWS, COLUMNS)}).outputs[0].any()


def test_a_module_bound_for_prediction_reuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from mxtrain.module import Module

    sizes = {}
    for for_training in (True, False):
        module = Module(chain(10), label_names=None)
        module.bind([("data", (ROWS, COLUMNS))], for_training=for_training)
        module.init_params()
        module.executor.forward(is_train=False)
        sizes[for_training] = module.executor.plan.nbytes()
    assert sizes == {True: 20 * ROWS * COLUMNS * 4, False: 2 * ROWS * COLUMNS * 4}
