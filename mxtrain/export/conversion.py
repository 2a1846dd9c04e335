"""One node of a graph while it is converted: what it reads, and the means to add nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mxtrain.export import kernels
from mxtrain.export.axes import Axes, Free
from mxtrain.export.errors import ExportError, FixedBatchError
from mxtrain.export.writer import OnnxNode, Value, Writer
from mxtrain.symbol.node import Node

TRUTH_VALUED = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor")
_POSITIONS = ("ArgMax", "ArgMin", "Shape")


class Conversion:
    """A node being converted.

    Attributes
    ----------
    node : the node of the graph.
    inputs : its inputs, auxiliary states included.
    input_axes, output_axes : their shapes.
    dtypes : the element types of its outputs.
    opset : the operator set to write for.
    """

    def __init__(
        self,
        writer: Writer,
        node: Node,
        inputs: Sequence[Value],
        input_axes: Sequence[Axes],
        output_axes: Sequence[Axes],
        dtypes: Sequence[str],
        opset: int,
    ) -> None:
        self.node, self.inputs, self.opset = node, list(inputs), opset
        self.input_axes, self.output_axes = list(input_axes), list(output_axes)
        self.dtypes = list(dtypes)
        self._writer = writer
        self._first = len(writer.nodes)

    # -- nodes -------------------------------------------------------------------------------

    def emit(self, op_type: str, *operands: Value, dtype: str = "", **attributes: Any) -> Value:
        """Add a node and return its one result, of type `dtype` or that of the first operand.

        Where onnxruntime has no kernel for the element type, the operands are converted and the
        result converted back.
        """
        counted = operands[1:] if op_type == "Where" else operands
        kind = counted[0].dtype if counted else dtype
        if kernels.has(op_type, kind):
            return self._add(op_type, operands, 1, dtype, attributes)[0]
        wanted = kernels.stand_in(op_type, kind)
        if wanted is None:
            raise self.error(f"there is no {op_type} of {kind} numbers; insert a Cast")
        if kind == "float64":
            self._writer.note(
                f"{self.node.described} is computed in float32: onnxruntime has no {op_type} in "
                "float64"
            )
        converted = [self.cast(v, wanted) if v.dtype == kind else v for v in operands]
        result = self._add(op_type, converted, 1, dtype, attributes)[0]
        return self.cast(result, kind) if result.dtype == wanted else result

    def emit_many(
        self, op_type: str, count: int, *operands: Value, **attributes: Any
    ) -> list[Value]:
        """Add a node with `count` results of the first operand's type."""
        return self._add(op_type, operands, count, "", attributes)

    def _add(
        self,
        op_type: str,
        operands: Sequence[Value],
        count: int,
        dtype: str,
        attributes: dict[str, Any],
    ) -> list[Value]:
        kind = dtype or _result_type(op_type, operands)
        name = self._writer.unique(f"{self.node.name}/{op_type}")
        outputs = [self._writer.unique(f"{name}:{number}") for number in range(count)]
        inputs = [operand.name for operand in operands]
        self._writer.nodes.append(OnnxNode(op_type, name, inputs, outputs, attributes))
        return [Value(output, kind) for output in outputs]

    def finish(self, results: Sequence[Value], names: Sequence[str]) -> list[Value]:
        """Name the results as the graph does, and the node that gives the first like the node."""
        own = self._writer.nodes[self._first :]
        producers = {output: node for node in own for output in node.outputs}
        values = []
        for number, (result, name) in enumerate(zip(results, names, strict=True)):
            if result.name not in producers:  # an input handed on, or the same result twice
                result = self._add("Identity", [result], 1, "", {})[0]
                producers[result.name] = self._writer.nodes[-1]
            producer = producers.pop(result.name)
            if number == 0:
                producer.name = self._writer.unique(self.node.name)
            for node in self._writer.nodes[self._first :]:
                node.inputs = [name if n == result.name else n for n in node.inputs]
                node.outputs = [name if n == result.name else n for n in node.outputs]
            values.append(Value(name, result.dtype))
        return values

    # -- numbers -----------------------------------------------------------------------------

    def constant(self, value: Any, dtype: str) -> Value:
        """Return a number, or an array, that is part of the model."""
        return self._writer.number(np.asarray(value).astype(dtype))

    def integers(self, *numbers: int) -> Value:
        """Return a vector of whole numbers: axes, sizes, positions."""
        return self._writer.number(np.array(numbers, np.int64))

    def cast(self, value: Value, dtype: str) -> Value:
        """Return the value in another element type."""
        if value.dtype == dtype:
            return value
        return self._add("Cast", [value], 1, dtype, {"to": np.dtype(dtype)})[0]

    # -- shapes ------------------------------------------------------------------------------

    def reshape(self, value: Value, old: Axes, new: Axes) -> Value:
        """Return the value in another shape; both shapes have as many elements.

        Raises FixedBatchError when the free axes of `new` cannot be told from one another.
        """
        if old == new:
            return value
        return self.emit("Reshape", value, self.integers(*self._codes(old, new)))

    def _codes(self, old: Axes, new: Axes) -> list[int]:
        """Return the new shape as Reshape takes it: 0 copies an axis, -1 is worked out."""
        codes = [axis if isinstance(axis, int) else -1 for axis in new]
        if codes.count(-1) > 1:
            for place, axis in enumerate(new):
                if isinstance(axis, Free) and place < len(old) and old[place] == axis:
                    codes[place] = 0
        if codes.count(-1) > 1:
            raise self.fixed("more than one axis of its output follows the batch")
        return codes

    def along(self, vector: Value, axis: int, ndim: int) -> Value:
        """Return a vector so that it broadcasts along an axis of an array with `ndim` axes."""
        if axis == ndim - 1:
            return vector
        return self.emit("Reshape", vector, self.integers(-1, *[1] * (ndim - 1 - axis)))

    def sizes(self, value: Value, axes: Axes) -> Value:
        """Return the shape of `value`, in whole numbers."""
        if all(isinstance(axis, int) for axis in axes):
            return self.integers(*[axis for axis in axes if isinstance(axis, int)])
        return self.emit("Shape", value)

    def filled(self, number: Any, dtype: str) -> Value:
        """Return an array of the first output's shape with one number everywhere."""
        shape = self.sizes(self.inputs[0], self.output_axes[0])
        value = np.array([number]).astype(dtype)
        return self._add("ConstantOfShape", [shape], 1, dtype, {"value": value})[0]

    def reduce(self, op_type: str, value: Value, axes: Sequence[int], keepdims: bool) -> Value:
        """Reduce over `axes`, of which there is at least one."""
        if op_type == "ReduceSum" or self.opset >= 18:
            return self.emit(op_type, value, self.integers(*axes), keepdims=int(keepdims))
        return self.emit(op_type, value, axes=list(axes), keepdims=int(keepdims))

    # -- refusals ----------------------------------------------------------------------------

    def error(self, reason: str) -> ExportError:
        """Return the error that this node cannot be converted."""
        return ExportError(f"{self.node.described}: {reason}")

    def fixed(self, reason: str) -> FixedBatchError:
        """Return the error that this node works for one batch size only."""
        return FixedBatchError(f"{self.node.described}: {reason}")


def _result_type(op_type: str, operands: Sequence[Value]) -> str:
    if op_type in TRUTH_VALUED or op_type == "Not":
        return "bool"
    if op_type in _POSITIONS:
        return "int64"
    return operands[1 if op_type == "Where" else 0].dtype
