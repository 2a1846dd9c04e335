"""The functions that ONNX lacks, put together from others, against NumPy over their whole range."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain.export.axes import BATCH
from mxtrain.export.conversion import Conversion
from mxtrain.export.graph import OnnxGraph, Port
from mxtrain.export.maths import apply
from mxtrain.export.proto import to_bytes
from mxtrain.export.runtime import Session
from mxtrain.export.verify import difference
from mxtrain.export.writer import Value, Writer
from mxtrain.symbol.node import Node

# Function -> where it is tried; beyond, rounding the argument alone changes the result.
WHOLE = (-np.inf, np.inf)
ONE_ARGUMENT = {
    "arccos": (-0.9, 0.9),
    "arccosh": (1, 1e37),
    "arcsin": (-0.9, 0.9),
    "arcsinh": (-1e37, 1e37),
    "arctan": WHOLE,
    "arctanh": (-1, 1),
    "cbrt": WHOLE,
    "cos": (-100, 100),
    "cosh": (-80, 80),
    "degrees": (-1e30, 1e30),
    "expm1": (-np.inf, 80),
    "log": (0, np.inf),
    "log10": (0, np.inf),
    "log1p": (-1, np.inf),
    "log2": (0, np.inf),
    "radians": WHOLE,
    "rint": WHOLE,
    "sin": (-100, 100),
    "sinh": (-80, 80),
    "square": (-1e18, 1e18),
    "tan": (-1, 1),
    "tanh": WHOLE,
    "trunc": WHOLE,
}
TWO_ARGUMENTS = {"hypot": (-1e38, 1e38), "remainder": (-100, 100), "not_equal": WHOLE}
ALLOWED = {"float32": 2e-6, "float64": 2e-14}


@cache
def session(name: str, count: int, dtype: str) -> Session:
    writer = Writer()
    names = [f"x{number}" for number in range(count)]
    operands = [Value(writer.unique(n), dtype) for n in names]
    node = Node("tanh", "f", {})
    c = Conversion(writer, node, operands, [(BATCH,)] * count, [(BATCH,)], [dtype], 17)
    result = c.finish([c.cast(apply(c, name, *operands), dtype)], ["y"])
    ports = [Port(n, dtype, (BATCH,)) for n in names]
    graph = OnnxGraph(
        writer.nodes, writer.constants, ports, [Port(result[0].name, dtype, (BATCH,))], [], []
    )
    return Session(to_bytes(graph, 17, "", {}))


def apart(name: str, dtype: str, *arrays: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(*arrays).astype(dtype)
    given = {f"x{number}": array for number, array in enumerate(arrays)}
    return difference(session(name, len(arrays), dtype).run(given)[0], wanted)


def numbers(limits: tuple[float, float], dtype: str) -> Any:
    width = np.dtype(dtype).itemsize * 8
    low, high = (float(np.dtype(dtype).type(limit)) for limit in limits)
    elements = st.floats(low, high, width=width, allow_subnormal=False)
    return hnp.arrays(dtype, 12, elements=elements)


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_one_argument(name: str, dtype: str) -> None:
    # asin, acos and atan are there in single precision only
    allowed = 1e-6 if name in ("arccos", "arcsin", "arctan") else ALLOWED[dtype]

    @settings(max_examples=25)
    @given(x=numbers(ONE_ARGUMENT[name], dtype))
    def check(x: np.ndarray) -> None:
        assert apart(name, dtype, x) <= allowed, x

    check()


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("name", TWO_ARGUMENTS)
def test_two_arguments(name: str, dtype: str) -> None:
    @settings(max_examples=25)
    @given(x=numbers(TWO_ARGUMENTS[name], dtype), y=numbers(TWO_ARGUMENTS[name], dtype))
    @example(x=np.array([0.0, 5, -5, 5, -5], dtype), y=np.array([0.0, 3, 3, -3, -3], dtype))
    def check(x: np.ndarray, y: np.ndarray) -> None:
        if name == "remainder":
            y = np.where(np.abs(y) < 0.1, 1, y).astype(dtype)
        assert apart(name, dtype, x, y) <= ALLOWED[dtype], (x, y)

    check()
