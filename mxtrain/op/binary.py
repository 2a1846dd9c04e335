"""The mathematics of operators of two operands: one table for arrays, broadcasting and scalars."""

from __future__ import annotations

from typing import Any, NamedTuple

from mxtrain.op.pointwise import Formula, Rule


class Binary(NamedTuple):
    """An element-wise function of two operands and its derivatives.

    `forward` is a function of (x, y). `d_lhs` and `d_rhs` are formulas of (x, y, out, g) with the
    output and its gradient; None where the derivative is zero by definition. `meaning` is the
    mathematics as LaTeX. `fractional` tells that integers have to be computed as fractions.
    """

    meaning: str
    forward: Rule
    d_lhs: Formula | None = None
    d_rhs: Formula | None = None
    fractional: bool = False


def passes(xp: Any) -> Any:
    """Give the gradient on as it is."""
    return lambda x, y, out, g: g


def _function(function: str) -> Formula:
    return lambda xp: lambda x, y: getattr(xp, function)(x, y)


BINARY: dict[str, Binary] = {
    "add": Binary("x + y", "add", passes, passes),
    "sub": Binary("x - y", "subtract", passes, lambda xp: lambda x, y, out, g: -g),
    "mul": Binary(
        "x y",
        "multiply",
        lambda xp: lambda x, y, out, g: g * y,
        lambda xp: lambda x, y, out, g: g * x,
    ),
    "div": Binary(
        "x / y",
        "divide",
        lambda xp: lambda x, y, out, g: g / y,
        lambda xp: lambda x, y, out, g: -g * out / y,
        fractional=True,
    ),
    # Modulo 0 is 0, as in MXNet.
    "mod": Binary(
        r"x - y \lfloor x / y \rfloor",
        lambda xp: lambda x, y: xp.where(xp.equal(y, 0), 0, xp.remainder(x, y)),
        passes,
        lambda xp: lambda x, y, out, g: xp.where(xp.equal(y, 0), 0, -g * xp.floor(x / y)),
    ),
    # A base of 0 gives the exponent no gradient; 0 * log(0) would be no number.
    "power": Binary(
        "x^y",
        "power",
        lambda xp: lambda x, y, out, g: g * y * xp.power(x, y - 1),
        lambda xp: lambda x, y, out, g: g * out * xp.log(xp.where(xp.equal(x, 0), 1, x)),
        fractional=True,
    ),
    "maximum": Binary(
        r"\max(x, y)",
        _function("maximum"),
        lambda xp: lambda x, y, out, g: g * (x >= y),
        lambda xp: lambda x, y, out, g: g * (x < y),
    ),
    "minimum": Binary(
        r"\min(x, y)",
        _function("minimum"),
        lambda xp: lambda x, y, out, g: g * (x <= y),
        lambda xp: lambda x, y, out, g: g * (x > y),
    ),
    "hypot": Binary(
        r"\sqrt{x^2 + y^2}",
        "hypot",
        lambda xp: lambda x, y, out, g: g * x / out,
        lambda xp: lambda x, y, out, g: g * y / out,
        fractional=True,
    ),
    "equal": Binary("x = y", _function("equal")),
    "not_equal": Binary(r"x \neq y", _function("not_equal")),
    "greater": Binary("x > y", _function("greater")),
    "greater_equal": Binary(r"x \ge y", _function("greater_equal")),
    "lesser": Binary("x < y", _function("less")),
    "lesser_equal": Binary(r"x \le y", _function("less_equal")),
    "logical_and": Binary(r"x \neq 0 \wedge y \neq 0", _function("logical_and")),
    "logical_or": Binary(r"x \neq 0 \vee y \neq 0", _function("logical_or")),
    "logical_xor": Binary(
        r"(x \neq 0) \neq (y \neq 0)",
        lambda xp: lambda x, y: xp.not_equal(xp.not_equal(x, 0), xp.not_equal(y, 0)),
    ),
}
