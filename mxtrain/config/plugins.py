"""Plugins: Python files, modules and installed packages that register classes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mxtrain.config.paths import absolute
from mxtrain.config.problem import Mark, Problems, near_files
from mxtrain.errors import PluginError, closest

GROUP = "mxtrain.plugins"
_installed_loaded: list[str] = []


def load_file(path: Path) -> ModuleType:
    """Run the Python file `path` once per process and return its module.

    Raises PluginError when it does not exist or raises; the text names the file and the line.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    path = path.resolve()
    name = f"mxtrain_plugin:{path}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise PluginError(f"no such file{near_files(path, path.name)}")
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("not a Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginError(_what_failed(error, str(path))) from error
    return module


def load_module(name: str) -> ModuleType:
    """Import the module `name`; PluginError when that fails."""
    from importlib import import_module

    try:
        return import_module(name)
    except Exception as error:
        raise PluginError(_what_failed(error, name)) from error


def load(entry: str, folder: Path) -> ModuleType:
    """Load a plugin as a config names it: a ``.py`` file relative to `folder`, or a module."""
    if entry.endswith(".py"):
        return load_file(folder / entry)
    return load_module(entry)


def function_of(module: ModuleType, name: str) -> Callable[..., Any]:
    """Return the function `name` of a plugin module; PluginError when it has none."""
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # getattr knows no types
    public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    near = closest(name, public)
    hint = f"did you mean '{near}'?" if near else f"it has: {', '.join(public) or 'none'}"
    raise PluginError(f"no function '{name}' in the file ({hint})")


def call(function: Callable[..., Any], arguments: Mapping[str, Any], file: str) -> Any:
    """Return what a plugin's function returns; PluginError when it raises."""
    try:
        return function(**arguments)
    except Exception as error:
        raise PluginError(_what_failed(error, file)) from error


def resolved(entry: str, folder: Path) -> str:
    """Return a plugin's name with the path of a file made absolute."""
    return absolute(entry, folder) if entry.endswith(".py") else entry


def load_installed(problems: Problems, mark: Mark) -> None:
    """Load what installed packages offer under the entry-point group ``mxtrain.plugins``, once."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        if entry.name in _installed_loaded:
            continue
        _installed_loaded.append(entry.name)
        try:
            entry.load()
        except Exception as error:
            text = f"installed plugin '{entry.name}' failed: {_what_failed(error, entry.value)}"
            problems.add(mark, "plugins", text)


def _what_failed(error: BaseException, name: str) -> str:
    """Say which error the code of a plugin raised, and in which of its lines."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f" (line {line})" if line else ""
    return f"raised {type(error).__name__}: {error}{where}"
