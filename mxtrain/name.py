"""Automatic names: `NameManager`, and `Prefix`, which puts text before every name."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Self


class NameManager:
    """Gives nodes without a name one: the operator's name in lower case and a counter.

    Used in a ``with`` block it replaces the manager in force, with counters of its own.
    """

    _stack: ClassVar[list[NameManager]] = []

    def __init__(self) -> None:
        self._counters: dict[str, int] = {}

    def get(self, name: str | None, hint: str) -> str:
        """Return `name`, or `hint` with its counter when there is none.

        >>> manager = NameManager()
        >>> manager.get(None, "fc"), manager.get("own", "fc"), manager.get(None, "fc")
        ('fc0', 'own', 'fc1')
        """
        if name:
            return name
        number = self._counters.get(hint, 0)
        self._counters[hint] = number + 1
        return f"{hint}{number}"

    def __enter__(self) -> Self:
        NameManager._stack.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        NameManager._stack.pop()

    @staticmethod
    def current() -> NameManager:
        """Return the manager in force."""
        return NameManager._stack[-1]


class Prefix(NameManager):
    """A name manager that puts `prefix` before every operator name, given or automatic."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """Return the prefixed name."""
        return self._prefix + super().get(name, hint)


NameManager._stack.append(NameManager())
