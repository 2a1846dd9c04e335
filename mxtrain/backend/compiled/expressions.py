"""The element-wise operations of a plan as source text.

Every text is over ``a``, ``b`` and ``c``, variables of one type that the text calls ``F``. Numbers
come out as NumPy computes them: comparisons with NaN, the sign of zero and the order of rounding.
"""

from __future__ import annotations

from typing import NamedTuple


class Expression(NamedTuple):
    """Source text over so many operands, and whether it gives a truth value."""

    text: str
    arity: int
    truth_valued: bool = False


def _unary(text: str) -> Expression:
    return Expression(text, 1)


def _binary(text: str) -> Expression:
    return Expression(text, 2)


def _truth(text: str, arity: int = 2) -> Expression:
    return Expression(text, arity, truth_valued=True)


EXPRESSIONS = {
    "copy": _unary("a"),
    "negative": _unary("-a"),
    "absolute": _unary("abs(a)"),
    "sign": _unary("(a if a != a else F(a > F(0)) - F(a < F(0)))"),
    "square": _unary("a * a"),
    "sqrt": _unary("math.sqrt(a)"),
    "reciprocal": _unary("F(1) / a"),
    "floor": _unary("np.floor(a)"),
    "ceil": _unary("np.ceil(a)"),
    "rint": _unary("np.rint(a)"),
    "trunc": _unary("np.trunc(a)"),
    "exp": _unary("math.exp(a)"),
    "expm1": _unary("math.expm1(a)"),
    "log": _unary("np.log(a)"),
    "log1p": _unary("np.log1p(a)"),
    "sin": _unary("math.sin(a)"),
    "cos": _unary("math.cos(a)"),
    "tanh": _unary("math.tanh(a)"),
    "erf": _unary("math.erf(a)"),
    "cbrt": _unary("np.cbrt(a)"),
    "add": _binary("a + b"),
    "subtract": _binary("a - b"),
    "multiply": _binary("a * b"),
    "divide": _binary("a / b"),
    "power": _binary("a ** b"),
    "maximum": _binary("(a if a >= b or a != a else b)"),
    "minimum": _binary("(a if a <= b or a != a else b)"),
    "copysign": _binary("math.copysign(a, b)"),
    "greater": _truth("a > b"),
    "greater_equal": _truth("a >= b"),
    "less": _truth("a < b"),
    "less_equal": _truth("a <= b"),
    "equal": _truth("a == b"),
    "not_equal": _truth("a != b"),
    "isfinite": _truth("a - a == F(0)", 1),
    "logical_and": _truth("(a != F(0)) & (b != F(0))"),
    "logical_or": _truth("(a != F(0)) | (b != F(0))"),
    "logical_not": _truth("a == F(0)", 1),
    "where": Expression("(b if a != F(0) else c)", 3),
}

# Texts for float32 numbers that need no call of a library (`functions.py`).
IN_SINGLE = {"exp": "exp_float32(a)", "expm1": "expm1_float32(a)", "tanh": "tanh_float32(a)"}

# Operations that take many instructions; without a text in `IN_SINGLE`, a call per element.
SLOW = frozenset(
    ["exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "cbrt", "power", "copysign"]
)

# What truth values may be given to; arithmetic on them has rules of its own.
ON_TRUTH_VALUES = frozenset(
    ["copy", "equal", "not_equal", "logical_and", "logical_or", "logical_not"]
)
