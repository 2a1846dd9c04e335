"""Operators that compute element by element."""

from __future__ import annotations

from typing import Any

from mxtrain.export import kernels
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.formulas import formula, pointwise
from mxtrain.export.writer import Value
from mxtrain.op.activation import FUNCTIONS, Activation
from mxtrain.op.broadcast import BroadcastBinary
from mxtrain.op.cast import Cast
from mxtrain.op.clip import Clip
from mxtrain.op.dropout import Dropout
from mxtrain.op.elemwise import Elemwise
from mxtrain.op.identity import PassOn
from mxtrain.op.joining import AddN
from mxtrain.op.leaky_relu import FUNCTIONS as RECTIFIERS
from mxtrain.op.leaky_relu import SELU_ALPHA, SELU_LAMBDA, LeakyReLU
from mxtrain.op.scalar import ScalarOperator
from mxtrain.op.smooth_l1 import SmoothL1
from mxtrain.op.unary import Elementwise


@converts(Elementwise)
def elementwise(c: Conversion, op: Elementwise) -> list[Value]:
    """One array: the operator's rule."""
    return [pointwise(c, op.rule.forward, c.inputs, through_float=True)]


@converts(ScalarOperator)
def with_scalar(c: Conversion, op: ScalarOperator) -> list[Value]:
    """An array and a number: the operator's rule."""
    rule = type(op).rule  # a function in an instance would become a method
    return [pointwise(c, rule, c.inputs, through_float=True, scalar=op.scalar)]


@converts(Elemwise, BroadcastBinary)
def binary(c: Conversion, op: Elemwise | BroadcastBinary) -> list[Value]:
    """Two arrays: the operator's rule; ONNX broadcasts as NumPy does."""
    return [pointwise(c, op.rule.forward, c.inputs, op.rule.fractional)]


@converts(AddN)
def add_n(c: Conversion, op: AddN) -> list[Value]:
    """The inputs added up from the left, as the executor does."""
    total, *others = c.inputs
    for other in others:
        total = c.emit("Add", total, other)
    return [total]


@converts(PassOn)
def pass_on(c: Conversion, op: PassOn) -> list[Value]:
    """The input: identity, BlockGrad, MakeLoss."""
    return [c.inputs[0]]


@converts(Dropout)
def dropout(c: Conversion, op: Dropout) -> list[Value]:
    """The input; what draws random numbers in inference too is refused."""
    if op.mode == "always" and op.p > 0:
        raise c.error(
            "mode='always' draws random numbers in inference, which cannot be compared with "
            "another program; set mode='training'"
        )
    return [c.inputs[0]]


@converts(Cast)
def convert_type(c: Conversion, op: Cast) -> list[Value]:
    """Another element type."""
    return [c.cast(c.inputs[0], op.dtype)]


@converts(Clip)
def clip(c: Conversion, op: Clip) -> list[Value]:
    """Values kept within bounds."""
    bounds = [c.constant(bound, c.dtypes[0]) for bound in (op.a_min, op.a_max)]
    return [c.emit("Clip", c.inputs[0], *bounds)]


@converts(Activation)
def activation(c: Conversion, op: Activation) -> list[Value]:
    """The function's formula."""
    return formula(c, FUNCTIONS[op.act_type].forward, c.inputs)


@converts(LeakyReLU)
def leaky_relu(c: Conversion, op: LeakyReLU) -> list[Value]:
    """An operator of ONNX where there is one for the type, else the function's formula."""
    x, ndim = c.inputs[0], len(c.input_axes[0])
    slope = (op.lower_bound + op.upper_bound) / 2 if op.act_type == "rrelu" else op.slope
    if op.act_type == "prelu":
        gamma = c.along(c.inputs[1], min(1, ndim - 1), ndim)
        if kernels.has("PRelu", x.dtype):
            return [c.emit("PRelu", x, gamma)]
        return formula(c, RECTIFIERS["prelu"].forward, [x, gamma])
    if op.act_type in _RECTIFIERS and kernels.has(_RECTIFIERS[op.act_type], x.dtype):
        result = c.emit(_RECTIFIERS[op.act_type], x, **_attributes(op.act_type, slope))
    else:
        result = formula(c, RECTIFIERS[op.act_type].forward, [x], slope=slope)[0]
    return [result] if op.act_type != "rrelu" else [result, c.filled(slope, c.dtypes[1])]


_RECTIFIERS = {"leaky": "LeakyRelu", "rrelu": "LeakyRelu", "elu": "Elu", "selu": "Selu"}


def _attributes(act_type: str, slope: float) -> dict[str, Any]:
    if act_type == "selu":
        return {"alpha": SELU_ALPHA, "gamma": SELU_LAMBDA}
    return {"alpha": slope}


@converts(SmoothL1)
def smooth_l1(c: Conversion, op: SmoothL1) -> list[Value]:
    """s^2 q^2 / 2 + (|x| - q) with q = min(|x|, 1 / s^2)."""
    square, dtype = op.scalar * op.scalar, c.dtypes[0]
    size = c.emit("Abs", c.inputs[0])
    near = c.emit("Min", size, c.constant(1 / square if square else float("inf"), dtype))
    half = c.emit("Mul", c.emit("Mul", near, near), c.constant(square / 2, dtype))
    return [c.emit("Add", half, c.emit("Sub", size, near))]
