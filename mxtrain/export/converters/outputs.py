"""Losses: what they predict. Their labels decide nothing in inference and are not read."""

from __future__ import annotations

from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.converters.softmax import over_rest
from mxtrain.export.formulas import formula
from mxtrain.export.writer import Value
from mxtrain.op.regression_output import RegressionOutput
from mxtrain.op.softmax_output import SoftmaxOutput
from mxtrain.op.svm_output import SVMOutput


@converts(SoftmaxOutput)
def softmax_output(c: Conversion, op: SoftmaxOutput) -> list[Value]:
    """Softmax along axis 1, along the last axis, or over everything but the first."""
    data, axes = c.inputs[0], c.input_axes[0]
    if op.multi_output:
        return [c.emit("Softmax", data, axis=1)]
    if op.preserve_shape:
        return [c.emit("Softmax", data, axis=len(axes) - 1)]
    return [over_rest(c, data, axes)]


@converts(RegressionOutput)
def regression_output(c: Conversion, op: RegressionOutput) -> list[Value]:
    """The data, or their sigmoid."""
    forward = type(op).rule.forward
    return c.inputs[:1] if forward is None else formula(c, forward, c.inputs[:1])


@converts(SVMOutput)
def svm_output(c: Conversion, op: SVMOutput) -> list[Value]:
    """The data."""
    return c.inputs[:1]
