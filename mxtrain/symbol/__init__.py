"""The graph: symbols, variables, groups, and a function per operator.

>>> from mxtrain import symbol as sym
>>> net = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
>>> net.list_arguments()
['data', 'fc_weight', 'fc_bias']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from types import SimpleNamespace
from typing import Any

from mxtrain.errors import FileFormatError, MXNetError, closest
from mxtrain.op import registry
from mxtrain.symbol.arithmetic import FUNCTIONS, NUMBERS, combine
from mxtrain.symbol.compose import create, function, variable
from mxtrain.symbol.json import from_json as load_json
from mxtrain.symbol.symbol import Symbol

__all__ = ["Group", "Symbol", "Variable", "create", "load", "load_json", "var"]

Variable = var = variable


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """Join symbols into one with all their outputs (TypeError for none, or for other things)."""
    if not symbols or not all(isinstance(symbol, Symbol) for symbol in symbols):
        raise TypeError("Group takes a list of at least one symbol")
    return Symbol([entry for symbol in symbols for entry in symbol.entries])


def load(fname: str) -> Symbol:
    """Read an MXNet ``-symbol.json`` file, of 1.9.1 or earlier (of a later one with a UserWarning).

    Raises MXNetError when it cannot be opened or has unknown operators or attributes (it names all
    of them), FileFormatError when it is damaged or something else.
    """
    from mxtrain.checkpoint.opening import open_regular, unreadable

    try:
        with open_regular(fname) as file:
            text = file.read().decode()
    except OSError as error:
        raise unreadable(fname, error) from error
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{fname}: byte {error.start}: not a symbol file: it is not UTF-8 text"
        ) from None
    try:
        return load_json(text)
    except MXNetError as error:
        raise type(error)(f"{fname}: {error}") from None


def _or_number(name: str) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if isinstance(left, Number) and isinstance(right, Number):
            return NUMBERS[name](left, right)
        return combine(FUNCTIONS[name], left, right)

    apply.__name__ = name
    return apply


def __getattr__(name: str) -> Any:
    if name in ("_internal", "op", "contrib"):
        return _Internal()
    if name in FUNCTIONS:
        return _or_number(name)
    if name.startswith("__") or name not in registry:
        near = None if name.startswith("_") else closest(name, [*__all__, *registry.spellings()])
        hint = f"; did you mean '{near}'?" if near else ""
        raise AttributeError(f"module 'mxtrain.symbol' has no operator '{name}'{hint}")
    return function(name)


class _Internal(SimpleNamespace):
    """Operators by their exact names, those that start with an underscore included."""

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name.startswith("__") or name not in registry:
            raise AttributeError(f"there is no operator '{name}'")
        return function(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *FUNCTIONS, *registry.spellings()})
