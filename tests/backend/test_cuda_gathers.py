"""Rows taken, added up and put by number, by kernels compiled for the host: NumPy's bits."""

from __future__ import annotations

import platform
from types import MethodType
from typing import Any

import numpy as np
import pytest
from cuda_on_host import stand_in_for_a_gpu
from device_lines import assert_same_bits, both
from host_device import COMPILER, HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import backend
from mxtrain import symbol as sym
from mxtrain.backend.cuda.device import Launch, Multiply
from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.indexed import add_rows, put_distinct
from mxtrain.backend.numpy import Line

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
DTYPES = ["float32", "float64", "float16", "int32", "int64", "uint8", "int8", "bool"]
# Lengths of (a, axis of the table, chosen, b), beyond a block of threads too.
SHAPES = [(1, 1, 1, 1), (1, 5, 3, 4), (2, 3, 7, 5), (3, 4, 2, 1), (1, 300, 700, 3)]


@pytest.fixture(scope="module")
def cupy() -> CupyBackend:
    return CupyBackend(HostDevice())


def numbers(cupy: CupyBackend, shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=shape) * 50
    if dtype[0] != "f":
        values = np.abs(values)
    return cupy.from_host(values.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_taken(cupy: CupyBackend, shape: tuple[int, int, int, int], dtype: str) -> None:
    lead, length, chosen, tail = shape
    source = numbers(cupy, (lead, length, tail), dtype)
    beyond = np.random.default_rng(1).integers(-length, 2 * length, chosen)
    index, out = cupy.from_host(beyond), cupy.zeros((lead, chosen, tail), dtype)
    (wanted,) = both(cupy, [(np.take, (source, index, 1, out, "clip"))], out)
    assert_same_bits(out, wanted)


def test_elements_of_a_vector_are_taken(cupy: CupyBackend) -> None:
    source = cupy.from_host(np.array([np.nan, -0.0, 3, np.inf], "f"))
    index, out = cupy.from_host(np.array([3, 0, 1, 99, -99])), cupy.zeros((5,), "f")
    (wanted,) = both(cupy, [(np.take, (source, index, 0, out, "clip"))], out)
    assert_same_bits(out, wanted)


def row_sum(cupy: CupyBackend, index: Any, head: np.ndarray, grad: np.ndarray) -> Line:
    """The line that `op/indexing.py` adds."""
    lead, length, tail = grad.shape
    start = np.arange(lead)[:, None] * length * tail + np.arange(tail)
    return add_rows, (
        cupy.from_host(np.asarray(index, np.int64)),
        head,
        grad,
        cupy.from_host(start.reshape(lead, 1, tail)),
        cupy.empty((len(index),), np.int64),
        cupy.empty(head.shape, np.int64),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_added_up_in_numpys_order(
    cupy: CupyBackend, shape: tuple[int, int, int, int], dtype: str
) -> None:
    lead, length, chosen, tail = shape
    index = np.random.default_rng(2).integers(0, length, chosen)
    grad, head = (numbers(cupy, (lead, n, tail), dtype, n) for n in (length, chosen))
    (wanted,) = both(cupy, [row_sum(cupy, index, head, grad)], grad)
    assert_same_bits(grad, wanted)


@settings(max_examples=20)
@given(index=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_any_repetition_of_rows(cupy: CupyBackend, index: list[int]) -> None:
    head = numbers(cupy, (1, len(index), 2), "float32")
    grad = cupy.zeros((1, 4, 2), "f")
    (wanted,) = both(cupy, [row_sum(cupy, index, head, grad)], grad)
    assert_same_bits(grad, wanted)


def test_nan_stays_in_its_row(cupy: CupyBackend) -> None:
    head = cupy.from_host(np.array([[[np.nan], [1], [np.inf], [2], [-np.inf]]], "f"))
    grad = cupy.zeros((1, 3, 1), "f")
    (wanted,) = both(cupy, [row_sum(cupy, [0, 1, 2, 1, 2], head, grad)], grad)
    assert_same_bits(grad, wanted)
    assert np.isnan(grad[0, :, 0]).tolist() == [True, False, True]


def test_one_row_for_a_whole_batch(cupy: CupyBackend) -> None:
    head, grad = numbers(cupy, (1, 1000, 3), "float32"), cupy.zeros((1, 9, 3), "f")
    (wanted,) = both(cupy, [row_sum(cupy, [4] * 1000, head, grad)], grad)
    assert_same_bits(grad, wanted)


def test_elements_are_put(cupy: CupyBackend) -> None:
    target = numbers(cupy, (600,), "float16")
    index = cupy.from_host(np.random.default_rng(0).permutation(600)[:500])
    values = numbers(cupy, (500,), "float16", 1)
    (wanted,) = both(cupy, [(put_distinct, (target, index, values))], target)
    assert_same_bits(target, wanted)


def test_nothing_to_choose_is_the_hosts(cupy: CupyBackend) -> None:
    none, table = cupy.zeros((0,), np.int64), cupy.zeros((1, 3, 2), "f")
    nothing = cupy.zeros((1, 0, 2), "f")
    assert read_line(row_sum(cupy, [], nothing, table)) is None
    cupy.join([(np.take, (table, none, 1, nothing, "clip"))])[0][0][0]()
    gaps = cupy.zeros((1, 3, 4), "f")[..., ::2]
    assert read_line((np.take, (gaps, none, 1, nothing, "clip"))) is None
    assert read_line((np.take, (table, none, 1, nothing, "wrap"))) is None


INDICES = {
    "float32": [0.0, 3.9, -2.5, 7.0, np.nan, np.inf, -np.inf, 1e30, 3.0],
    "float16": [0.0, 3.9, -2.5, 7.0, np.nan, np.inf, -np.inf, 65504, 3.0],
    "float64": [0.0, 3.9, -2.5, 2.0**63, np.nan, 9.3e18, -np.inf, -1e300, 3.0],
    "int32": [0, 3, -2, 7, -(2**31), 2**31 - 1, 1, 3, 2],
    "uint8": [0, 3, 255, 7, 1, 3, 2, 0, 0],
}


def computed(net: Any, x: np.ndarray, index: np.ndarray, on_device: bool) -> list[np.ndarray]:
    """The output and the gradient of x; on a device without the host."""
    x, index, grad = map(backend.get().from_host, (x, index, np.full_like(x, np.nan)))
    executor = net.bind(None, {"x": x, "i": index}, {"x": grad}, {"x": "write"})
    with np.errstate(invalid="ignore"):
        (out,) = executor.forward(is_train=True)
        head = np.random.default_rng(1).normal(size=out.shape).astype(out.dtype)
        executor.backward([head])
    programs = [executor.plan.forward(True), executor.plan.backward(True)[0]]
    kinds = {type(kernel) for program in programs for kernel, _ in program.lines}
    assert (kinds <= {Launch, Multiply, MethodType}) == on_device
    return [out.asnumpy(), executor.grad_dict["x"].asnumpy()]


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="floats without an equal differ elsewhere"
)
@pytest.mark.parametrize("op", ["Embedding", "take", "wrap", "pick", "one_hot"])
@pytest.mark.parametrize("dtype", INDICES)
def test_operators_choose_what_numpy_chooses(
    monkeypatch: pytest.MonkeyPatch, op: str, dtype: str
) -> None:
    index = np.array(INDICES[dtype], dtype)
    nets = {
        "Embedding": lambda x, i: sym.Embedding(i, x, input_dim=4, output_dim=3),
        "take": lambda x, i: sym.take(x, i),
        "wrap": lambda x, i: sym.take(x, i, mode="wrap"),
        "pick": lambda x, i: sym.pick(x, i),
        "one_hot": lambda x, i: sym.broadcast_mul(sym.one_hot(i, depth=4), sym.sum(x)),
    }
    net = nets[op](sym.Variable("x"), sym.Variable("i"))
    rows = len(index) if op == "pick" else 4
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype("f")
    found = []
    with stand_in_for_a_gpu():
        for name in ("numpy", "cupy"):
            monkeypatch.setenv(backend.VARIABLE, name)
            found += computed(net, x, index, name == "cupy")
    assert_same_bits(found[2], found[0])
    if op == "one_hot":
        np.testing.assert_allclose(found[3], found[1], rtol=1e-6)
    else:
        assert_same_bits(found[3], found[1])
