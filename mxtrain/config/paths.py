"""Paths of a config: relative to its folder, or absolute, and there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mxtrain.config.document import Node
from mxtrain.config.problem import near_files
from mxtrain.config.section import Context


class AbsolutePath(str):
    """A path that a config gives as an absolute one, as it stands there; it is saved like that."""

    __slots__ = ()


def absolute(text: str, folder: Path) -> str:
    """Return the absolute path of a file that a config in `folder` calls `text`.

    One that is relative to `folder` has no links and no ``..``.
    """
    return AbsolutePath(text) if Path(text).is_absolute() else str((folder / text).resolve())


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
    return absolute(text, context.folder)
