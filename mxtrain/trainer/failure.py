"""After a loss that is not finite: which tensor went wrong first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.executor.plan import Step

if TYPE_CHECKING:
    from mxtrain.trainer.bound import BoundBatch


def first_bad_tensor(batch: BoundBatch, inputs: set[str], backward: bool = False) -> str:
    """Run the latest training batch again, look at each result, and name what went wrong.

    Parameters
    ----------
    batch : as it was run last; its inputs are still there.
    inputs : the arguments that are no parameters.
    backward : look at the gradients as well.

    The moving averages of BatchNorm are looked at but not moved: that happens in the backward pass.
    """
    executor = batch.executor
    for name, array in executor.arg_dict.items():
        if not _finite(array):
            return f"input '{name}'" if name in inputs else f"parameter '{name}', {_BEFORE}"
    for name, array in executor.aux_dict.items():
        if not _finite(array):
            return f"auxiliary state '{name}', {_BEFORE}"
    executor.random.steps[True] -= 1  # the same random numbers once more
    executor.random.advance(True)
    steps = list(executor.plan.forward(True).steps)
    if backward:
        steps += executor.plan.backward(True)[0].steps
    return _first_in(steps) or _largest(batch)


_BEFORE = "since the update before this batch"


def _first_in(steps: Iterable[Step]) -> str:
    for step in steps:
        for kernel, arguments in step.lines:
            kernel(*arguments)
        for name, array in step.results:
            if not _finite(array):
                op = "" if step.node is None else f" ({step.node.op})"
                return f"'{name}'{op}, in the {step.phase} pass"
    return ""


def _largest(batch: BoundBatch) -> str:
    """Every tensor is finite, so it is the loss itself that is too large for its type."""
    largest = max(float(np.abs(output).max()) for output in batch.outputs)
    return f"the loss itself; the largest output is {largest:.3g}"


def _finite(array: Any) -> bool:
    return bool(np.isfinite(array).all())
