"""The functions of formulas, under NumPy's names, as ONNX operators.

Where ONNX has no such function, or onnxruntime computes it too coarsely or not in double precision,
it is put together from others.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mxtrain.export import kernels
from mxtrain.export.conversion import Conversion
from mxtrain.export.writer import Value

Function = Callable[..., Value]

DIRECT = {
    "absolute": "Abs",
    "add": "Add",
    "arccos": "Acos",
    "arccosh": "Acosh",
    "arcsin": "Asin",
    "arcsinh": "Asinh",
    "arctan": "Atan",
    "arctanh": "Atanh",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "divide": "Div",
    "equal": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "log": "Log",
    "logical_and": "And",
    "logical_not": "Not",
    "logical_or": "Or",
    "maximum": "Max",
    "minimum": "Min",
    "multiply": "Mul",
    "negative": "Neg",
    "power": "Pow",
    "reciprocal": "Reciprocal",
    "rint": "Round",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "subtract": "Sub",
    "tan": "Tan",
    "tanh": "Tanh",
    "where": "Where",
}
# These take truth values; numbers are true unless they are 0.
OF_TRUTH = ("logical_and", "logical_not", "logical_or")


def apply(c: Conversion, name: str, *operands: Value) -> Value:
    """Emit the function called `name`; ExportError where there is no way to compute it."""
    dtype = operands[-1].dtype
    if name in DIRECT and kernels.has(DIRECT[name], dtype):
        return c.emit(DIRECT[name], *operands)
    if name in _COMPOSED:
        return _COMPOSED[name](c, *operands)
    if name in DIRECT:
        return c.emit(DIRECT[name], *operands)
    raise c.error(f"ONNX has no function '{name}'")


def _number(c: Conversion, value: float, like: Value) -> Value:
    return c.constant(value, like.dtype)


def _square(c: Conversion, x: Value) -> Value:
    return c.emit("Mul", x, x)


def _times(factor: float) -> Function:
    return lambda c, x: c.emit("Mul", x, _number(c, factor, x))


def _log_times(factor: float) -> Function:
    return lambda c, x: c.emit("Mul", c.emit("Log", x), _number(c, factor, x))


def _not_equal(c: Conversion, x: Value, y: Value) -> Value:
    return c.emit("Not", c.emit("Equal", x, y))


def _trunc(c: Conversion, x: Value) -> Value:
    return c.emit("Mul", c.emit("Sign", x), c.emit("Floor", c.emit("Abs", x)))


def _log1p(c: Conversion, x: Value) -> Value:
    """Log(u) x / (u - 1) with u = 1 + x, where the error of rounding u cancels out."""
    one = _number(c, 1, x)
    u = c.emit("Add", x, one)
    rounded = c.emit("Sub", u, one)
    is_tiny = c.emit("Equal", rounded, _number(c, 0, x))
    safe = c.emit("Where", is_tiny, one, rounded)
    exact = c.emit("Mul", c.emit("Log", u), c.emit("Div", x, safe))
    is_infinite = c.emit("Equal", u, _number(c, math.inf, x))  # inf / inf would be no number
    return c.emit("Where", is_tiny, x, c.emit("Where", is_infinite, u, exact))


def _expm1(c: Conversion, x: Value) -> Value:
    """2 t / (1 - t) with t = tanh(x / 2) near 0, where exp(x) - 1 would lose digits."""
    one, half = _number(c, 1, x), _number(c, 0.5, x)
    near = c.emit("Max", c.emit("Min", x, one), c.emit("Neg", one))
    t = c.emit("Tanh", c.emit("Mul", near, half))
    small = c.emit("Div", c.emit("Add", t, t), c.emit("Sub", one, t))
    is_near = c.emit("Less", c.emit("Abs", x), half)
    return c.emit("Where", is_near, small, c.emit("Sub", c.emit("Exp", x), one))


def _cbrt(c: Conversion, x: Value) -> Value:
    root = c.emit("Pow", c.emit("Abs", x), _number(c, 1 / 3, x))
    return c.emit("Mul", c.emit("Sign", x), root)


def _hypot(c: Conversion, x: Value, y: Value) -> Value:
    """Greater times sqrt(1 + (lesser / greater)^2), which does not overflow."""
    a, b = c.emit("Abs", x), c.emit("Abs", y)
    greater, lesser = c.emit("Max", a, b), c.emit("Min", a, b)
    one, zero = _number(c, 1, x), _number(c, 0, x)
    safe = c.emit("Where", c.emit("Equal", greater, zero), one, greater)
    ratio = c.emit("Div", lesser, safe)
    root = c.emit("Sqrt", c.emit("Add", one, c.emit("Mul", ratio, ratio)))
    return c.emit("Mul", greater, root)


def _remainder(c: Conversion, x: Value, y: Value) -> Value:
    """The remainder with the sign of the divisor; for a divisor of 0 the caller has its own."""
    zero = _number(c, 0, y)
    if not y.dtype.startswith("float"):
        # Whole numbers modulo 0 would end the process.
        divisor = c.emit("Where", c.emit("Equal", y, zero), _number(c, 1, y), y)
        return c.emit("Mod", x, divisor)
    rest = c.emit("Mod", x, y, fmod=1)
    other_sign = c.emit("Less", c.emit("Mul", c.emit("Sign", rest), c.emit("Sign", y)), zero)
    return c.emit("Where", other_sign, c.emit("Add", rest, y), rest)


def _logical_xor(c: Conversion, x: Value, y: Value) -> Value:
    return c.emit("Xor", c.cast(x, "bool"), c.cast(y, "bool"))


def _cos(c: Conversion, x: Value) -> Value:
    return c.emit("Sin", c.emit("Add", x, _number(c, math.pi / 2, x)))


def _tan(c: Conversion, x: Value) -> Value:
    return c.emit("Div", c.emit("Sin", x), _cos(c, x))


def _sinh(c: Conversion, x: Value) -> Value:
    """(g + g / (1 + g)) / 2 with g = expm1(|x|), the fraction so that an infinite g gives 1."""
    grown = _expm1(c, c.emit("Abs", x))
    inverse = c.emit("Add", c.emit("Reciprocal", grown), _number(c, 1, x))
    part = c.emit("Reciprocal", inverse)
    half = c.emit("Mul", c.emit("Add", grown, part), _number(c, 0.5, x))
    return c.emit("Mul", c.emit("Sign", x), half)


def _cosh(c: Conversion, x: Value) -> Value:
    power = c.emit("Exp", x)
    both = c.emit("Add", power, c.emit("Exp", c.emit("Neg", x)))
    return c.emit("Mul", both, _number(c, 0.5, x))


def _arcsinh(c: Conversion, x: Value) -> Value:
    """Log1p(a + a a / (1 + sqrt(1 + a a))) with a = |x|, where a a must not overflow."""
    one, size = _number(c, 1, x), c.emit("Abs", x)
    root = _hypot(c, one, size)
    ratio = c.emit("Div", size, c.emit("Add", root, one))
    is_infinite = c.emit("Equal", size, _number(c, math.inf, x))
    finite = c.emit("Where", is_infinite, one, ratio)
    inner = c.emit("Add", size, c.emit("Mul", size, finite))
    return c.emit("Mul", c.emit("Sign", x), _log1p(c, inner))


def _arccosh(c: Conversion, x: Value) -> Value:
    """Log1p(d + sqrt(d) sqrt(d + 2)) with d = x - 1."""
    d = c.emit("Sub", x, _number(c, 1, x))
    roots = [c.emit("Sqrt", d), c.emit("Sqrt", c.emit("Add", d, _number(c, 2, x)))]
    return _log1p(c, c.emit("Add", d, c.emit("Mul", *roots)))


def _arctanh(c: Conversion, x: Value) -> Value:
    """Half of log1p(2 a / (1 - a)) with a = |x|, and the sign of x."""
    size = c.emit("Abs", x)
    quotient = c.emit("Div", c.emit("Add", size, size), c.emit("Sub", _number(c, 1, x), size))
    half = c.emit("Mul", _log1p(c, quotient), _number(c, 0.5, x))
    return c.emit("Mul", c.emit("Sign", x), half)


_COMPOSED: dict[str, Function] = {
    "arccosh": _arccosh,
    "arcsinh": _arcsinh,
    "arctanh": _arctanh,
    "cbrt": _cbrt,
    "cos": _cos,
    "cosh": _cosh,
    "degrees": _times(180 / math.pi),
    "expm1": _expm1,
    "hypot": _hypot,
    "log10": _log_times(1 / math.log(10)),
    "log1p": _log1p,
    "log2": _log_times(1 / math.log(2)),
    "logical_xor": _logical_xor,
    "not_equal": _not_equal,
    "radians": _times(math.pi / 180),
    "remainder": _remainder,
    "sinh": _sinh,
    "square": _square,
    "tan": _tan,
    "trunc": _trunc,
}
