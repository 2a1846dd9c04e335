"""Which function converts which operator: a table over the classes of operators.

A converter of a base class serves all operators of its family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mxtrain.export.conversion import Conversion
from mxtrain.export.writer import Value
from mxtrain.op import Operator

# A converter takes the operator with its attributes and gives a value for each output.
Converter = Callable[[Conversion, Any], list[Value]]
F = TypeVar("F", bound=Converter)

CONVERTERS: dict[type[Operator], Converter] = {}


def converts(*classes: type[Operator]) -> Callable[[F], F]:
    """Return a decorator that enters a function as the converter of operator classes."""

    def enter(function: F) -> F:
        for cls in classes:
            CONVERTERS[cls] = function
        return function

    return enter


def converter_of(cls: type[Operator]) -> Converter | None:
    """Return the converter of an operator class or of the nearest class above it, else None."""
    return next((CONVERTERS[base] for base in cls.__mro__ if base in CONVERTERS), None)
