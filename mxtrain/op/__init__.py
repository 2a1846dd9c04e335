"""What is computed: one file per operator family, forward and backward side by side.

>>> from mxtrain.op import registry
>>> "FullyConnected" in registry
True
"""

from __future__ import annotations

from mxtrain.op import (
    activation,
    arg_extreme,
    batch_norm,
    broadcast,
    cast,
    clip,
    dot,
    dropout,
    elemwise,
    fully_connected,
    identity,
    indexing,
    joining,
    l2_normalization,
    layer_norm,
    leaky_relu,
    make_loss,
    reduce,
    regression_output,
    reshape,
    scalar,
    slicing,
    smooth_l1,
    softmax,
    softmax_output,
    svm_output,
    transpose,
    unary,
    up_sampling,
    where,
)
from mxtrain.op.base import Operator, create, register, registry

__all__ = [
    "Operator",
    "activation",
    "arg_extreme",
    "batch_norm",
    "broadcast",
    "cast",
    "clip",
    "create",
    "dot",
    "dropout",
    "elemwise",
    "fully_connected",
    "identity",
    "indexing",
    "joining",
    "l2_normalization",
    "layer_norm",
    "leaky_relu",
    "make_loss",
    "reduce",
    "register",
    "registry",
    "regression_output",
    "reshape",
    "scalar",
    "slicing",
    "smooth_l1",
    "softmax",
    "softmax_output",
    "svm_output",
    "transpose",
    "unary",
    "up_sampling",
    "where",
]
