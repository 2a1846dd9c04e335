"""`AttrScope`: attributes given to every node made inside a ``with`` block."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Self


class AttrScope:
    """Attributes, as texts, for every symbol made inside the block; inner scopes win.

    >>> with AttrScope(ctx_group="stage1"):
    ...     AttrScope.current().get({"__mine__": "yes"})
    {'ctx_group': 'stage1', '__mine__': 'yes'}
    """

    _stack: ClassVar[list[AttrScope]] = []

    def __init__(self, **attributes: str) -> None:
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise ValueError(
                    f"AttrScope takes texts: {key}={value!r} is a {type(value).__name__}"
                )
        self._attributes = attributes

    def get(self, own: dict[str, str] | None) -> dict[str, str]:
        """Return the scope's attributes overlaid by `own`."""
        return {**self._attributes, **(own or {})}

    def __enter__(self) -> Self:
        outer = AttrScope.current()._attributes
        self._attributes = {**outer, **self._attributes}
        AttrScope._stack.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        AttrScope._stack.pop()

    @staticmethod
    def current() -> AttrScope:
        """Return the scope in force."""
        return AttrScope._stack[-1]


AttrScope._stack.append(AttrScope())
