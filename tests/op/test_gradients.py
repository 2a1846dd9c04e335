"""Every operator's gradient against central differences of its forward, in float64.

The cases stand in the tables ``gradient_cases_*.py`` beside this file: operator, attributes,
inputs (an array, or a shape to fill with normal numbers), the inputs to differentiate for,
auxiliary arrays, and for losses the number the gradient belongs to. The others are tested through
the sum of the outputs times fixed random heads. Operators without a case stand, with the reason, in
the tables' ``WITHOUT_GRADIENT``.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.op import registry

STEP = 1e-6
TABLES = [
    importlib.import_module(path.stem)
    for path in sorted(Path(__file__).parent.glob("gradient_cases_*.py"))
]
CASES = [case for table in TABLES for case in table.CASES]
WITHOUT_GRADIENT = {k: v for table in TABLES for k, v in table.WITHOUT_GRADIENT.items()}


def label_of(case: dict[str, Any]) -> str:
    shapes = [str(np.shape(v) or v) for v in case["inputs"].values()]
    attrs = [f"{key}={value}" for key, value in case["attrs"].items()]
    return " ".join([case["op"], *attrs, *shapes[:1]])


def numbers(value: Any, random: np.random.Generator) -> np.ndarray:
    """Return the input: a tuple is the shape of normal numbers, anything else the values."""
    if isinstance(value, tuple):
        return random.normal(size=value)
    return np.array(value, dtype=value.dtype if isinstance(value, np.ndarray) else np.float64)


class Checked:
    """A case bound in float64, with its forward as a function of one input."""

    def __init__(self, case: dict[str, Any]) -> None:
        random = np.random.default_rng(7)
        self.loss = case.get("loss")
        self.inputs = {name: numbers(v, random) for name, v in case["inputs"].items()}
        variables = [sym.Variable(name) for name in self.inputs]
        net = getattr(sym, case["op"])(*variables, name="op", **case["attrs"])
        aux = {f"op_{name}": v.copy() for name, v in case.get("aux", {}).items()}
        for name in net.list_auxiliary_states():
            aux.setdefault(name, np.zeros(self._size(net, name)))
        requests = {name: "write" if name in case["wrt"] else "null" for name in self.inputs}
        gradients = {name: np.full_like(self.inputs[name], np.nan) for name in case["wrt"]}
        self.executor = net.bind(None, self.inputs, gradients, requests, aux)
        self.heads = [random.normal(size=out.shape) for out in self.executor.outputs]

    def _size(self, net: Any, name: str) -> Any:
        _, _, shapes = net.infer_shape(**{k: v.shape for k, v in self.inputs.items()})
        return dict(zip(net.list_auxiliary_states(), shapes, strict=True))[name]

    def value(self) -> float:
        outputs = [out.asnumpy() for out in self.executor.forward(is_train=True)]
        if self.loss is not None:
            return float(self.loss(outputs, self.inputs))
        return sum(float((out * head).sum()) for out, head in zip(outputs, self.heads, strict=True))

    def gradient(self, name: str) -> np.ndarray:
        self.executor.forward(is_train=True)
        self.executor.backward(None if self.loss is not None else self.heads)
        return self.executor.grad_dict[name].asnumpy()

    def differences(self, name: str) -> np.ndarray:
        values, found = self.inputs[name], np.zeros(self.inputs[name].shape)
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + STEP
            above = self.value()
            values[place] = kept - STEP
            found[place] = (above - self.value()) / (2 * STEP)
            values[place] = kept
        return found


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("case", CASES, ids=label_of)
def test_gradient_is_that_of_central_differences(case: dict[str, Any]) -> None:
    checked = Checked(case)
    for name in case["wrt"]:
        found = checked.gradient(name)
        np.testing.assert_allclose(
            found, checked.differences(name), rtol=1e-6, atol=1e-7, err_msg=name
        )


def test_every_operator_has_a_case() -> None:
    covered = {registry.name_of(registry.get(case["op"])) for case in CASES}
    missing = sorted(set(registry.names()) - covered - set(WITHOUT_GRADIENT))
    assert not missing, f"no gradient case and no reason for none: {', '.join(missing)}"
