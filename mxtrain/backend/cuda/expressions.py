"""The element-wise operations of a plan as CUDA C++.

Every text is over ``a``, ``b`` and ``c``, variables of one type that the text calls ``F``. Numbers
come out as NumPy computes them: comparisons with NaN, the sign of zero and the order of rounding.
With float16 NumPy computes in float32 and rounds what comes out.
"""

from __future__ import annotations

import re

from mxtrain.backend.compiled.expressions import EXPRESSIONS
from mxtrain.backend.cuda.numbers import FLOAT_TEXTS, WHOLE, WHOLE_TEXTS, is_whole

TEXTS = {
    "copy": "a",
    "negative": "-a",
    "absolute": "fabs(a)",
    "sign": "(a != a ? a : F(a > F(0)) - F(a < F(0)))",
    "square": "a * a",
    "sqrt": "sqrt(a)",
    "reciprocal": "F(1) / a",
    "floor": "floor(a)",
    "ceil": "ceil(a)",
    "rint": "rint(a)",
    "trunc": "trunc(a)",
    "exp": "exp(a)",
    "expm1": "expm1(a)",
    "log": "log(a)",
    "log1p": "log1p(a)",
    "sin": "sin(a)",
    "cos": "cos(a)",
    "tanh": "tanh(a)",
    "erf": "erf(a)",
    "cbrt": "cbrt(a)",
    "add": "a + b",
    "subtract": "a - b",
    "multiply": "a * b",
    "divide": "a / b",
    "power": "pow(a, b)",
    "maximum": "(a >= b || a != a ? a : b)",
    "minimum": "(a <= b || a != a ? a : b)",
    "copysign": "copysign(a, b)",
    "greater": "a > b",
    "greater_equal": "a >= b",
    "less": "a < b",
    "less_equal": "a <= b",
    "equal": "a == b",
    "not_equal": "a != b",
    "isfinite": "a - a == F(0)",
    "logical_and": "a != F(0) && b != F(0)",
    "logical_or": "a != F(0) || b != F(0)",
    "logical_not": "a == F(0)",
    "where": "(a != F(0) ? b : c)",
}

TYPES = {"float32": "float", "float64": "double", "bool": "truth", "float16": "half", **WHOLE}

_NAME = re.compile(r"(?<![\w.])([Fabc])(?!\w)")


def filled_in(op: str, kind: str, operands: list[str]) -> str:
    """Return the text of an operation over operands of a type.

    >>> filled_in("multiply", "float", ["x", "y"])
    '(x * y)'
    >>> filled_in("multiply", "half", ["x", "y"])
    'half(float(x) * float(y))'
    """
    if kind == "half":
        text = filled_in(op, "float", [f"float({operand})" for operand in operands])
        return text if gives_truth(op) else f"half{text}"
    texts = WHOLE_TEXTS if is_whole(kind) else {**TEXTS, **FLOAT_TEXTS}
    scope = {"F": kind, **dict(zip("abc", operands, strict=False))}
    return f"({_NAME.sub(lambda found: scope[found[1]], texts[op])})"


def gives_truth(op: str) -> bool:
    """Whether an operation gives truth values.

    >>> gives_truth("less"), gives_truth("add")
    (True, False)
    """
    return op in EXPRESSIONS and EXPRESSIONS[op].truth_valued


def literal(value: float, kind: str) -> str:
    """Return a number, as an array of that type would hold it.

    >>> literal(0.5, "float"), literal(float("-inf"), "double")
    ('float(0x1.0000000000000p-1)', 'double(-INFINITY)')
    """
    if value != value:
        return f"{kind}(NAN)"
    if value in (float("inf"), float("-inf")):
        return f"{kind}({'-' * (value < 0)}INFINITY)"
    return f"{kind}({float(value).hex()})"
