"""FullyConnected: small products are computed with the weight turned around, to the same values."""

from __future__ import annotations

import numpy as np
import pytest

import mxtrain as mx
from mxtrain.op.fully_connected import LARGEST_UNPACKED


@pytest.mark.parametrize(
    ("rows", "inner", "outer"),
    [(16, 32, 32), (15, 32, 32), (16, 31, 33), (32, 64, 128), (40, 200, 125), (41, 200, 125)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_every_size(
    rows: int, inner: int, outer: int, dtype: str, each_backend: str
) -> None:
    random = np.random.default_rng(1)
    data = random.standard_normal((rows, inner)).astype(dtype)
    weight = random.standard_normal((outer, inner)).astype(dtype)
    bias = random.standard_normal(outer).astype(dtype)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=outer, name="fc")
    given = {"data": data, "fc_weight": weight, "fc_bias": bias}
    executor = net.bind(mx.cpu(), {name: mx.nd.array(a, dtype=dtype) for name, a in given.items()})
    (out,) = executor.forward()
    wide = data.astype("d") @ weight.astype("d").T + bias
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(out.asnumpy(), wide, rtol=0, atol=tolerance)


def test_the_sizes_above_lie_on_both_sides() -> None:
    assert 40 * 200 * 125 == LARGEST_UNPACKED < 41 * 200 * 125
