"""Bilinear: weights that make a transposed convolution interpolate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxtrain.initializer.base import Initializer, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Bilinear"]


@register
class Bilinear(Initializer):
    r"""The kernel of bilinear interpolation, for upsampling layers.

    .. math::
        w_{yx} = (1 - |y/f - c|) (1 - |x/f - c|) \qquad
        c = \frac{2f - 1 - f \operatorname{mod} 2}{2f}

    in every kernel of a weight of four axes, with :math:`f` half its last axis, rounded up. Both
    directions use that :math:`f`, as MXNet's do, so kernels that are not square come out uneven.

    Raises IndexError, when a weight is filled, unless it has four axes.

    Source: MXNet 1.9.1, initializer `bilinear`.
    """

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, array: Array) -> None:
        import numpy as np

        if array.ndim != 4:
            raise IndexError(
                f"Bilinear fills the weight of a convolution, which has four axes; '{name}' has "
                f"shape {array.shape}"
            )
        f = (array.shape[3] + 1) // 2
        c = (2 * f - 1 - f % 2) / (2 * f)
        column, row = (1 - np.abs(np.arange(length) / f - c) for length in array.shape[2:])
        array[...] = np.outer(column, row)
