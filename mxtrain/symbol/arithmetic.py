"""Python's operators on symbols, and the functions that take symbols or numbers, as one table."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple

from mxtrain.errors import NotImplementedForSymbol

if TYPE_CHECKING:
    from mxtrain.symbol.symbol import Symbol


class Spelling(NamedTuple):
    """The operators behind one Python operator, and the names their nodes get."""

    both: str
    both_hint: str
    scalar: str
    scalar_hint: str
    reflected: str = ""
    reflected_hint: str = ""


OPERATORS = {
    "add": Spelling("elemwise_add", "_plus", "_plus_scalar", "_plusscalar"),
    "sub": Spelling(
        "elemwise_sub", "_minus", "_minus_scalar", "_minusscalar", "_rminus_scalar", "_rminusscalar"
    ),
    "mul": Spelling("elemwise_mul", "_mul", "_mul_scalar", "_mulscalar"),
    "truediv": Spelling(
        "elemwise_div", "_div", "_div_scalar", "_divscalar", "_rdiv_scalar", "_rdivscalar"
    ),
    "mod": Spelling("_mod", "_mod", "_mod_scalar", "_modscalar", "_rmod_scalar", "_rmodscalar"),
    "pow": Spelling(
        "_power", "_power", "_power_scalar", "_powerscalar", "_rpower_scalar", "_rpower_scalar"
    ),
    "gt": Spelling("_greater", "_greater", "_greater_scalar", "_greater_scalar"),
    "ge": Spelling(
        "_greater_equal", "_greater_equal", "_greater_equal_scalar", "_greater_equal_scalar"
    ),
    "lt": Spelling("_lesser", "_lesser", "_lesser_scalar", "_lesser_scalar"),
    "le": Spelling(
        "_lesser_equal", "_lesser_equal", "_lesser_equal_scalar", "_lesser_equal_scalar"
    ),
    "eq": Spelling("_equal", "_equal", "_equal_scalar", "_equal_scalar"),
    "ne": Spelling("_not_equal", "_not_equal", "_not_equal_scalar", "_not_equal_scalar"),
}
# Functions that take symbols and numbers; two numbers give a number, by `NUMBERS`.
FUNCTIONS = {
    "maximum": Spelling("_maximum", "_maximum", "_maximum_scalar", "_maximumscalar"),
    "minimum": Spelling("_minimum", "_minimum", "_minimum_scalar", "_minimumscalar"),
    "hypot": Spelling("_hypot", "_hypot", "_hypot_scalar", "_hypot_scalar"),
    "pow": OPERATORS["pow"],
    "power": OPERATORS["pow"],
    "modulo": OPERATORS["mod"],
}
NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "maximum": max,
    "minimum": min,
    "hypot": math.hypot,
    "pow": operator.pow,
    "power": operator.pow,
    "modulo": operator.mod,
}


def combine(spelling: Spelling, left: Any, right: Any) -> Symbol:
    """Return the node for two symbols, or for a symbol and a number on either side."""
    from mxtrain.symbol.compose import create
    from mxtrain.symbol.symbol import Symbol

    if isinstance(left, Symbol) and isinstance(right, Symbol):
        return create(spelling.both, left, right, hint=spelling.both_hint)
    symbol, number = (left, right) if isinstance(left, Symbol) else (right, left)
    if not isinstance(symbol, Symbol) or not isinstance(number, Number):
        raise TypeError(f"cannot combine {type(left).__name__} and {type(right).__name__}")
    if symbol is right and spelling.reflected:
        return create(spelling.reflected, symbol, hint=spelling.reflected_hint, scalar=number)
    return create(spelling.scalar, symbol, hint=spelling.scalar_hint, scalar=number)


class Arithmetic:
    """Mixin that gives a symbol Python's operators. Comparisons make nodes, so use ``is``."""

    def __neg__(self) -> Symbol:
        from mxtrain.symbol.compose import create

        return create("_mul_scalar", self, hint="_mulscalar", scalar=-1.0)

    def __abs__(self) -> Symbol:
        from mxtrain.symbol.compose import create

        return create("abs", self)

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol(
            "a symbol has no truth value: it is a description, not an array"
        )

    __hash__ = object.__hash__
    # A NumPy number on the left leaves the operation to us, and does not try to make an array.
    __array_ufunc__ = None


def _method(spelling: Spelling, reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return combine(spelling, other, self) if reflected else combine(spelling, self, other)

    return method


for _name, _spelling in OPERATORS.items():
    setattr(Arithmetic, f"__{_name}__", _method(_spelling, reflected=False))
    if _name in ("add", "sub", "mul", "truediv", "mod", "pow"):
        setattr(Arithmetic, f"__r{_name}__", _method(_spelling, reflected=True))
