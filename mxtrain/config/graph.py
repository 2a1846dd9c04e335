"""The symbol that a spec describes: built, and checked as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mxtrain.config import plugins
from mxtrain.config.inputs import DATA, INDEXED
from mxtrain.config.nodes import VARIABLE
from mxtrain.config.spec import Component, FileSymbol, NodeSpec, PythonSymbol, SymbolSpec
from mxtrain.errors import MXNetError
from mxtrain.symbol import Group, Symbol, create, load
from mxtrain.symbol.compose import variable


def build(spec: SymbolSpec) -> Symbol:
    """Return the symbol that `spec` describes.

    Raises
    ------
    MXNetError : shapes or attributes do not fit, or a file is not a symbol.
    PluginError : the Python file or function failed.
    """
    if isinstance(spec, FileSymbol):
        return load(spec.file)
    if isinstance(spec, PythonSymbol):
        return _call(spec)
    made = {node.name: symbol for node, symbol in steps(spec)}
    unused = unused_nodes(spec)
    heads = [made[node.name] for node in spec if node.name in unused and node.op != VARIABLE]
    return heads[0] if len(heads) == 1 else Group(heads)


def unused_nodes(spec: tuple[NodeSpec, ...]) -> list[str]:
    """Return the names of the nodes that no other node reads, in order."""
    used = {INDEXED.sub(r"\1", name) for node in spec for name in _names(node)}
    return [node.name for node in spec if node.name not in used]


def steps(spec: tuple[NodeSpec, ...]) -> Iterator[tuple[NodeSpec, Symbol]]:
    """Build the nodes one after the other and yield each with its symbol."""
    made = {DATA: variable(DATA)}
    for node in spec:
        if node.op == VARIABLE:
            init = _init_text(node.init[node.name]) if node.init else None
            symbol = variable(node.name, init=init, **node.attrs)
        elif isinstance(node.inputs, dict):
            named: dict[str, Any] = {key: _entry(made, name) for key, name in node.inputs.items()}
            named |= node.attrs
            symbol = create(node.op, name=node.name, **named)
        else:
            given = [_entry(made, name) for name in _names(node)]
            symbol = create(node.op, *given, name=node.name, **node.attrs)
        made[node.name] = symbol
        if node.op != VARIABLE:
            _take_parameters(node, symbol, made)
        yield node, symbol


def _take_parameters(node: NodeSpec, symbol: Symbol, made: dict[str, Symbol]) -> None:
    """Give the node's own parameters their initializers, and make them known by name."""
    inner = symbol.entries[0].node
    for argument, entry in zip(inner.operator.inputs(), inner.inputs, strict=False):
        if entry.node.is_variable and entry.node.name == f"{node.name}_{argument}":
            if argument in node.init:
                entry.node.attrs["__init__"] = _init_text(node.init[argument])
            made.setdefault(entry.node.name, Symbol([entry]))


def _init_text(component: Component) -> str:
    """Return the text that stores an initializer in a graph."""
    from mxtrain.initializer import registry

    made: Any = registry.create(component.name, **component.settings)
    text = made.dumps()
    return text if isinstance(text, str) else json.dumps(text)


def _entry(made: dict[str, Symbol], name: str) -> Symbol:
    indexed = INDEXED.fullmatch(name)
    return made[indexed[1]][int(indexed[2])] if indexed else made[name]


def _names(node: NodeSpec) -> list[str]:
    """Return what a node's inputs are called, in order."""
    if isinstance(node.inputs, str):
        return [node.inputs]
    return list(node.inputs.values()) if isinstance(node.inputs, dict) else list(node.inputs)


def _call(spec: PythonSymbol) -> Symbol:
    module = plugins.load_file(Path(spec.python))
    function = plugins.function_of(module, spec.function)
    made = plugins.call(function, spec.arguments, str(Path(spec.python).resolve()))
    if not isinstance(made, Symbol):
        raise MXNetError(f"{spec.function}() must return a symbol, it returned {made!r:.80}")
    return made
