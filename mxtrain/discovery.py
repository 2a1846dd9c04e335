"""Packages that find their own modules, so that adding a class takes one file."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any


def public_classes(package: str, file: str, machinery: Collection[str]) -> dict[str, type[Any]]:
    """Import every module beside `file` and return the public classes they define, by name.

    Those are the ones in a module's ``__all__``, or without one those without an underscore.

    Parameters
    ----------
    package, file : ``__name__`` and ``__file__`` of the package's ``__init__``.
    machinery : modules of the package that define none.
    """
    found: dict[str, type[Any]] = {}
    for path in sorted(Path(file).parent.glob("*.py")):
        if path.stem == "__init__" or path.stem in machinery:
            continue
        module = import_module(f"{package}.{path.stem}")
        listed = getattr(module, "__all__", None)
        found |= {
            name: value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and value.__module__ == module.__name__
            and (name in listed if listed is not None else not name.startswith("_"))
        }
    return found
