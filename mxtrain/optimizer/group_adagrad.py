"""GroupAdaGrad: AdaGrad with one history value per row."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from mxtrain.errors import CallError
from mxtrain.optimizer.base import Optimizer, register


@register()
class GroupAdaGrad(Optimizer):
    r"""AdaGrad whose history is the mean over each row, for embeddings and matrices.

    .. math::
        G = clip(\rho g) \qquad
        h \leftarrow h + mean(G^2) \; over \; the \; row \qquad
        w \leftarrow w - \eta G / \sqrt{h + \epsilon}

    Weights must have two axes, and no weight decay. A `clip_gradient` of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `groupadagrad` (contrib).
    """

    eps: Annotated[float, Gt(0), "added to the history inside the root"] = 1e-5

    zero_clip_is_off: ClassVar[bool] = False
    keeps: ClassVar[str] = "a number per row (history)"

    @property
    def float_stable_eps(self) -> float:
        """MXNet's name for `eps`."""
        return self.eps

    def create_state(self, index: Any, weight: Any) -> Any:
        """Return a history of shape (rows, 1); CallError unless the weight has two axes."""
        import numpy as np

        if len(weight.shape) != 2:
            name = self.idx2name.get(index, index)
            raise CallError(
                f"GroupAdaGrad updates matrices; parameter '{name}' has shape {weight.shape}"
            )
        return np.zeros((weight.shape[0], 1), weight.dtype)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update a matrix; CallError where it has a weight decay."""
        import numpy as np

        from mxtrain.sparse import RowSparseNDArray, dense_rows

        self._update_count(index)
        lr, wd = self._get_lr(index), self._get_wd(index)
        if wd != 0:
            raise CallError(f"GroupAdaGrad takes no weight decay; it is {wd} for parameter {index}")
        if isinstance(grad, RowSparseNDArray):
            rows = np.asarray(grad.indices)
            clip = self.clip_gradient or None  # on listed rows a limit of 0 is none
            part, history = np.asarray(dense_rows(weight))[rows], state[rows]
            self._move(part, np.asarray(grad.data), history, lr, clip)
            dense_rows(weight)[rows], state[rows] = part, history
        else:
            self._move(weight, np.asarray(grad), state, lr, self.clip_gradient)

    def _move(self, weight: Any, grad: Any, state: Any, lr: float, clip: float | None) -> None:
        import numpy as np

        # Plain floats take the weight's precision; a NumPy scalar would bring its own.
        with np.errstate(all="ignore"):
            grad = float(self.rescale_grad or 0) * grad
            if clip is not None:
                grad = np.clip(grad, -float(clip), float(clip))
            state += np.sum(grad * grad, axis=1, keepdims=True) / max(grad.shape[1], 1)
            weight -= float(lr) * grad / np.sqrt(state + float(self.eps))
