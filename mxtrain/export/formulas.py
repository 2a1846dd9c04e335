"""Element-wise operators: the formulas the executor computes by, written as ONNX operators.

A formula is traced as for any backend (`mxtrain.backend.formula`) and its program translated line
by line, so the mathematics of an operator stands in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mxtrain.backend.formula import TRUTH_VALUED, Program, Ref, trace
from mxtrain.export import kernels, maths
from mxtrain.export.conversion import Conversion
from mxtrain.export.writer import Value
from mxtrain.op.activation import FUNCTIONS, sigmoid
from mxtrain.op.pointwise import Formula, Rule
from mxtrain.op.unary import UNARY

# Formulas that are an ONNX operator by themselves: shorter to read, and runtimes know them.
NAMED: dict[Any, str] = {
    sigmoid: "Sigmoid",
    FUNCTIONS["relu"].forward: "Relu",
    FUNCTIONS["softrelu"].forward: "Softplus",
    FUNCTIONS["softsign"].forward: "Softsign",
    UNARY["relu"].forward: "Relu",
    UNARY["softsign"].forward: "Softsign",
}

Operand = Value | np.generic  # an array in the model, or a number known now


def pointwise(
    c: Conversion,
    rule: Rule,
    arrays: Sequence[Value],
    through_float: bool = False,
    **scalars: float,
) -> Value:
    """Emit ``rule(*arrays, **scalars)`` with the meaning of `mxtrain.op.pointwise.pointwise`."""
    dtype = c.dtypes[0]
    if not through_float or dtype.startswith("float"):
        return _rule(c, rule, arrays, dtype, scalars)
    wide = [c.cast(array, "float64") for array in arrays]
    return c.cast(_rule(c, rule, wide, "float64", scalars), dtype)


def _rule(
    c: Conversion, rule: Rule, arrays: Sequence[Value], dtype: str, scalars: dict[str, float]
) -> Value:
    if not isinstance(rule, str):
        return formula(c, rule, arrays, dtype, **scalars)[0]
    numbers = [c.constant(value, dtype) for value in scalars.values()]
    return _function(c, rule, [*arrays, *numbers], dtype)


def formula(
    c: Conversion, function: Formula, arrays: Sequence[Value], dtype: str = "", **scalars: float
) -> list[Value]:
    """Emit an element-wise formula and return its results, in `dtype` (the first array's).

    `function` takes the namespace ``xp`` and returns a function of the arrays and the named
    scalars, as `Call.formula` wants it.
    """
    kind = dtype or arrays[0].dtype
    if function in NAMED and kernels.has(NAMED[function], kind):
        return [c.emit(NAMED[function], *arrays)]
    program = _traced(function, len(arrays), tuple(scalars))
    return [c.cast(result, kind) for result in _lower(c, program, arrays, scalars, kind)]


def _traced(function: Formula, count: int, scalars: tuple[str, ...]) -> Program:
    names = [f"x{number}" for number in range(count)]

    def by_name(xp: Any) -> Any:
        step = function(xp)
        return lambda **values: step(*[values.pop(name) for name in names], **values)

    return trace(by_name, names, scalars, takes_maths=True)


def _lower(
    c: Conversion,
    program: Program,
    arrays: Sequence[Value],
    scalars: dict[str, float],
    dtype: str,
) -> list[Value]:
    kind: Callable[[Any], np.generic] = np.dtype(dtype).type
    numbers = [kind(value) for value in scalars.values()]
    values: list[Operand] = []

    def operand(ref: Ref) -> Operand:
        if ref.kind == "literal":
            return kind(ref.index)
        sources: dict[str, Sequence[Operand]] = {"array": arrays, "scalar": numbers}
        found: Operand = (values if ref.kind == "value" else sources[ref.kind])[ref.index]
        return found

    for op, refs, is_scalar in program.instructions:
        operands = [operand(ref) for ref in refs]
        if is_scalar:
            with np.errstate(all="ignore"):
                values.append(getattr(np, op)(*operands))
        else:
            given = [x if isinstance(x, Value) else c.constant(x, dtype) for x in operands]
            values.append(_function(c, op, given, dtype))
    results = [operand(ref) for ref in program.outputs]
    return [x if isinstance(x, Value) else c.filled(x, dtype) for x in results]


def _function(c: Conversion, name: str, operands: Sequence[Value], dtype: str) -> Value:
    """Emit a function, truth values being 0 and 1 where numbers are wanted, and the other way."""
    if name in maths.OF_TRUTH:
        return maths.apply(c, name, *[c.cast(x, "bool") for x in operands])
    if name == "where":
        condition, *choices = operands
        chosen = [c.cast(x, dtype) for x in choices]
        return maths.apply(c, name, c.cast(condition, "bool"), *chosen)
    is_numeric = name not in TRUTH_VALUED
    given = [c.cast(x, dtype) if is_numeric or x.dtype == "bool" else x for x in operands]
    return maths.apply(c, name, *given)
