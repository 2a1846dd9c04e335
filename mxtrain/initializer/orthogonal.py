"""Orthogonal: weight matrices with orthogonal rows or columns."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mxtrain.errors import ShapeError
from mxtrain.initializer.base import Initializer, register
from mxtrain.initializer.draw import Draw, NormalDraw, UniformDraw, drawn_dtype

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Orthogonal"]

_DRAWS: dict[str, Draw] = {"uniform": UniformDraw(1.0), "normal": NormalDraw(1.0)}


@register
class Orthogonal(Initializer):
    r"""Weights whose rows (or columns, if there are more rows) are orthogonal.

    The weight is seen as a matrix of ``shape[0]`` rows. A random matrix of that size, uniform on
    [-1, 1) or normal, is decomposed into :math:`U S V`, and the weight becomes :math:`s U` or
    :math:`s V`, whichever has its size; :math:`s` = `scale` is the length of the rows or columns.
    Saxe, McClelland & Ganguli 2013, arXiv:1312.6120.

    Raises, when a weight is filled, ShapeError for fewer than two axes and ValueError for an
    unknown `rand_type`.

    Source: MXNet 1.9.1, initializer `orthogonal`.
    """

    scale: Annotated[float, "length of the orthogonal rows or columns"] = 1.414
    rand_type: Annotated[Literal["uniform", "normal"], "random matrix to begin with"] = "uniform"

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Say which side of the matrix is orthogonal, for a known shape."""
        if shape is None:
            return super().describe(None)
        rows, columns = self._matrix(shape)
        return f"{'rows' if rows <= columns else 'columns'} of length {self.scale:g}"

    def _matrix(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if len(shape) < 2:
            raise ShapeError(
                f"Orthogonal needs a weight of at least two axes, this one has shape {shape}; give "
                "it an initializer of its own, such as Uniform"
            )
        return shape[0], prod(shape[1:])

    def _init_weight(self, name: str, array: Array) -> None:
        import numpy as np

        if self.rand_type not in _DRAWS:
            raise ValueError(f"rand_type is 'uniform' or 'normal', not {self.rand_type!r}")
        size = self._matrix(array.shape)
        drawn = _DRAWS[self.rand_type].draw(size, drawn_dtype(array.dtype))
        # In double precision, so that only the last rounding keeps the rows from orthogonality.
        u, _, v = np.linalg.svd(drawn.astype(np.float64), full_matrices=False)
        array[...] = (self.scale * (u if u.shape == size else v)).reshape(array.shape)
