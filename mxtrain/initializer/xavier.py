"""Variance scaling: Xavier, and MSRAPrelu as a case of it."""

from __future__ import annotations

from math import prod, sqrt
from typing import Annotated, Literal

from annotated_types import Ge

from mxtrain.initializer.base import register
from mxtrain.initializer.draw import Draw, NormalDraw, RandomInitializer, UniformDraw

__all__ = ["MSRAPrelu", "Xavier"]

FactorType = Annotated[
    Literal["avg", "in", "out"], "what scales the variance: fan in, fan out or their mean"
]


@register
class Xavier(RandomInitializer):
    r"""Weights whose variance falls with the number of connections (Glorot & Bengio, AISTATS 2010).

    .. math::
        s = \sqrt{m / f} \qquad
        w \sim U[-s, s) \text{ or } N(0, s)

    with :math:`m` = `magnitude` and :math:`f` the fan in, the fan out or their mean. For a weight
    of shape ``(out, in, ...)`` the fan in is ``in`` and the fan out ``out``, each times the
    product of the remaining axes. ``rnd_type="gaussian", factor_type="in", magnitude=2`` is the
    scheme of He et al. (arXiv:1502.01852).

    Raises ValueError, when a weight is filled, for one of fewer than two axes and for unknown
    words.

    Source: MXNet 1.9.1, initializer `xavier`.
    """

    rnd_type: Annotated[Literal["uniform", "gaussian"], "distribution of the weights"] = "uniform"
    factor_type: FactorType = "avg"
    magnitude: Annotated[float, Ge(0), "variance of gaussian weights, times the factor"] = 3

    def distribution(self, shape: tuple[int, ...]) -> Draw:
        """Return what the weights of an array of `shape` are drawn from."""
        scale = sqrt(self.magnitude / self._factor(shape))
        if self.rnd_type == "uniform":
            return UniformDraw(scale)
        if self.rnd_type == "gaussian":
            return NormalDraw(scale)
        raise ValueError(f"rnd_type is 'uniform' or 'gaussian', not {self.rnd_type!r}")

    def _factor(self, shape: tuple[int, ...]) -> float:
        if len(shape) < 2:
            raise ValueError(
                f"{type(self).__name__} needs a weight of at least two axes (out, in, ...), this "
                f"one has shape {shape}; give it an initializer of its own, such as Uniform"
            )
        rest = prod(shape[2:])
        fans: dict[str, float] = {"in": shape[1] * rest, "out": shape[0] * rest}
        fans["avg"] = (fans["in"] + fans["out"]) / 2
        if self.factor_type not in fans:
            raise ValueError(f"factor_type is 'avg', 'in' or 'out', not {self.factor_type!r}")
        return fans[self.factor_type]


@register
class MSRAPrelu(Xavier):
    r"""Weights for layers followed by (P)ReLU (He et al. 2015, arXiv:1502.01852).

    `Xavier` with gaussian weights and magnitude :math:`2 / (1 + a^2)`, where :math:`a` = `slope`.

    Source: MXNet 1.9.1, initializer `msraprelu`.
    """

    def __init__(
        self,
        factor_type: FactorType = "avg",
        slope: Annotated[float, "slope of the activation below zero"] = 0.25,
    ) -> None:
        super().__init__("gaussian", factor_type, 2 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}
