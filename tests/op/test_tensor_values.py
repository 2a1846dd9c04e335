"""The tensor operators against NumPy, for attributes and values that the goldens leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.op import registry

X = np.random.default_rng(3).normal(size=(3, 4, 2))


def run(op: str, *arrays: Any, **attrs: Any) -> np.ndarray:
    arguments = {f"in{i}": np.array(array, order="C") for i, array in enumerate(arrays)}
    net = getattr(sym._internal, op)(*map(sym.Variable, arguments), **attrs)
    return net.eval(**arguments)[0].asnumpy()


def gradient(op: str, head: Any, *arrays: Any, **attrs: Any) -> np.ndarray:
    """The gradient of the first input."""
    arguments = {f"in{i}": np.array(array, order="C") for i, array in enumerate(arrays)}
    net = getattr(sym._internal, op)(*map(sym.Variable, arguments), **attrs)
    found = np.full(arguments["in0"].shape, np.nan)
    executor = net.bind(None, arguments, {"in0": found}, {"in0": "write"})
    executor.forward(is_train=True)
    executor.backward(np.array(head))
    return found


UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log2": np.log2,
    "log10": np.log10,
    "rcbrt": lambda x: 1 / np.cbrt(x),
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsinh": np.arcsinh,
    "arctanh": np.arctanh,
    "degrees": np.degrees,
    "radians": np.radians,
    "logical_not": lambda x: np.logical_not(x) * 1.0,
}


@pytest.mark.parametrize("op", UNARY)
def test_unary(op: str) -> None:
    x = np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(run(op, x), UNARY[op](x), rtol=1e-14)


def test_log10_of_powers_of_ten_is_whole() -> None:
    np.testing.assert_array_equal(run("log10", [1.0, 10.0, 1000.0]), [0, 1, 3])


HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 2.0**52 + 1])
ROUNDED = {
    "round": [-3, -2, -1, 1, 2, 3, 0, 2.0**52 + 1],
    "rint": [-3, -2, -1, 0, 1, 2, 0, 2.0**52 + 1],
    "fix": [-2, -1, 0, 0, 1, 2, 0, 2.0**52 + 1],
    "floor": [-3, -2, -1, 0, 1, 2, 0, 2.0**52 + 1],
    "ceil": [-2, -1, 0, 1, 2, 3, 1, 2.0**52 + 1],
}


@pytest.mark.parametrize("op", ROUNDED)
def test_rounding_of_halves(op: str) -> None:
    np.testing.assert_array_equal(run(op, HALVES), ROUNDED[op])


def test_integers_are_computed_as_fractions_and_truncated() -> None:
    x = np.array([7, -7, 2], np.int32)
    assert run("_div_scalar", x, scalar=2).tolist() == [3, -3, 1]
    assert run("_plus_scalar", x, scalar=1.5).tolist() == [8, -5, 3]
    assert run("elemwise_div", x, np.array([2, 2, 2], np.int32)).tolist() == [3, -3, 1]
    assert run("sqrt", np.array([10, 16], np.int32)).tolist() == [3, 4]
    assert run("_power", x, np.array([-1, 2, 3], np.int32)).tolist() == [0, 49, 8]
    assert run("mean", x, axis=0).tolist() == [0]
    assert run("norm", x, axis=0).tolist() == [10]
    assert run("elemwise_add", x, x).dtype == np.int32


def test_cast_truncates() -> None:
    found = run("Cast", [1.9, -1.9, 300.0], dtype="int32")
    assert found.tolist() == [1, -1, 300]
    assert found.dtype == np.int32


AXES: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "exclude": True},
    {"axis": (0, 1, 2), "keepdims": True},
    {"axis": ()},
]
REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "norm": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis, keepdims=keepdims)),
}


@pytest.mark.parametrize("attrs", AXES, ids=str)
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions(op: str, attrs: dict[str, Any]) -> None:
    axis = (0, 1, 2) if attrs.get("axis") in (None, ()) else attrs["axis"]
    axes = {a % 3 for a in (axis if isinstance(axis, tuple) else (axis,))}
    if attrs.get("exclude"):
        axes = {0, 1, 2} - axes
    expected = REDUCTIONS[op](X, axis=tuple(axes), keepdims=attrs.get("keepdims", False))
    found = run(op, X, **attrs)
    assert found.shape == (np.shape(expected) or (1,))
    np.testing.assert_allclose(found.reshape(np.shape(expected)), expected, rtol=1e-13)


def test_l1_norm() -> None:
    np.testing.assert_allclose(run("norm", X, ord=1, axis=1), np.abs(X).sum(1))
    with pytest.raises(MXNetError, match="ord='3' is not an integer >= 1 and <= 2"):
        run("norm", X, ord=3)


def test_gradients_where_mxnet_divides_zero_by_zero() -> None:
    np.testing.assert_array_equal(gradient("norm", [1.0], np.zeros(3)), np.zeros(3))
    np.testing.assert_array_equal(gradient("prod", [1.0], [0.0, 2.0, 3.0]), [6, 0, 0])
    np.testing.assert_array_equal(gradient("prod", [1.0], [0.0, 0.0, 3.0]), [0, 0, 0])
    arrays = {"base": np.zeros(2), "exponent": np.array([2.0, 0.5])}
    found = np.full(2, np.nan)
    net = sym.Variable("base") ** sym.Variable("exponent")
    executor = net.bind(None, arrays, {"exponent": found}, {"exponent": "write"})
    executor.forward(is_train=True)
    executor.backward(np.ones(2))
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("attrs", [{}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"axis": -1}])
@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_searches(op: str, attrs: dict[str, Any]) -> None:
    expected = getattr(np, op)(X, **attrs)
    np.testing.assert_array_equal(run(op, X, **attrs), np.reshape(expected, expected.shape or (1,)))


def test_the_first_of_equals_wins() -> None:
    assert run("argmax", [[1.0, 3.0, 3.0]], axis=1).tolist() == [1]
    assert run("argmin", [[1.0, 1.0], [0.0, 1.0]], axis=0).tolist() == [1, 0]
    assert run("argmax", X[0], axis=None, keepdims=True).shape == (1, 1)


shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=4, max_side=4))
def test_broadcasting_is_numpys(pair: Any) -> None:
    a, b = (np.arange(1.0, np.prod(shape) + 1).reshape(shape) for shape in pair.input_shapes)
    np.testing.assert_array_equal(run("broadcast_add", a, b), a + b)
    head = np.random.default_rng(0).normal(size=pair.result_shape)
    lead = len(pair.result_shape) - a.ndim
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(a.shape) if n != pair.result_shape[lead + i]
    )
    expected = (head * b).sum(axes).reshape(a.shape)
    np.testing.assert_allclose(gradient("broadcast_mul", head, a, b), expected, atol=1e-12)


@given(shapes, st.data())
def test_transpose_is_numpys(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    x = np.arange(np.prod(shape)).reshape(shape) * 1.0
    expected = x.transpose(axes)
    np.testing.assert_array_equal(run("transpose", x, axes=tuple(axes)), expected)
    np.testing.assert_array_equal(gradient("transpose", expected, x, axes=tuple(axes)), x)


@given(st.integers(1, 6), st.data())
def test_slice_is_pythons(n: int, data: st.DataObject) -> None:
    bound = st.none() | st.integers(-7, 7)
    begin, end = data.draw(bound), data.draw(bound)
    step = data.draw(st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3]))
    x = np.arange(1.0, n + 1)
    expected = x[begin:end:step]
    attrs = {"begin": (begin,), "end": (end,), "step": (step,)}
    if expected.size == 0:
        with pytest.raises(MXNetError, match="takes nothing of axis 0"):
            run("slice", x, **attrs)
        return
    np.testing.assert_array_equal(run("slice", x, **attrs), expected)
    kept = np.isin(x, expected) * x
    np.testing.assert_array_equal(gradient("slice", expected, x, **attrs), kept)


@given(shapes, st.lists(st.integers(1, 3), min_size=1, max_size=5))
def test_tile_is_numpys(shape: tuple[int, ...], reps: list[int]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape) * 1.0
    found = run("tile", x, reps=tuple(reps))
    np.testing.assert_array_equal(found, np.tile(x, reps))
    copies = found.size // x.size
    np.testing.assert_array_equal(gradient("tile", found, x, reps=tuple(reps)), x * copies)


@given(shapes, st.integers(1, 3), st.data())
def test_repeat_is_numpys(shape: tuple[int, ...], repeats: int, data: st.DataObject) -> None:
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    x = np.arange(np.prod(shape)).reshape(shape) * 1.0
    found = run("repeat", x, repeats=repeats, axis=axis)
    np.testing.assert_array_equal(found, np.repeat(x, repeats, axis))
    np.testing.assert_array_equal(
        gradient("repeat", found, x, repeats=repeats, axis=axis), x * repeats
    )


@given(shapes, st.data())
def test_reshape_keeps_the_order_of_the_elements(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    """Splitting off, merging and inferring axes never moves an element."""
    cut = data.draw(st.integers(0, len(shape)))
    x = np.arange(np.prod(shape)).reshape(shape)
    kept = (0,) * cut
    for codes in ((*kept, -2), (*kept, -1) if cut < len(shape) else kept, (-1, *shape[cut:])):
        found = run("Reshape", x, shape=codes)
        np.testing.assert_array_equal(found.reshape(-1), x.reshape(-1))
        assert found.shape[: len(kept)] == shape[:cut] or codes[0] == -1


def test_reversed_codes_split_the_last_axes() -> None:
    assert run("Reshape", np.zeros((5, 12)), shape=(0, -4, 3, -1), reverse=True).shape == (5, 3, 4)
    assert run("Reshape", np.zeros((12, 5)), shape=(-4, -1, 3, 0), reverse=True).shape == (4, 3, 5)


def test_a_place_to_infer_after_a_split() -> None:
    assert run("Reshape", np.zeros((6, 2, 2)), shape=(-4, 2, 3, -1)).shape == (2, 3, 4)
    assert run("Reshape", np.zeros((6, 2)), target_shape=(0, 3)).shape == (4, 3)
    assert run("Reshape", np.zeros((6, 2)), target_shape=(9, 0), keep_highest=True).shape == (6, 2)


INDICES = np.array([[0.0, 2.9], [-1.0, 7.0]])
CHOSEN = {"clip": [[0, 2], [0, 3]], "wrap": [[0, 2], [3, 3]]}


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("mode", CHOSEN)
def test_take(mode: str, axis: int) -> None:
    x = np.random.default_rng(1).normal(size=(4, 4, 4))
    found = run("take", x, INDICES, axis=axis, mode=mode)
    np.testing.assert_array_equal(found, np.take(x, CHOSEN[mode], axis))


def test_take_may_refuse() -> None:
    assert run("take", X, [2.0], mode="raise").shape == (1, 4, 2)
    with pytest.raises(MXNetError, match=r"an index is outside the axis of 3; .* from -1 to 7"):
        run("take", X, INDICES, mode="raise")


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_pick(axis: int, keepdims: bool) -> None:
    n = X.shape[axis]
    kept = np.expand_dims(np.take(X, 0, axis), axis).shape
    index = np.random.default_rng(2).integers(0, n, kept)
    expected = np.take_along_axis(X, index, axis)
    given_index = index if keepdims else index.reshape(np.take(X, 0, axis).shape)
    found = run("pick", X, given_index * 1.0, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(found, expected if keepdims else expected.squeeze(axis))


def test_one_hot() -> None:
    found = run("one_hot", [[1.7, -1.0], [3.0, 0.0]], depth=3, on_value=5, off_value=-1)
    assert found.tolist() == [[[-1, 5, -1], [-1, -1, -1]], [[-1, -1, -1], [5, -1, -1]]]
    assert found.dtype == np.float32
    assert run("one_hot", np.array([1], np.int32), depth=2, dtype="int32").dtype == np.int32


@pytest.mark.parametrize("turn", [(a, b) for a in (False, True) for b in (False, True)], ids=str)
def test_products(turn: tuple[bool, bool]) -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(size=(2, 3, 4)), random.normal(size=(2, 4, 5))
    stored = [m.swapaxes(-1, -2) if t else m for m, t in zip((a, b), turn, strict=True)]
    attrs = {"transpose_a": turn[0], "transpose_b": turn[1]}
    np.testing.assert_allclose(run("batch_dot", *stored, **attrs), a @ b)
    np.testing.assert_allclose(run("dot", *(m[0] for m in stored), **attrs), a[0] @ b[0])


def test_products_of_more_axes() -> None:
    a, b = np.random.default_rng(5).normal(size=(2, 3, 4)), np.eye(4)[:, :, None] * [1.0, 2.0]
    np.testing.assert_allclose(run("dot", a, b), np.tensordot(a, b, 1))
    np.testing.assert_allclose(run("dot", [1.0, 2.0], [3.0, 4.0]), [11])


def test_where_by_rows() -> None:
    found = run("where", [1.0, 0.0], [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    assert found.tolist() == [[1, 2], [7, 8]]


def test_every_binary_function_exists_in_three_forms() -> None:
    names = {n.removeprefix("broadcast_") for n in registry.names() if n.startswith("broadcast_")}
    for name in names - {"to", "axis", "like"}:
        whole = {"add": "plus", "sub": "minus"}.get(name, name)
        assert f"_{whole}_scalar" in registry
        assert f"_{name}" in registry or f"elemwise_{name}" in registry
