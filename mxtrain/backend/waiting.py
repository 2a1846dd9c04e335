"""Saying why nothing seems to happen, where something takes seconds and is not done every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


@contextmanager
def said(say: Callable[[str], None]) -> Iterator[None]:
    """Let `say` be told, once within the ``with`` block, what there is to wait for."""
    _listeners.append(say)
    try:
        yield
    finally:
        _listeners[:] = [each for each in _listeners if each is not say]


def say(text: str) -> None:
    """Tell who listens, before something that takes seconds."""
    while _listeners:
        _listeners.pop()(text)
