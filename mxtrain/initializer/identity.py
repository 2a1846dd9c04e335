"""Identity: layers that begin by passing their input on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.errors import ShapeError
from mxtrain.initializer.base import Initializer, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Identity"]


@register
class Identity(Initializer):
    r"""The identity times `gain`, for square layers and for convolutions.

    .. math::
        w_{ij} = g \;for\; i = j, \; else \; 0

    with :math:`g` = `gain`. A weight that is not square has the rows or columns that are left over
    at 0. Of a weight of more axes, ``(out, in, ...)``, the entries in the middle of the kernels are
    such a matrix and all others 0, so that a convolution with padding passes its input on.

    Raises ShapeError, when a weight is filled, for one of fewer than two axes.

    Source: Le, Jaitly & Hinton 2015 (arXiv:1504.00941) for recurrent layers; for convolutions
    Zagoruyko & Komodakis 2017 (arXiv:1706.00388). Not in MXNet 1.9.1.

    >>> import numpy as np
    >>> from mxtrain.initializer import InitDesc
    >>> weight = np.empty((2, 3))
    >>> Identity(gain=0.5)(InitDesc("fc_weight"), weight)
    >>> weight.tolist()
    [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    """

    gain: Annotated[float, "value on the diagonal"] = 1.0

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Say what is on the diagonal."""
        return f"{self.gain:g} on the diagonal"

    def _init_weight(self, name: str, array: Array) -> None:
        if array.ndim < 2:
            raise ShapeError(
                f"Identity needs a weight of at least two axes, '{name}' has shape {array.shape}; "
                "give it an initializer of its own, such as One"
            )
        array[...] = 0
        middle = tuple(length // 2 for length in array.shape[2:])
        for number in range(min(array.shape[:2])):
            array[(number, number, *middle)] = self.gain
