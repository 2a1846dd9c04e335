"""What an optimizer, a scheduler or a metric remembers in its attributes.

Anybody's class may count, collect or adapt in attributes of its own. Those that have changed since
the object was made are part of a run's state, whatever the class is.
"""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mxtrain.checkpoint.packing import is_packable
from mxtrain.settings import Declared

_COLLECTIONS = (tuple, list, set, frozenset, deque)


class Attributes:
    """Follows the attributes of an object, from the moment this is made.

    Attributes are numbers, text, arrays, collections of these and NumPy's random generators.
    Objects of other classes that an attribute holds, alone or in a list or dict, are followed
    in turn. A class says with ``extra_state()`` and ``set_extra_state(values)`` what it keeps
    besides, and with ``_untracked`` which attributes follow from the others.
    """

    def __init__(self, owner: Any) -> None:
        self._objects = dict(_objects(owner, "", set()))
        self._before = {path: _plain(one) for path, one in self._objects.items()}
        self._opaque = {path: dict(_opaque(one)) for path, one in self._objects.items()}

    def state(self) -> dict[str, Any]:
        """Return what has changed, by the path of each object."""
        found = {}
        for path, one in self._objects.items():
            before, now = self._before[path], _plain(one, copied=False)
            changed = {n: v for n, v in now.items() if n not in before or not same(before[n], v)}
            hooks = _hooks(one)
            extra = hooks[0]() if hooks is not None else {}
            if changed or extra:
                found[path] = {"changed": changed, "extra": extra}
        return found

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Give every object the attributes of a state, and those it was made with otherwise.

        Raises ValueError for a state of objects that are not here.
        """
        unknown = [path for path in values if path not in self._objects]
        if unknown:
            raise ValueError(f"there is no object '{unknown[0]}' to take a stored state")
        for path, one in self._objects.items():
            stored = values.get(path, {"changed": {}, "extra": {}})
            wanted = self._before[path] | stored["changed"]
            for name, now in _plain(one, copied=False).items():
                if name not in wanted:
                    delattr(one, name)
                elif same(now, wanted[name]):
                    del wanted[name]
            for name, value in wanted.items():
                if name.startswith("__"):
                    raise ValueError(f"a state cannot have the attribute {name!r}")
                setattr(one, name, copy.deepcopy(value))
            hooks = _hooks(one)
            if hooks is not None:
                hooks[1](stored["extra"])

    def not_stored(self) -> list[str]:
        """Return the attributes that have changed but cannot be stored: ``Class.name (type)``."""
        found = []
        for path, one in self._objects.items():
            for name, value in _opaque(one):
                before = self._opaque[path].get(name)
                if before is not value or hasattr(value, "__next__"):
                    found.append(f"{type(one).__name__}.{name} ({type(value).__name__})")
        return found


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the last bit, types included; NaN is equal to NaN.

    >>> same([0.0, float("nan")], [0.0, float("nan")]), same(0.0, -0.0), same(1, True)
    (True, False, False)
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, Mapping):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, tuple | list | deque):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.random.Generator):
        return same(a.bit_generator.state, b.bit_generator.state)
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(legacy=False), b.get_state(legacy=False))
    return bool(a == b) if isinstance(a, set | frozenset) else repr(a) == repr(b)


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    left_out = getattr(type(owner), "_untracked", ())
    return ((name, value) for name, value in vars(owner).items() if name not in left_out)


def _plain(owner: Any, copied: bool = True) -> dict[str, Any]:
    """Return the attributes that can be stored, as copies unless told otherwise."""
    found = {name: value for name, value in _attributes(owner) if is_packable(value)}
    return copy.deepcopy(found) if copied else found


def _opaque(owner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that can neither be stored nor followed."""
    for name, value in _attributes(owner):
        parts = any(True for _ in _members(value, name))
        if not parts and not is_packable(value) and _root(value) != "mxtrain":
            yield name, value


def _objects(owner: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield an object and those it holds, each once, with their paths."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    yield path, owner
    for name, value in list(_attributes(owner)):
        for place, member in _members(value, f"{path}.{name}".lstrip(".")):
            yield from _objects(member, place, seen)


def _members(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the objects in the value of an attribute that have attributes of their own."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _members(item, f"{place}[{key!r}]")
    elif isinstance(value, _COLLECTIONS):
        for number, item in enumerate(value):
            yield from _members(item, f"{place}[{number}]")
    elif isinstance(value, Declared) or (hasattr(value, "__dict__") and _is_users(value)):
        yield place, value


def _is_users(value: Any) -> bool:
    """Whether the class of a value is neither Python's nor NumPy's nor ours."""
    root = _root(value)
    return root not in ("builtins", "numpy", "mxtrain") and root not in sys.stdlib_module_names


def _root(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _hooks(owner: Any) -> tuple[Callable[[], Any], Callable[[Any], None]] | None:
    """Return the methods with which a class keeps more than attributes tell, if it has both."""
    get, put = (getattr(owner, name, None) for name in ("extra_state", "set_extra_state"))
    return (get, put) if callable(get) and callable(put) else None
