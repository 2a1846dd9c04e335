"""LSTMBias: the bias of an LSTM cell, with an open forget gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.initializer.base import Initializer, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["LSTMBias"]


@register
class LSTMBias(Initializer):
    """0 for all gates of an LSTM cell but the forget gate, which gets `forget_bias`.

    The bias has the gates i, f, c, o one after the other, a quarter of its length each. It is a
    weight rule, so a bias gets it through its init attribute. Jozefowicz et al., ICML 2015.

    Source: MXNet 1.9.1, initializer `lstmbias`.
    """

    forget_bias: Annotated[float, "bias of the forget gate"] = 1.0

    def _init_weight(self, name: str, array: Array) -> None:
        gate = array.shape[0] // 4
        array[...] = 0
        array[gate : 2 * gate] = self.forget_bias
