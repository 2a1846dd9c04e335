"""Nested values as JSON and a table of arrays, and back again, exactly. Nothing is pickled.

Values are None, booleans, numbers, text, arrays, tuples, lists, dicts, sets and deques of values,
and random generators of NumPy. Each is written as a mapping from its kind to its content; an array
is written as its name in the table.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.checkpoint.tensors import DTYPES

__all__ = ["is_packable", "pack", "unpack"]

Array = np.ndarray[Any, Any]

_STORABLE = frozenset(map(np.dtype, DTYPES.values()))
_PLAIN = frozenset((type(None), bool, int, str))
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def pack(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """Return the JSON form of `value`, and put its arrays into `arrays` under names of `place`.

    Arrays are not copied unless their memory is not in C order. Raises TypeError, naming the
    place, for a value that cannot be stored.
    """
    if type(value) in _PLAIN:
        return {"value": value}
    if isinstance(value, np.generic) and not isinstance(value, str):
        return {"scalar": _put(np.asarray(value), place, arrays)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, int | float | str):
        return {"value": value}
    if isinstance(value, np.ndarray):
        kind = "tensor" if isinstance(value, nd.NDArray) else "array"
        return {kind: _put(value, place, arrays)}
    if type(value) in (tuple, list):
        return {type(value).__name__: _pack_all(value, place, arrays)}
    if isinstance(value, dict) and type(value).__module__ in ("builtins", "collections"):
        return {
            "dict": [_pack_pair(i, pair, place, arrays) for i, pair in enumerate(value.items())]
        }
    if type(value) in (set, frozenset):
        members = [pack(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]
        return {type(value).__name__: sorted(members, key=json.dumps)}
    if type(value) is deque:
        return {"deque": [value.maxlen, _pack_all(value, place, arrays)]}
    if type(value) is np.random.Generator:
        return {"generator": pack(value.bit_generator.state, place, arrays)}
    if type(value) is np.random.RandomState:
        return {"randomstate": pack(value.get_state(legacy=False), place, arrays)}
    raise TypeError(
        "a state is None, an array, a number, text, or a tuple, list or dict of these; "
        f"got {type(value).__name__}"
    )


def is_packable(value: Any) -> bool:
    """Whether `pack` can store `value`."""
    if type(value) in _PLAIN or type(value) is float:
        return True
    try:
        pack(value, "", {})
    except (TypeError, RecursionError):
        return False
    return True


def unpack(node: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the value that `pack` wrote as `node`; arrays are those of the table, not copies.

    Raises ValueError, KeyError or TypeError for anything that `pack` has not written.
    """
    if not isinstance(node, dict) or len(node) != 1:
        raise ValueError(f"a state is written as one kind and its content, got {node!r:.80}")
    ((kind, content),) = node.items()
    if kind == "value" and (content is None or isinstance(content, bool | int | float | str)):
        return content
    if kind == "float":
        return _NOT_FINITE[content]
    if kind == "array":
        return arrays[content]
    if kind == "tensor":
        return nd.view(arrays[content])
    if kind == "scalar":
        return np.asarray(arrays[content]).reshape(())[()]
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](unpack(item, arrays) for item in content)
    if kind == "dict":
        return {unpack(key, arrays): unpack(item, arrays) for key, item in content}
    if kind == "deque":
        length, items = content
        return deque((unpack(item, arrays) for item in items), length)
    if kind in ("generator", "randomstate"):
        return _generator(kind, unpack(content, arrays))
    raise ValueError(f"unknown kind of state {kind!r:.80}")


_COLLECTIONS: dict[str, Any] = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}


def _pack_all(values: Any, place: str, arrays: dict[str, Array]) -> list[Any]:
    return [pack(item, f"{place}.{i}", arrays) for i, item in enumerate(values)]


def _pack_pair(
    number: int, pair: tuple[Any, Any], place: str, arrays: dict[str, Array]
) -> list[Any]:
    """Return key and value; arrays of the value are called after the key where it is a word."""
    key, value = pair
    is_word = type(key) is int or (isinstance(key, str) and key.isidentifier())
    inner = f"{place}.{key if is_word else number}".lstrip(".")
    return [pack(key, f"{inner}.key", arrays), pack(value, inner, arrays)]


def _put(array: Array, place: str, arrays: dict[str, Array]) -> str:
    plain = array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.ndarray)
    if plain.dtype not in _STORABLE:
        raise TypeError(
            f"a state has arrays of {', '.join(DTYPES.values())}; got an array of {array.dtype}"
        )
    while place in arrays:
        place += "+"  # as for the keys 3 and "3", or a number in place of a key
    # In C order; ascontiguousarray would give a single number an axis.
    arrays[place] = np.asarray(plain, order="C")
    return place


def _generator(kind: str, state: dict[str, Any]) -> Any:
    name = state["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"unknown random generator {name!r:.80}")
    bits = getattr(np.random, name)()
    if kind == "randomstate":
        legacy = np.random.RandomState(bits)
        legacy.set_state(state)
        return legacy
    bits.state = state
    return np.random.Generator(bits)
