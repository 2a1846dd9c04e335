"""The scaling of a run's features as part of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mxtrain.export.writer import OnnxNode, Value, Writer
from mxtrain.io.features import Features

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scaling:
    """``(x - offset) * factor`` in double precision, as `mxtrain.io.Features` computes it.

    `offset` and `factor` have the shape of one sample.
    """

    offset: Array
    factor: Array
    dtype: str = "float64"

    def apply(self, rows: Array) -> Array:
        """Return rows of a file as the network was given them, float32."""
        return ((rows.astype(np.float64) - self.offset) * self.factor).astype(np.float32)

    def undo(self, scaled: Array) -> Array:
        """Return rows of a file that become `scaled`; columns of factor 0 their one value."""
        varies = self.factor != 0
        spread = np.divide(1.0, self.factor, out=np.zeros_like(self.factor), where=varies)
        return scaled * spread + self.offset

    def emit(self, writer: Writer, name: str, dtype: str) -> Value:
        """Add the nodes behind the input `name`, and return the result as `dtype`.

        The result goes through float32, as the numbers do that a network was trained on.
        """
        offset, factor = writer.number(self.offset[None]), writer.number(self.factor[None])
        value = name
        steps: list[tuple[str, list[str], dict[str, Any]]] = [
            ("Sub", [offset.name], {}),
            ("Mul", [factor.name], {}),
            ("Cast", [], {"to": np.dtype("float32")}),
        ]
        if dtype != "float32":
            steps.append(("Cast", [], {"to": np.dtype(dtype)}))
        for op_type, operands, attributes in steps:
            node = writer.unique(f"{name}/{op_type}")
            output = writer.unique(f"{node}:0")
            writer.nodes.append(OnnxNode(op_type, node, [value, *operands], [output], attributes))
            value = output
        return Value(value, dtype)


def scaling_of(features: Features) -> Scaling | None:
    """Return the scaling of a run's features; None where they are not scaled."""
    if not features.factor:
        return None
    shape = features.shape
    return Scaling(
        np.array(features.offset).reshape(shape), np.array(features.factor).reshape(shape)
    )
