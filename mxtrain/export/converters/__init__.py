"""How each operator is written in ONNX, in inference: one file per family.

>>> from mxtrain.export.converters import converter_of
>>> from mxtrain.op import registry
>>> converter_of(registry.get("tanh")).__name__
'elementwise'
"""

from __future__ import annotations

from mxtrain.export.converters import (
    elementwise,
    images,
    indexing,
    joining,
    matrices,
    normalization,
    outputs,
    reductions,
    repeating,
    shapes,
    slicing,
    softmax,
)
from mxtrain.export.converters.registry import CONVERTERS, converter_of, converts

__all__ = [
    "CONVERTERS",
    "converter_of",
    "converts",
    "elementwise",
    "images",
    "indexing",
    "joining",
    "matrices",
    "normalization",
    "outputs",
    "reductions",
    "repeating",
    "shapes",
    "slicing",
    "softmax",
]
