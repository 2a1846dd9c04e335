"""Numbers of a device beside float32 and float64: whole ones, and more functions of floats.

Whole numbers come out as NumPy computes them on x86: sums and products wrap, the remainder has the
divisor's sign and is 0 for a divisor of 0, and floats without an equal become the lowest number.
"""

from __future__ import annotations

WHOLE = {"int8": "tiny", "uint8": "octet", "int32": "int", "int64": "word"}
_KINDS = frozenset(WHOLE.values())
_FLOATS = frozenset(["float", "double", "half"])

# Texts over whole numbers. Without a sign sums and products are defined beyond the largest number.
_WIDE = "(unsigned long long)"
WHOLE_TEXTS = {
    "copy": "a",
    "negative": f"F(0 - {_WIDE}(a))",
    "absolute": f"(a < F(0) ? F(0 - {_WIDE}(a)) : a)",
    "sign": "F((a > F(0)) - (a < F(0)))",
    "square": f"F({_WIDE}(a) * {_WIDE}(a))",
    "add": f"F({_WIDE}(a) + {_WIDE}(b))",
    "subtract": f"F({_WIDE}(a) - {_WIDE}(b))",
    "multiply": f"F({_WIDE}(a) * {_WIDE}(b))",
    "remainder": "(b == F(0) || word(b) == -1 ? F(0) : F(word(a) % word(b) + "
    "(word(a) % word(b) != 0 && (word(a) % word(b) < 0) != (b < F(0)) ? word(b) : 0)))",
    "maximum": "(a >= b ? a : b)",
    "minimum": "(a <= b ? a : b)",
    "greater": "a > b",
    "greater_equal": "a >= b",
    "less": "a < b",
    "less_equal": "a <= b",
    "equal": "a == b",
    "not_equal": "a != b",
    "logical_and": "a != F(0) && b != F(0)",
    "logical_or": "a != F(0) || b != F(0)",
    "logical_not": "a == F(0)",
    "where": "(a != F(0) ? b : c)",
}

# Texts over floats that only devices have.
FLOAT_TEXTS = {
    "tan": "tan(a)",
    "arcsin": "asin(a)",
    "arccos": "acos(a)",
    "arctan": "atan(a)",
    "sinh": "sinh(a)",
    "cosh": "cosh(a)",
    "arcsinh": "asinh(a)",
    "arccosh": "acosh(a)",
    "arctanh": "atanh(a)",
    "log2": "log2(a)",
    "log10": "log10(a)",
    "hypot": "hypot(a, b)",
    "degrees": "a * (F(180) / F(3.14159265358979323846))",
    "radians": "a * (F(3.14159265358979323846) / F(180))",
    "remainder": "(b == F(0) ? fmod(a, b) : fmod(a, b) == F(0) ? copysign(F(0), b) : "
    "(b < F(0)) != (fmod(a, b) < F(0)) ? fmod(a, b) + b : fmod(a, b))",
}

ARITIES = {
    **dict.fromkeys(FLOAT_TEXTS, 1),
    **dict.fromkeys(("hypot", "remainder"), 2),
}


def is_whole(kind: str) -> bool:
    """Whether a C type is that of whole numbers.

    >>> is_whole("int"), is_whole("float")
    (True, False)
    """
    return kind in _KINDS


def converted(value: str, of: str, to: str) -> str:
    """Return the text of a value of one C type as one of another.

    >>> converted("x", "float", "word"), converted("x", "int", "half"), converted("x", "int", "int")
    ('to_word(x)', 'half(float(x))', 'int(x)')
    """
    if of in _FLOATS and to in _KINDS:
        return f"to_word({value})" if to == "word" else f"{to}(to_int({value}))"
    if of in _KINDS and to == "half":
        return f"half(float({value}))"
    return f"{to}({value})"
