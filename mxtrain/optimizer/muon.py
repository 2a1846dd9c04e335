"""Muon: orthogonalized momentum for matrices."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.adamw import AdamW
from mxtrain.optimizer.base import Optimizer, register

# Coefficients of the quintic iteration x -> a x + b x^3 + c x^5, which drives singular values
# towards 1 quickly, though not exactly (Jordan 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@register()
class Muon(Optimizer):
    r"""Momentum orthogonalized by Newton-Schulz (Jordan and others 2024, "Muon").

    For weights of two axes or more (seen as matrices of ``shape[0]`` rows)

    .. math::
        G = clip(\rho g) \qquad
        m \leftarrow \mu m + (1 - \mu) G \qquad
        U = NS((1 - \mu) G + \mu m) \qquad
        w \leftarrow (1 - \eta \lambda) w - \eta \sqrt{\max(1, rows / columns)} \, U

    where `NS` brings all singular values near 1 by `ns_steps` quintic Newton-Schulz iterations.
    Other parameters (biases, gammas) are updated by AdamW at `adamw_learning_rate` times whatever
    factor a schedule applies. Not in MXNet.
    """

    learning_rate: Annotated[float, Ge(0), "step size of matrices"] = 0.02
    momentum: Annotated[float, Ge(0), Lt(1), "decay rate of the average"] = 0.95
    nesterov: Annotated[bool, "look ahead along the momentum"] = True
    ns_steps: Annotated[int, Ge(1), "Newton-Schulz iterations"] = 5
    adamw_learning_rate: Annotated[float, Gt(0), "step size of what is not a matrix"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "AdamW's decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "AdamW's decay rate of the second moment"] = 0.95
    epsilon: Annotated[float, Gt(0), "AdamW's addend to the root"] = 1e-8

    keeps: ClassVar[str] = "1 of a matrix (mom), 2 of anything else (mean, var)"

    def configure(self, values: dict[str, Any]) -> None:
        """Make the AdamW for the other parameters, on the same counts."""
        super().configure(values)
        self._base_rate = self._global_lr() if self.lr_scheduler is None else self.base_rate()
        self._adamw = AdamW(beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon)

    def base_rate(self) -> float:
        """Return the rate that a schedule starts from."""
        return float(self.lr_scheduler.base_lr)

    def create_state(self, index: Any, weight: Any) -> Any:
        """Return the momentum of a matrix, or AdamW's two moments."""
        import numpy as np

        if weight.ndim >= 2:
            return np.zeros_like(weight)
        return self._adamw.create_state(index, weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update a matrix by Muon, anything else by AdamW."""
        self._update_count(index)
        lr, wd = self._get_lr(index), self._get_wd(index)
        if weight.ndim >= 2:
            self._update_matrix(weight, grad, state, lr, wd)
            return
        from mxtrain.optimizer.loose import apply_rule

        other = self._adamw
        other.rescale_grad, other.clip_gradient = self.rescale_grad, self.clip_gradient
        other._index_update_count = self._index_update_count
        rate = self.adamw_learning_rate * lr / self._base_rate if self._base_rate else 0.0
        apply_rule(other, index, weight, grad, state, rate, wd)

    def _update_matrix(self, weight: Any, grad: Any, mom: Any, lr: float, wd: float) -> None:
        import numpy as np

        # Plain floats take the weight's precision; a NumPy scalar would bring its own.
        momentum, clip = float(self.momentum), self.clip_gradient
        with np.errstate(all="ignore"):
            grad = float(self.rescale_grad or 0) * np.asarray(grad)
            if clip is not None and clip > 0:
                grad = np.clip(grad, -float(clip), float(clip))
            mom *= momentum
            mom += (1 - momentum) * grad
            ahead = (1 - momentum) * grad + momentum * mom if self.nesterov else np.asarray(mom)
            matrix = ahead.reshape(len(ahead), -1)
            step = newton_schulz(matrix, self.ns_steps)
            rows, columns = matrix.shape
            weight *= 1 - float(lr * wd)
            scale = float(lr) * max(1.0, rows / max(columns, 1)) ** 0.5
            weight -= (scale * step).reshape(weight.shape)


def newton_schulz(matrix: Any, steps: int) -> Any:
    """Return a matrix with the singular vectors of `matrix` and singular values near 1.

    A zero matrix stays zero. The iteration runs on the smaller side.

    >>> import numpy as np
    >>> values = np.linalg.svd(newton_schulz(np.diag([3.0, 0.5]), 5), compute_uv=False)
    >>> bool(np.all((values > 0.6) & (values < 1.3)))
    True
    """
    import numpy as np

    a, b, c = COEFFICIENTS
    length = float(np.linalg.norm(matrix))
    if length == 0:
        return np.zeros_like(matrix)
    x = matrix / length
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if turned else x
