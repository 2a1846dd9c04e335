"""What is computed: one file per operator family, forward and backward side by side.

>>> from mxtrain.op import registry
>>> "FullyConnected" in registry
True
"""

from __future__ import annotations

from mxtrain.op import (
    activation,
    fully_connected,
    softmax_output,
)
from mxtrain.op.base import Operator, create, register, registry

__all__ = [
    "Operator",
    "activation",
    "create",
    "fully_connected",
    "register",
    "registry",
    "softmax_output",
]
