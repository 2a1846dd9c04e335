"""Operators on images."""

from __future__ import annotations

from mxtrain.export.axes import Axes, Free
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.up_sampling import UpSampling


@converts(UpSampling)
def up_sampling(c: Conversion, op: UpSampling) -> list[Value]:
    """Each pixel repeated, or a transposed convolution per channel."""
    if op.sample_type == "bilinear":
        pads = [op.scale // 2] * 4
        strides = [op.scale] * 2
        return [c.emit("ConvTranspose", *c.inputs, group=op.num_filter, pads=pads, strides=strides)]
    parts = [_repeated(c, value, axes) for value, axes in zip(c.inputs, c.input_axes, strict=True)]
    if op.multi_input_mode == "concat":
        return [c.emit("Concat", *parts, axis=1)]
    total = parts[0]
    for part in parts[1:]:
        total = c.emit("Add", total, part)
    return [total]


def _repeated(c: Conversion, value: Value, axes: Axes) -> Value:
    """Repeat each pixel up to the output's size: an axis of repetitions behind each of its two."""
    n, channels, h, w = (-1 if isinstance(axis, Free) else axis for axis in axes)
    height = c.output_axes[0][2]
    if isinstance(height, Free) or -1 in (channels, h, w):
        raise c.fixed("the batch is not the first axis of the images")
    factor = height // h
    if factor == 1:
        return value
    blocks = c.emit("Reshape", value, c.integers(n, channels, h, 1, w, 1))
    repeated = c.emit("Tile", blocks, c.integers(1, 1, 1, factor, 1, factor))
    return c.emit("Reshape", repeated, c.integers(n, channels, h * factor, w * factor))
