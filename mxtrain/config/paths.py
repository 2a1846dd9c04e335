"""Paths of a config: relative to its folder, and there."""

from __future__ import annotations

from typing import Any

from mxtrain.config.document import Node
from mxtrain.config.problem import near_files
from mxtrain.config.section import Context


def existing_file(text: str, node: Node, path: str, context: Context) -> Any:
    """Return the absolute path of the file `text`, or `BAD` after noting that it is not there."""
    full = context.folder / text
    try:
        if context.looks_at_files and full.is_dir():
            return context.bad(node, path, f"'{text}' is a folder; give a file in it")
        if context.looks_at_files and not full.exists():
            return context.bad(node, path, f"no such file '{text}'{near_files(full, text)}")
    except (OSError, ValueError) as error:
        return context.bad(node, path, f"not a usable path: {error}")
    return str(full.resolve())
