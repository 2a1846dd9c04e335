"""No value of another precision enters a rule: every operand is looked at."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from optimizer_rows import IN_ARENA, ROWS, VARIANTS

import mxtrain as mx
from mxtrain.backend.numpy import Lowering
from mxtrain.optimizer.tracing import APPLY_STEP, rule_of

PREPARATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"wd": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.5},
)


def operand_types(program: Any, targets: Any, dtype: str) -> set[str]:
    """The types of all operands of the program's lines over arrays of `dtype`."""
    arrays = [np.ones(3, dtype) for _ in program.arrays]
    lowered = Lowering(program, arrays, [arrays[target] for target in targets], np.empty)
    lines = lowered.scalar_lines + lowered.lines
    assert lines
    return {str(operand.dtype) for _, operands in lines for operand in operands}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("preparation", PREPARATIONS, ids=["plain", "prepared"])
@pytest.mark.parametrize(("name", "variant"), IN_ARENA)
def test_formulas_keep_to_the_type_of_the_weight(
    name: str, variant: dict[str, Any], preparation: dict[str, Any], dtype: str
) -> None:
    made = mx.opt.create(name, **variant, **preparation)
    rule = rule_of(made, decays=made.wd != 0)
    assert operand_types(rule.program, rule.targets, dtype) <= {dtype, "bool"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaled_steps_keep_to_the_type_of_the_weight(dtype: str) -> None:
    assert operand_types(APPLY_STEP, [0], dtype) == {dtype}


class Watched(np.ndarray[Any, Any]):
    """An array that notes the types of all that is computed with it."""

    seen: ClassVar[set[str]] = set()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        Watched.seen |= {str(x.dtype) for x in inputs if isinstance(x, (np.ndarray, np.generic))}
        plain = [x.view(np.ndarray) if isinstance(x, Watched) else x for x in inputs]
        outs = kwargs.pop("out", ())
        kwargs |= {"out": tuple(out.view(np.ndarray) for out in outs)} if outs else {}
        result = getattr(ufunc, method)(*plain, **kwargs)
        return outs[0] if outs else np.asarray(result).view(Watched)


@pytest.mark.parametrize(
    ("name", "variant"), [variant for variant in VARIANTS if variant not in IN_ARENA]
)
def test_methods_keep_to_the_type_of_the_weight(name: str, variant: dict[str, Any]) -> None:
    """Also with settings that are NumPy's double numbers."""
    double = np.float64(0.5)
    kwargs = {"learning_rate": double, "rescale_grad": double, "clip_gradient": double}
    kwargs["wd"] = double * ROWS[name].decays
    updater = mx.opt.get_updater(mx.opt.create(name, **kwargs, **variant))
    for step in range(3):
        weight, grad = (np.ones((3, 2), np.float32).view(Watched) for _ in range(2))
        Watched.seen = set()
        updater(0, grad, weight)
        assert Watched.seen == {"float32"}
        if step == 0:
            updater.states[0] = updater.states[0].view(Watched)
