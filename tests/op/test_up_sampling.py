"""UpSampling against restatements pixel by pixel, its rules of shapes, and its use in a module."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxtrain as mx
from mxtrain import symbol as sym
from mxtrain.errors import MXNetError

small = st.integers(1, 3)


def nearest(*names: str, **attrs: Any) -> Any:
    return sym.UpSampling(*map(sym.Variable, names), sample_type="nearest", name="op", **attrs)


def bilinear(scale: int, channels: int, **attrs: Any) -> Any:
    data = sym.Variable("data")
    attrs = {"scale": scale, "num_filter": channels, "num_args": 2, **attrs}
    return sym.UpSampling(data, sample_type="bilinear", name="op", **attrs)


def bound(net: Any, grad_req: Any = "write", **arrays: np.ndarray) -> Any:
    executor = net.simple_bind(
        grad_req=grad_req,
        type_dict={name: array.dtype for name, array in arrays.items()},
        **{name: array.shape for name, array in arrays.items()},
    )
    executor.forward(is_train=True, **arrays)
    return executor


def stamped(x: np.ndarray, w: np.ndarray, scale: int) -> np.ndarray:
    """A stamp of the kernel, times the pixel, every `scale` pixels; then the border is cut."""
    n, c, height, width = x.shape
    length, pad = w.shape[-1], int(np.ceil((scale - 1) / 2))
    whole = np.zeros((n, c, scale * (height - 1) + length, scale * (width - 1) + length))
    for i, j in np.ndindex(height, width):
        place = whole[:, :, scale * i : scale * i + length, scale * j : scale * j + length]
        place += x[:, :, i, j, None, None] * w[:, 0]
    return whole[:, :, pad : pad + scale * height, pad : pad + scale * width]


@settings(deadline=None, max_examples=40)
@given(scale=st.integers(1, 6), shape=st.tuples(small, small, small, small))
def test_bilinear_is_a_transposed_convolution(scale: int, shape: tuple[int, ...]) -> None:
    """The output, and both gradients as the adjoints of the two linear maps."""
    random = np.random.default_rng(0)
    length = 2 * scale - scale % 2
    x, w = random.normal(size=shape), random.normal(size=(shape[1], 1, length, length))
    executor = bound(bilinear(scale, shape[1]), data=x, op_weight=w)
    wanted = stamped(x, w, scale)
    np.testing.assert_allclose(executor.outputs[0], wanted, rtol=1e-12, atol=1e-12)
    head = random.normal(size=wanted.shape)
    executor.backward(head)
    for name, moved in (
        ("data", stamped(x + 1, w, scale)),
        ("op_weight", stamped(x, w + 1, scale)),
    ):
        total = executor.grad_dict[name].asnumpy().sum()
        np.testing.assert_allclose(total, (head * (moved - wanted)).sum(), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(small, small, small, small),
    factors=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    mode=st.sampled_from(["concat", "sum"]),
)
def test_nearest_repeats(shape: tuple[int, ...], factors: list[int], mode: str) -> None:
    """Input i is enlarged by the product of the factors from i on, so that all end up equal."""
    random = np.random.default_rng(0)
    scales = [int(np.prod(factors[i:])) for i in range(len(factors))]
    sizes = [[n * scales[0] // scale for n in shape[2:]] for scale in scales]
    arrays = {f"x{i}": random.normal(size=(*shape[:2], *size)) for i, size in enumerate(sizes)}
    executor = bound(nearest(*arrays, scale=scales[0], multi_input_mode=mode), **arrays)
    large = [
        array.repeat(scale, axis=2).repeat(scale, axis=3)
        for array, scale in zip(arrays.values(), scales, strict=True)
    ]
    wanted = sum(large[1:], large[0]) if mode == "sum" else np.concatenate(large, axis=1)
    np.testing.assert_array_equal(executor.outputs[0], wanted)
    executor.backward(np.ones(wanted.shape))
    for name, scale in zip(arrays, scales, strict=True):
        assert (executor.grad_dict[name].asnumpy() == scale**2).all()


@pytest.mark.parametrize("wanted", ["data", "op_weight"])
def test_one_gradient_alone_is_the_same(wanted: str) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "data": random.normal(size=(2, 3, 4, 5)),
        "op_weight": random.normal(size=(3, 1, 5, 5)),
    }
    found = []
    for requests in ("write", {"data": "null", "op_weight": "null", wanted: "write"}):
        executor = bound(bilinear(3, 3), requests, **arrays)
        executor.backward(np.ones((2, 3, 12, 15)))
        found.append(executor.grad_dict[wanted].asnumpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_type_of_float(dtype: str) -> None:
    x = np.arange(12, dtype=dtype).reshape(1, 1, 3, 4)
    for net in (nearest("data", scale=2), bilinear(2, 1)):
        executor = bound(net, data=x)
        executor.backward(np.ones((1, 1, 6, 8), dtype))
        assert executor.outputs[0].dtype == executor.grad_dict["data"].dtype == dtype


@pytest.mark.parametrize("scale", [2, 3, 4, 7])
def test_a_module_starts_with_interpolating_weights(scale: int) -> None:
    """A plane stays a plane away from the border, and the weights are those of `Bilinear`."""
    module = mx.mod.Module(bilinear(scale, 2), data_names=("data",), label_names=None)
    module.bind([("data", (1, 2, 6, 6))], for_training=False)
    module.init_params(mx.init.Xavier())
    row, column = np.mgrid[:6, :6]
    x = np.broadcast_to(3 * row - 2 * column + 1, (1, 2, 6, 6)).astype(np.float32)
    module.forward(mx.io.DataBatch([mx.nd.array(x)], None))
    out = module.get_outputs()[0].asnumpy()[0, 0, scale:-scale, scale:-scale]
    np.testing.assert_allclose(np.diff(out, axis=0), 3 / scale, atol=1e-4)
    np.testing.assert_allclose(np.diff(out, axis=1), -2 / scale, atol=1e-4)


def test_num_args_says_nothing_in_bilinear_mode() -> None:
    attrs = {"scale": 2, "sample_type": "bilinear", "num_filter": 3}
    net = sym.UpSampling(sym.Variable("data"), name="up", **attrs)
    assert net.list_arguments() == ["data", "up_weight"]
    again = sym.load_json(net.tojson())
    assert again.infer_shape(data=(1, 3, 2, 2))[0] == [(1, 3, 2, 2), (3, 1, 4, 4)]


def test_own_initializer_of_the_weight_stays() -> None:
    weight = sym.Variable("w", init=mx.init.Constant(2))
    attrs = {"scale": 2, "sample_type": "bilinear", "num_filter": 1}
    net = sym.UpSampling(sym.Variable("data"), weight, **attrs)
    assert json.loads(net.attr_dict()["w"]["__init__"]) == ["constant", {"value": 2}]


def test_partial_shapes() -> None:
    net = nearest("a", "b", scale=2)
    _, (out,), _ = net.infer_shape_partial(a=(0, 2, 3, 0), b=(5, 1, 6, 4))
    assert out == (5, 3, 6, 0)
    _, (out,), _ = net.infer_shape_partial(a=(4, 2, 3, 3))
    assert out == (4, 0, 6, 6)
    arguments, (out,), _ = bilinear(3, 2).infer_shape_partial(data=(4, 0, 2, 0))
    assert (arguments, out) == ([(4, 2, 2, 0), (2, 1, 5, 5)], (4, 2, 6, 0))


TWO = ("a", "b")


@pytest.mark.parametrize(
    ("net", "shapes", "words"),
    [
        (
            nearest("a", scale=2),
            {"a": (3, 4)},
            r"op.*arg0 should be \(N, C, H, W\), it is \(3, 4\)",
        ),
        (
            nearest(*TWO, scale=2),
            {"a": (1, 2, 3, 3), "b": (1, 2, 4, 6)},
            r"4 x 6 pixels does not grow to the output's 6 x 6",
        ),
        (
            nearest(*TWO, scale=2),
            {"a": (1, 2, 2, 2), "b": (1, 2, 8, 8)},
            r"8 x 8 pixels does not grow to the output's 4 x 4",
        ),
        (
            nearest(*TWO, scale=2, multi_input_mode="sum"),
            {"a": (1, 2, 2, 2), "b": (1, 3, 2, 2)},
            "one number of channels, these have 2 and 3",
        ),
        (
            nearest(*TWO, scale=2),
            {"a": (1, 2, 2, 2), "b": (4, 2, 2, 2)},
            "an axis of 1 against one of 4",
        ),
        (bilinear(2, 3), {"data": (1, 2, 4, 4)}, "number of channels of data, 2; it is 3"),
        (bilinear(2, 0), {"data": (1, 2, 4, 4)}, "number of channels of data, 2; it is 0"),
        (bilinear(2, 0), {"op_weight": (2, 1, 4, 4)}, "number of channels of data; it is 0"),
        (
            bilinear(2, 2),
            {"data": (1, 2, 4, 4), "op_weight": (2, 1, 3, 3)},
            r"weight should be \(2, 1, 4, 4\), it is \(2, 1, 3, 3\)",
        ),
    ],
)
def test_shapes_that_do_not_fit(net: Any, shapes: dict[str, Any], words: str) -> None:
    with pytest.raises(MXNetError, match=words):
        net.infer_shape(**shapes)


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"sample_type": "nearest"}, "needs the attribute 'scale'"),
        ({"scale": 2}, "needs the attribute 'sample_type'"),
        ({"scale": 0, "sample_type": "nearest"}, "scale='0' is not an integer >= 1"),
        ({"scale": 2, "sample_type": "linear"}, "one of nearest, bilinear"),
        (
            {"scale": 2, "sample_type": "nearest", "multi_input_mode": "add"},
            "one of concat, sum",
        ),
    ],
)
def test_attributes_that_do_not_fit(attrs: dict[str, Any], words: str) -> None:
    with pytest.raises(MXNetError, match=words):
        sym.UpSampling(sym.Variable("data"), **attrs)


def test_bilinear_takes_two_inputs() -> None:
    inputs = [sym.Variable(name) for name in "abc"]
    with pytest.raises(MXNetError, match=r"takes 2 inputs \(data, weight\), 3 were given"):
        sym.UpSampling(*inputs, scale=2, sample_type="bilinear", num_filter=2)
