"""Arrays bound to the variables of a graph: which belong where, and copying into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mxtrain import nd
from mxtrain.errors import MXNetError

if TYPE_CHECKING:
    from mxtrain.nd import NDArray
    from mxtrain.symbol.node import Node
    from mxtrain.symbol.symbol import Symbol

T = TypeVar("T")

_ONE_VARIABLE = "use one Variable in all places, or give each a name of its own"


def variable_nodes(symbol: Symbol, order: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Return (arguments, auxiliary states) among the nodes `order` of `symbol`."""
    auxiliary = symbol._auxiliary_ids()
    variables = [node for node in order if node.is_variable]
    return (
        [node for node in variables if id(node) not in auxiliary],
        [node for node in variables if id(node) in auxiliary],
    )


def by_name(
    names: Sequence[str], values: Iterable[T], what: str = "variables", advice: str = _ONE_VARIABLE
) -> dict[str, T]:
    """Return values by name (ValueError when a name occurs twice: which one is meant?)."""
    named = dict(zip(names, values, strict=True))
    if len(named) != len(names):
        twice = next(name for name in named if names.count(name) > 1)
        raise ValueError(
            f"duplicate names: the graph has {names.count(twice)} {what} named '{twice}'; {advice}"
        )
    return named


def viewed(name: str, array: Any, is_written: bool = False) -> NDArray:
    """Return `array` as an `NDArray` over the same memory.

    MXNetError unless it is C-contiguous, and may be written where it will be.
    """
    plain = np.asarray(array)
    if is_written and not plain.flags.writeable:
        raise MXNetError(f"the array bound to '{name}' is read-only; pass a copy of it")
    if not plain.flags.c_contiguous:
        raise MXNetError(f"the array bound to '{name}' is not C-contiguous; pass a copy of it")
    return nd.view(plain)


def copy_checked(name: str, value: Any, target: Any) -> None:
    """Copy `value` into `target`; MXNetError naming `name` when the shapes differ."""
    check_shape(name, value, target)
    np.copyto(target, np.asarray(value), casting="unsafe")


def check_shape(name: str, value: Any, target: Any) -> None:
    """Raise MXNetError naming `name` when the shapes differ."""
    shape = np.shape(value)
    if shape != target.shape:
        raise MXNetError(f"'{name}' has shape {target.shape}, the array given {shape}")


def listed(kind: str, names: Sequence[str], given: Any, required: bool) -> list[Any]:
    """Return `given`, a mapping by name or a list, as a list in the order of `names`.

    A name a mapping lacks becomes None, or is a ValueError when `required`.
    """
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if missing and required:
            raise ValueError(f"bind: no array for the {kind} '{missing[0]}'")
        return [given.get(name) for name in names]
    arrays = list(given)
    if len(arrays) != len(names):
        raise ValueError(
            f"bind: {len(names)} {kind}s ({', '.join(names)}), {len(arrays)} arrays given"
        )
    return arrays
