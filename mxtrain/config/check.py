"""A config checked as a whole: every problem found, or a `RunSpec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mxtrain.backend import MATHS, NAMES, on_device, problem
from mxtrain.config import override, plugins
from mxtrain.config.base_rate import with_base_rate
from mxtrain.config.compare import read_compare
from mxtrain.config.component import read_component
from mxtrain.config.data import read_data
from mxtrain.config.document import Node, read
from mxtrain.config.fit import check_early_stopping, read_fit
from mxtrain.config.problem import ConfigErrors, Mark, Problems
from mxtrain.config.section import (
    BAD,
    Context,
    read_section,
    read_value,
    settings_by_name,
)
from mxtrain.config.spec import Component, DataSpec, FitSpec, RunSpec
from mxtrain.config.weights import check_fixed, read_weights
from mxtrain.errors import PluginError

# Settings of a class that the tool gives itself, and where a user sets what they stand for.
OPTIMIZER_MANAGED = {
    "lr_scheduler": "it belongs at the top level, beside optimizer",
    "begin_num_update": "set by the run; leave it out",
    "param_idx2name": "set by the run; leave it out",
    "param_dict": "set by the run; leave it out",
    "sym": "set by the run; leave it out",
    "clip_global_norm": "it belongs under fit",
}


def load(
    path: str | Path,
    overrides: Sequence[str] = (),
    files: bool = True,
    graph: Path | None = None,
) -> RunSpec:
    """Read and check the config file `path`; every mistake in it is found at once.

    Parameters
    ----------
    path : the YAML file; relative paths in it are relative to its folder.
    overrides : ``path=value`` texts that replace values of the file, as ``--set`` gives them.
    files : whether data and network are looked at as well; a run that has trained can be used
        where they have gone.
    graph : a ``-symbol.json`` to take where the file that ``symbol`` names has gone.

    Raises
    ------
    ConfigErrors : the file cannot be read, or something in it is wrong.
    """
    problems = Problems()
    shown = str(path)
    root = read(Path(path), shown, problems)
    if root is None:
        raise ConfigErrors(problems.in_order())
    if root.value is None and not overrides:
        text = "the file is empty; 'mxtrain new' writes a config to start from"
        problems.add(Mark(shown), "", text)
    elif not (root.is_mapping or root.value is None):
        text = f"expected keys such as data, symbol and optimizer, received {root.shown()}"
        problems.add(root.mark, "", text)
    problems.raise_if_any()
    root = override.apply(root, overrides, problems)
    if not root.is_mapping:
        problems.raise_if_any()
    return check(root, Context(problems, Path(path).resolve().parent, files, graph))


def check(root: Node, context: Context) -> RunSpec:
    """Return the spec that the tree `root` says; ConfigErrors when anything is wrong."""
    _load_plugins(root, context)
    parts: dict[str, Any] = {}
    spec = read_section(RunSpec, root, "", context, _readers(context, parts), _elsewhere())
    _check_backend(root, context)
    rates = _rates(root, context, parts)
    metrics = _check_network(root, context, parts)
    fit = parts.get("fit", FitSpec())
    if fit is not BAD:
        fit = fit if fit.metrics or _gives_metrics(root) else replace(fit, metrics=metrics)
        data = parts.get("data", BAD)
        if "fit" in root.value and data is not BAD:
            check_early_stopping(fit, root.value["fit"], context, data.eval is not None)
    context.problems.raise_if_any()
    files = tuple(plugins.resolved(entry, context.folder) for entry in spec.plugins)
    checked: RunSpec = replace(spec, fit=fit, plugins=files, **rates)
    return checked


def _readers(context: Context, parts: dict[str, Any]) -> Mapping[str, Any]:
    """Return the reader of every section; each leaves its result in `parts`."""

    def kept(name: str, reader: Any) -> Any:
        def read_part(node: Node, path: str) -> Any:
            parts[name] = reader(node, path, context)
            return parts[name]

        return read_part

    readers = {
        "data": read_data,
        "symbol": _read_symbol,
        "fit": read_fit,
        "weights": read_weights,
        "optimizer": _read_optimizer,
        "initializer": _read_initializer,
        "lr_scheduler": _read_lr_scheduler,
        "compare": lambda node, path, inner: read_compare(node, path, inner, OPTIMIZER_MANAGED),
    }
    return {name: kept(name, reader) for name, reader in readers.items()}


def _read_symbol(node: Node, path: str, context: Context) -> Any:
    from mxtrain.config.network import read_symbol

    return read_symbol(node, path, context)


def _read_optimizer(node: Node, path: str, context: Context) -> Any:
    from mxtrain.optimizer import registry

    return read_component(node, path, context, registry, OPTIMIZER_MANAGED)


def _read_initializer(node: Node, path: str, context: Context) -> Any:
    from mxtrain.initializer import registry

    return read_component(node, path, context, registry, {})


def _read_lr_scheduler(node: Node, path: str, context: Context) -> Any:
    from mxtrain.lr_scheduler import registry

    return None if node.value is None else read_component(node, path, context, registry, {})


def _check_network(root: Node, context: Context, parts: dict[str, Any]) -> tuple[Component, ...]:
    symbol, data = parts.get("symbol", BAD), parts.get("data", BAD)
    if symbol is BAD or not context.looks_at_files:
        return ()
    from mxtrain.config.network import check_network

    known: DataSpec | None = None if data is BAD else data
    data_node = root.value.get("data", root)
    built, metrics = check_network(symbol, root.value["symbol"], known, data_node, context)
    fit = parts.get("fit", BAD)
    if built is not None and fit is not BAD:
        check_fixed(fit, root.value["fit"], built, context)
    return metrics


def _rates(root: Node, context: Context, parts: Mapping[str, Any]) -> dict[str, Component]:
    """Return optimizer and scheduler with one base rate, by name; nothing without a scheduler."""
    optimizer = parts.get("optimizer", settings_by_name(RunSpec)["optimizer"].default)
    scheduler = parts.get("lr_scheduler")
    if scheduler is None or scheduler is BAD or optimizer is BAD:
        return {}
    return with_base_rate(optimizer, scheduler, root.value["lr_scheduler"], context)


def _gives_metrics(root: Node) -> bool:
    fit = root.value.get("fit")
    return fit is not None and fit.is_mapping and "metrics" in fit.value


def _load_plugins(root: Node, context: Context) -> None:
    """Load the plugins before anything else: they register the names used below."""
    node = root.value.get("plugins")
    if node is None:
        return
    entries = read_value(settings_by_name(RunSpec)["plugins"].annotation, node, "", _quiet(context))
    for number, entry in enumerate(() if entries is BAD else entries):
        try:
            plugins.load(entry, context.folder)
        except PluginError as error:
            text = f"plugin '{entry}': {error}"
            context.problems.add(node.value[number].mark, f"plugins[{number}]", text)


def _quiet(context: Context) -> Context:
    """Return a context whose problems go nowhere: they are noted when the section is read."""
    return replace(context, problems=Problems())


def _check_backend(root: Node, context: Context) -> None:
    node, device, math = map(root.value.get, ("backend", "device", "math"))
    name = "numpy" if node is None else node.value
    number = 0 if device is None else device.value
    if name not in NAMES or not isinstance(number, int) or number < 0:
        return  # told by the checks of each
    if math is not None and math.value in MATHS[1:] and name != "cupy":
        text = f"{math.value} is arithmetic of a GPU, and the backend is {name}; add backend: cupy"
        context.problems.add(math.mark, "math", text)
    if device is not None and number and name != "cupy":
        text = f"a GPU is meant, and the backend is {name}; add backend: cupy"
        context.problems.add(device.mark, "device", text)
    elif node is not None:
        reason = problem(on_device(name, number))
        if reason:
            context.problems.add(node.mark, "backend", reason)


def _elsewhere() -> dict[str, str]:
    """Return where keys belong that are often written at the top level."""
    places = dict.fromkeys(("learning_rate", "lr", "momentum", "wd"), "optimizer")
    for section, cls in (("data", DataSpec), ("fit", FitSpec)):
        places |= dict.fromkeys(settings_by_name(cls), section)
    return places
