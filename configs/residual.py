"""A network too long to write out node by node: blocks that each add a correction."""

from __future__ import annotations

import mxtrain as mx


def get_symbol(width: int = 64, blocks: int = 3, classes: int = 10) -> mx.sym.Symbol:
    """Return a residual network of `blocks` blocks of `width` units, with `classes` outputs."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=width, name="stem")
    for number in range(1, blocks + 1):
        inner = mx.sym.LayerNorm(net, name=f"norm{number}")
        inner = mx.sym.FullyConnected(inner, num_hidden=width, name=f"fc{number}")
        inner = mx.sym.Activation(inner, act_type="relu", name=f"relu{number}")
        net = net + inner
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="head")
    return mx.sym.SoftmaxOutput(net, name="softmax")
