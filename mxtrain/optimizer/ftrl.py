"""Ftrl: follow the regularized leader, for sparse weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge

from mxtrain.optimizer.base import Optimizer, register


@register()
class Ftrl(Optimizer):
    r"""FTRL-Proximal (McMahan and others, KDD 2013).

    .. math::
        G = clip(\rho g) \qquad
        z \leftarrow z + G - (\sqrt{n + G^2} - \sqrt{n}) w / \eta \qquad
        n \leftarrow n + G^2

    .. math::
        w \leftarrow (sign(z) \lambda_1 - z) / ((\beta + \sqrt{n}) / \eta + \lambda)
        \quad where \; |z| > \lambda_1, \; else \; 0

    The weight is computed anew from `z` and `n` in every update, so one whose gradient is zero in
    the first becomes exactly 0. Weight decay is the L2 term of the denominator. A scheduler keeps
    its own `base_lr` whatever `learning_rate` says. An update at rate 0 leaves the weight as it is.

    Source: MXNet 1.9.1, optimizer `ftrl`, which gives NaN at rate 0.
    """

    lamda1: Annotated[float, Ge(0), "L1 regularization: how far z may be from 0"] = 0.01
    learning_rate: Annotated[float, Ge(0), "step size"] = 0.1
    beta: Annotated[float, Ge(0), "smallest denominator, before the rate"] = 1

    def _take_rate(self, learning_rate: float | None) -> None:
        """Take the rate only where there is no scheduler."""
        super()._take_rate(None if self.lr_scheduler is not None else learning_rate)

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Only where the weight is row-sparse too; a dense one is computed anew as a whole."""
        return weight_is_row_sparse

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any, grad: Any, z: Any, n: Any, lr: Any, wd: Any, lamda1: Any, beta: Any
        ) -> Any:
            moves = lr * lr > 0
            rate = xp.where(moves, lr, 1)
            square = grad * grad
            sigma = xp.sqrt(n + square) - xp.sqrt(n)
            new_z = z + grad - sigma * weight / rate
            new_n = n + square
            leader = (xp.sign(new_z) * lamda1 - new_z) / ((beta + xp.sqrt(new_n)) / rate + wd)
            leader = xp.where(xp.abs(new_z) > lamda1, leader, 0)
            return (
                xp.where(moves, leader, weight),
                xp.where(moves, new_z, z),
                xp.where(moves, new_n, n),
            )

        return step
