"""What `kernels.py` says of onnxruntime is true of the one installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mxtrain.export import kernels
from mxtrain.export.graph import OnnxGraph, Port
from mxtrain.export.proto import to_bytes
from mxtrain.export.runtime import Session
from mxtrain.export.writer import OnnxNode

DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")
TRUTH = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
TWO = (*TRUTH, "Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "MatMul", "Pow", "Gemm", "PRelu")
POSITIONS = ("ArgMax", "ArgMin")
PAIRS = [
    (op_type, dtype)
    for op_type in sorted(kernels._ONLY)
    for dtype in DTYPES
    if kernels.has(op_type, dtype)
]


@pytest.mark.parametrize(("op_type", "dtype"), PAIRS)
def test_kernel_is_there(op_type: str, dtype: str) -> None:
    shape: tuple[int, ...] = (1, 1, 2, 2) if op_type == "ConvTranspose" else (2, 2)
    names = ["x", "y"] if op_type in (*TWO, "Where", "ConvTranspose") else ["x"]
    inputs = [Port(name, dtype, shape) for name in names]
    attributes: dict[str, Any] = {}
    if op_type == "Mod" and dtype.startswith("float"):
        attributes["fmod"] = 1
    constants = {"axes": np.array([0])} if op_type.startswith("Reduce") else {}
    if op_type == "Where":
        inputs.insert(0, Port("c", "bool", shape))
    kind = "bool" if op_type in TRUTH else "int64" if op_type in POSITIONS else dtype
    result = {"ConvTranspose": (1, 1, 3, 3)}.get(op_type, shape)
    if op_type in POSITIONS or op_type.startswith("Reduce"):
        result = (1, 2)
    node = OnnxNode(op_type, "n", [p.name for p in inputs] + list(constants), ["z"], attributes)
    graph = OnnxGraph([node], constants, inputs, [Port("z", kind, result)], [], [])
    given = {port.name: np.ones(port.axes, port.dtype) for port in inputs}
    (found,) = Session(to_bytes(graph, 18, "", {})).run(given)
    assert found.dtype == kind


def test_there_is_always_another_type_but_for_truth_values() -> None:
    for op_type in kernels._ONLY:
        for dtype in DTYPES:
            if not kernels.has(op_type, dtype) and dtype != "bool":
                other = kernels.stand_in(op_type, dtype)
                assert other is not None
                assert kernels.has(op_type, other)
        assert kernels.stand_in(op_type, "bool") is None
