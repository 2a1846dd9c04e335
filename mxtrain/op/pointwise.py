"""Lines of element-wise rules: a function of the array namespace by name, or a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

Formula = Callable[[Any], Callable[..., Any]]
# The name of one function of the array namespace, or a formula over ``xp``.
Rule = str | Formula


def pointwise(
    call: Call,
    rule: Rule,
    arrays: Sequence[Array],
    out: Array,
    through_float: bool = False,
    **scalars: float,
) -> None:
    """Add the lines of ``out = rule(*arrays, **scalars)``.

    Parameters
    ----------
    call : the node being lowered.
    rule : what is computed; a name takes the scalars, in order, after the arrays.
    arrays : operands, which broadcast to the shape of `out`.
    out : target.
    through_float : whether integers are computed in double precision and the result truncated, for
        functions that have no integer form.
    """
    if through_float and out.dtype.kind != "f":
        wide = call.temp(out.shape, "float64")
        operands = [call.temp(array.shape, "float64") for array in arrays]
        for array, operand in zip(arrays, operands, strict=True):
            call.copy(array, operand)
        _lines(call, rule, operands, wide, scalars)
        call.copy(wide, out)
    else:
        _lines(call, rule, arrays, out, scalars)


def _lines(
    call: Call, rule: Rule, arrays: Sequence[Array], out: Array, scalars: dict[str, float]
) -> None:
    if isinstance(rule, str):
        constants = [call.constant(value, out.dtype) for value in scalars.values()]
        call.emit(getattr(call.xp, rule), *arrays, *constants, out)
    else:
        call.formula(rule, arrays, [out], **scalars)
