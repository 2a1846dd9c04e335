"""One registry mechanism for optimizers, initializers, schedulers, metrics and operators.

A registry maps names, looked up without regard to case, to classes. Third parties add to it with
``register`` from a plugin file, or from an installed package through the entry-point group
``mxtrain.plugins``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from mxtrain.errors import unknown_name

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Classes of one kind by name.

    Parameters
    ----------
    kind : what the entries are called in messages, e.g. ``"optimizer"``.
    unknown : the exception class for an unknown name (MXNet has a different one per kind).
    exact : whether case counts, as it does for operators (``softmax`` is not ``Softmax``).
    """

    def __init__(
        self, kind: str, unknown: type[Exception] = ValueError, exact: bool = False
    ) -> None:
        self.kind = kind
        self._unknown = unknown
        self._exact = exact
        self._classes: dict[str, type[T]] = {}
        self._aliases: dict[str, str] = {}

    def register(self, cls: C, name: str | None = None) -> C:
        """Enter `cls` under its lower-cased class name (or `name`) and return it.

        Replacing an entry is allowed, with a warning, as in MXNet.
        """
        key = self._key(name or cls.__name__)
        before, old = "", self._classes.get(key, cls)
        if old is not cls:
            before = f"it replaces {old.__module__}.{old.__qualname__}"
        if self._aliases.get(key, key) != key:
            before = f"it was another name of '{self._aliases.pop(key)}'"
        if before:
            warnings.warn(
                f"{self.kind} '{key}' now means {cls.__module__}.{cls.__qualname__}; {before}",
                UserWarning,
                stacklevel=3,
            )
        self._classes[key] = cls
        return cls

    def alias(self, *names: str) -> Callable[[C], C]:
        """Return a decorator that lets a registered class be found under `names` as well."""

        def add(cls: C) -> C:
            for name in names:
                self._aliases[self._key(name)] = self.name_of(cls)
            return cls

        return add

    def name_of(self, cls: type[Any]) -> str:
        """Return the name `cls` is registered under (its lower-cased class name if it is not)."""
        for name, entry in self._classes.items():
            if entry is cls:
                return name
        return self._key(cls.__name__)

    def aliases_of(self, name: str) -> list[str]:
        """Return the other names of the entry `name`."""
        return sorted(alias for alias, target in self._aliases.items() if target == name)

    def get(self, name: str) -> type[T]:
        """Return the class registered as `name`; an unknown name is an error with a suggestion."""
        key = self._key(name)
        key = self._aliases.get(key, key)
        try:
            return self._classes[key]
        except KeyError:
            raise self._unknown(unknown_name(self.kind, name, self.spellings())) from None

    def create(self, name: str, /, *args: Any, **kwargs: Any) -> T:
        """Construct the class registered as `name` with the arguments given."""
        return self.get(name)(*args, **kwargs)

    def names(self) -> list[str]:
        """Return the registered names, without aliases, in alphabetical order."""
        return sorted(self._classes)

    def spellings(self) -> list[str]:
        """Return every name that `get` understands, aliases included."""
        return sorted({*self._classes, *self._aliases})

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        key = self._key(name)
        return key in self._classes or key in self._aliases

    def _key(self, name: str) -> str:
        return name if self._exact else name.lower()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())
