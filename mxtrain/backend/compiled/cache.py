"""Compiling generated source, and finding it compiled on the disk in the next run.

Numba keeps what it compiled beside the file the source came from, so the source is written to a
file first: under the user's cache folder, in a folder of its own for every version of the pieces
that decide the machine code. A folder that cannot be written costs the time to compile, no more.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numba

from mxtrain.backend import waiting
from mxtrain.backend.compiled import calls, functions, matrices, philox, pointers, products
from mxtrain.backend.compiled.source import HEADER
from mxtrain.version import __version__

FOLDER_VARIABLE = "MXTRAIN_CACHE"
NAME = "run"


def cache_folder() -> Path:
    """Return where compiled kernels are kept: ``$MXTRAIN_CACHE``, or the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mxtrain"


@cache
def _version() -> str:
    """Return a name that changes with anything that generated functions are compiled with."""
    modules = (calls, functions, matrices, philox, pointers, products)
    parts = [Path(module.__file__ or "").read_bytes() for module in modules]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:12]
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return f"{__version__}-numba{numba.__version__}-{python}-{digest}"


_compiled: dict[str, Callable[..., Any]] = {}


def compiled(write: Callable[[bool], str]) -> Callable[..., Any]:
    """Return the function ``run`` of the source that `write` returns.

    `write` is told whether the function may be kept on the disk. Equal sources give one function.
    """
    source = HEADER + write(True)
    name = hashlib.sha256(source.encode()).hexdigest()[:24]
    if name not in _compiled:
        _compiled[name] = _from_disk(name, source) or _from_memory(HEADER + write(False))
    return _compiled[name]


def is_compiled(function: object) -> bool:
    """Whether a kernel is a function that `compiled` returned."""
    return hasattr(function, "overloads")


def _from_disk(name: str, source: str) -> Callable[..., Any] | None:
    path = cache_folder() / "kernels" / _version() / f"k{name}.py"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists() or path.read_text(encoding="utf-8") != source:
            _write(path, source)
            waiting.say("compiling kernels, which takes some seconds; later runs find them done")
        module_name = f"mxtrain_kernel_{name}"
        spec = spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            return None
        module = module_from_spec(spec)
        sys.modules[module_name] = module  # Numba finds the module of a stored function by name
        spec.loader.exec_module(module)
    except OSError:
        return None
    function: Callable[..., Any] = getattr(module, NAME)
    return function


def _write(path: Path, source: str) -> None:
    """Put a whole file in place at once: another process may be about to import it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(source, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _from_memory(source: str) -> Callable[..., Any]:
    waiting.say(
        f"compiling kernels, which takes some seconds in every run: {cache_folder()} cannot be "
        f"written (${FOLDER_VARIABLE} names another folder)"
    )
    scope: dict[str, Any] = {}
    exec(compile(source, "<generated kernel>", "exec"), scope)
    function: Callable[..., Any] = scope[NAME]
    return function
