"""The layout of the JSON text that MXNet writes, byte for byte.

What it writes is what it reads: of the escapes of JSON it knows only five.
"""

from __future__ import annotations

from typing import Any

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_MOST_ON_A_LINE = 10


def dumps(value: Any, depth: int = 0) -> str:
    """Return dicts, lists, texts and whole numbers as MXNet's JSON.

    A dict of several entries, a list of dicts and a list of more than ten things have a line for
    each; commas are followed by a space even at the end of a line.

    >>> print(dumps({"heads": [[0, 0, 0]], "name": "é"}).replace(" ", "."))
    {
    .."heads":.[[0,.0,.0]],.
    .."name":."é"
    }
    """
    if isinstance(value, dict):
        items = [f"{_text(key)}: {dumps(item, depth + 1)}" for key, item in value.items()]
        return _scope("{", items, "}", len(items) > 1, depth)
    if isinstance(value, list):
        items = [dumps(item, depth + 1) for item in value]
        lines = len(items) > _MOST_ON_A_LINE or any(isinstance(item, dict) for item in value)
        return _scope("[", items, "]", lines, depth)
    return _text(value) if isinstance(value, str) else str(value)


def _scope(start: str, items: list[str], end: str, lines: bool, depth: int) -> str:
    if not lines:
        return f"{start}{', '.join(items)}{end}"
    indent = "\n" + "  " * (depth + 1)
    return f"{start}{indent}{f', {indent}'.join(items)}{indent[:-2]}{end}"


def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'
