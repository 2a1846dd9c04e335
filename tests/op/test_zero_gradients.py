"""Operators whose gradient is zero by definition: comparisons, rounding, searches, constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradient_cases_tensor import LEFT, WITHOUT_GRADIENT

from mxtrain import symbol as sym
from mxtrain.op import registry

ATTRS: dict[str, dict[str, Any]] = {"one_hot": {"depth": 3}}


@pytest.mark.parametrize("op", WITHOUT_GRADIENT)
def test_gradient_is_zero(op: str) -> None:
    attrs = {"scalar": 0.45} if op.endswith("_scalar") else ATTRS.get(op, {})
    names = registry.get(op).argument_names
    net = getattr(sym._internal, op)(*map(sym.Variable, names), **attrs)
    arrays = {name: LEFT.copy() for name in names}
    gradients = {name: np.full(LEFT.shape, np.nan) for name in names}
    executor = net.bind(None, arrays, gradients)
    (out,) = executor.forward(is_train=True)
    executor.backward(np.ones(out.shape))
    for gradient in gradients.values():
        np.testing.assert_array_equal(gradient, 0)
