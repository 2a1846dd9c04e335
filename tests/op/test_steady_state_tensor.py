"""After the first step no element-wise, shape, indexing or matrix operator allocates arrays."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gradient_cases_tensor import CASES, WITHOUT_GRADIENT

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.op import registry

BYTES = 1 << 21
# NumPy converts element types in pieces of 8192 numbers; that is no array memory.
ALLOWED = BYTES // 8

ATTRS: dict[str, dict[str, Any]] = {"one_hot": {"depth": 4}}
ZERO_CASES = [
    {
        "op": op,
        "attrs": {"scalar": 0.5} if op.endswith("_scalar") else ATTRS.get(op, {}),
        "inputs": dict.fromkeys(registry.get(op).argument_names, (2, 3)),
        "wrt": [],
    }
    for op in WITHOUT_GRADIENT
]


def shape_of(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else np.shape(value)


def enlarged(shapes: dict[str, tuple[int, ...]]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Ways to make the inputs large: all axes or one of them, of all inputs or one of them."""
    largest = max(int(np.prod(shape)) for shape in shapes.values())
    rank = max(len(shape) for shape in shapes.values())
    goal = BYTES / 8 / largest
    every, one = int(np.ceil(goal ** (1 / rank))), int(np.ceil(goal))
    ways = [lambda shape: tuple(n if n == 1 else n * every for n in shape)]
    for axis in range(rank):
        ways.append(
            lambda shape, axis=axis: tuple(n * one if i == axis else n for i, n in enumerate(shape))
        )
    for way in ways:
        yield {name: way(shape) for name, shape in shapes.items()}
        for chosen in shapes:
            yield {name: way(s) if name == chosen else s for name, s in shapes.items()}


def bound(case: dict[str, Any]) -> Any:
    shapes = {name: shape_of(value) for name, value in case["inputs"].items()}
    net = getattr(sym._internal, case["op"])(*map(sym.Variable, shapes), **case["attrs"])
    for attempt in enlarged(shapes):
        try:
            arguments, outputs, _ = net.infer_shape(**attempt)
        except MXNetError:
            continue
        if BYTES <= 8 * max(np.prod(shape) for shape in [*arguments, *outputs]) <= 20 * BYTES:
            types = dict.fromkeys(shapes, "float64")
            requests = {name: "write" if name in case["wrt"] else "null" for name in shapes}
            return net.simple_bind(grad_req=requests, type_dict=types, **attempt)
    raise AssertionError(f"no large shapes fit {case['op']} {case['attrs']}")


def label_of(case: dict[str, Any]) -> str:
    attrs = [f"{key}={value}" for key, value in case["attrs"].items()]
    return " ".join([case["op"], *attrs, str(shape_of(next(iter(case["inputs"].values()))))])


@pytest.mark.parametrize("case", CASES + ZERO_CASES, ids=label_of)
def test_no_array_is_allocated(case: dict[str, Any]) -> None:
    executor = bound(case)
    for array in executor.arg_arrays:
        array[:] = 0.5
    heads = [np.ones(out.shape) for out in executor.outputs]

    def step() -> None:
        executor.forward(is_train=True)
        if case["wrt"]:
            executor.backward(heads)

    step()
    tracemalloc.start()
    try:
        step()
        step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ALLOWED
