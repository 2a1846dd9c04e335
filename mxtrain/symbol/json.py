"""Graphs as MXNet's ``-symbol.json`` text."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from itertools import islice
from reprlib import repr as short_repr
from typing import Any

from mxtrain.errors import FileFormatError, MXNetError, closest
from mxtrain.op import registry
from mxtrain.symbol.layout import dumps
from mxtrain.symbol.node import Entry, Node
from mxtrain.symbol.symbol import Symbol
from mxtrain.symbol.upgrade import (
    MXNET_VERSION,
    UNNAMED_VERSION,
    claims_too_many_inputs,
    node_keys,
    upgrade,
)

_TOP_KEYS = {"nodes", "arg_nodes", "node_row_ptr", "heads", "attrs"}
_NODE_KEYS = {"op", "name", "attrs", "inputs", "control_deps", "subgraphs"}
_MOST_SHOWN = 20

# -- writing -----------------------------------------------------------------------------------


def to_json(symbol: Symbol) -> str:
    """Return the text MXNet 1.9.1 writes for this graph."""
    order = symbol.nodes()
    number = {id(node): index for index, node in enumerate(order)}
    row_ptr = [0]
    for node in order:
        row_ptr.append(row_ptr[-1] + _stored_outputs(node))
    graph = {
        "nodes": [_node_to_dict(node, number) for node in order],
        "arg_nodes": [index for index, node in enumerate(order) if node.is_variable],
        "node_row_ptr": row_ptr,
        "heads": [[number[id(entry.node)], entry.index, 0] for entry in symbol.entries],
        "attrs": {"mxnet_version": ["int", MXNET_VERSION]},
    }
    return dumps(graph)


def _stored_outputs(node: Node) -> int:
    if node.is_variable:
        return 1
    return node.operator.count_outputs() + node.operator.hidden_outputs()


def _node_to_dict(node: Node, number: dict[int, int]) -> dict[str, Any]:
    stored: dict[str, Any] = {"op": node.op or "null", "name": node.name}
    if node.attrs:
        stored["attrs"] = dict(sorted(node.attrs.items()))
    changed = {id(e.node) for e in node.auxiliary_inputs()} if not node.is_variable else set()
    stored["inputs"] = [
        [number[id(entry.node)], entry.index, int(id(entry.node) in changed)]
        for entry in node.inputs
    ]
    return stored


# -- reading -----------------------------------------------------------------------------------


def from_json(text: str) -> Symbol:
    """Read a graph, also one that an earlier MXNet wrote; one of a later MXNet with a UserWarning.

    Raises FileFormatError when the text is no graph, and MXNetError naming every node whose
    operator or attributes are unknown, or whose attributes have wrong values.
    """
    graph = _parse(text)
    nodes = read_nodes(graph)
    version = _version(graph)
    if version > MXNET_VERSION:
        warnings.warn(
            f"this graph was written by MXNet {_shown_version(version)}, later than "
            f"{_shown_version(MXNET_VERSION)}; it is read as if it were of that version",
            UserWarning,
            stacklevel=2,
        )
    _refuse_unknown_operators(nodes)
    upgrade(nodes, version)
    _refuse_wrong_attributes(nodes)
    for index, node in enumerate(nodes):
        _check_inputs(node, _where(index, node.name))
    heads = [_entry(head, nodes, "heads") for head in graph["heads"]]
    for head in heads:
        _check_output(head, "heads")
    if not heads:
        raise FileFormatError("symbol file: 'heads' is empty")
    return Symbol(heads)


def _parse(text: str) -> dict[str, Any]:
    try:
        graph = json.loads(
            # A byte order mark, which some editors put before UTF-8, is no part of the text.
            text.removeprefix("\ufeff"),
            # MXNet writes control characters as they are.
            strict=False,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise FileFormatError("not a symbol file: its values are nested too deeply") from None
    except ValueError as error:
        raise FileFormatError(f"not a symbol file: {error}") from None
    if not isinstance(graph, dict):
        raise FileFormatError("not a symbol file: the top level is not an object")
    for key in ("nodes", "arg_nodes", "heads"):
        if not isinstance(graph.get(key), list):
            raise FileFormatError(f"not a symbol file: it has no list '{key}'")
    _refuse_unknown_keys(graph, _TOP_KEYS, "symbol file")
    return graph


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {short_repr(twice)} occurs twice in one object")
    for key, value in pairs:
        for part in (key, value):
            if isinstance(part, str) and not _is_text(part):
                raise ValueError(f"{short_repr(part)} has half a character (a lone surrogate)")
    return found


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _refuse_unknown_keys(stored: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(stored) - known)
    if unknown:
        raise FileFormatError(
            f"{where}: unknown key {short_repr(unknown[0])}; known are {', '.join(sorted(known))}"
        )


def _version(graph: dict[str, Any]) -> int:
    attrs = graph.get("attrs", {})
    if not isinstance(attrs, dict):
        raise FileFormatError("symbol file: 'attrs' should be an object")
    found = attrs.get("mxnet_version", ["int", UNNAMED_VERSION])
    if not (isinstance(found, list) and len(found) == 2 and found[0] == "int"):
        raise FileFormatError(
            f"symbol file: 'mxnet_version' should be like [\"int\", {MXNET_VERSION}], "
            f"it is {short_repr(found)}"
        )
    if type(found[1]) is not int or found[1] < 0:
        raise FileFormatError(
            f"symbol file: 'mxnet_version' should be a number like {MXNET_VERSION}, "
            f"it is {short_repr(found[1])}"
        )
    return found[1]


def _shown_version(version: int) -> str:
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def read_nodes(graph: dict[str, Any]) -> list[Node]:
    """Return the nodes of a parsed file as they stand there: not upgraded, operators unchecked.

    Raises FileFormatError when one is spelled wrongly or uses a node that comes later.
    """
    nodes: list[Node] = []
    for index, stored in enumerate(graph["nodes"]):
        nodes.append(_read_node(index, stored, nodes))
    return nodes


def _where(index: int, name: str) -> str:
    return f"symbol file: node {index} ({name[:100]})"


def _read_node(index: int, stored: Any, earlier: list[Node]) -> Node:
    if not isinstance(stored, dict):
        raise FileFormatError(f"symbol file: node {index} is not an object")
    op, name = stored.get("op"), stored.get("name")
    if not isinstance(op, str) or not isinstance(name, str):
        raise FileFormatError(f"symbol file: node {index} needs the texts 'op' and 'name'")
    where = _where(index, name)
    stored = node_keys(stored)
    _refuse_unknown_keys(stored, _NODE_KEYS, where)
    attrs, inputs = stored.get("attrs", {}), stored.get("inputs")
    if not isinstance(attrs, dict) or not all(isinstance(v, str) for v in attrs.values()):
        raise FileFormatError(f"{where}: attributes should map texts to texts")
    if not isinstance(inputs, list):
        raise FileFormatError(f"{where}: 'inputs' should be a list")
    for key in ("control_deps", "subgraphs"):
        if stored.get(key):
            raise MXNetError(f"{where}: '{key}' is not supported")
    if op == "null" and inputs:
        raise FileFormatError(f"{where}: a variable has no inputs")
    known = registry.get(op).op_name if op in registry else op
    entries = [_entry(item, earlier, where) for item in inputs]
    return Node(None if op == "null" else known, name, dict(attrs), entries)


def _entry(item: Any, nodes: list[Node], where: str) -> Entry:
    numbers = isinstance(item, list) and len(item) in (2, 3)
    if not numbers or not all(type(value) is int for value in item):
        raise FileFormatError(
            f"{where}: {short_repr(item)} is not [node, output] or [node, output, version]"
        )
    if not 0 <= item[0] < len(nodes):
        raise FileFormatError(f"{where}: node {short_repr(item[0])} does not come before it")
    return Entry(nodes[item[0]], item[1])


# -- what only operators can tell --------------------------------------------------------------


def _refuse_unknown_operators(nodes: list[Node]) -> None:
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if node.op is not None and node.op not in registry:
            unknown.setdefault(node.op, []).append(node.name)
    if unknown:
        listed = _listed([f"{op[:100]} ({_listed(names)})" for op, names in unknown.items()], "; ")
        raise MXNetError(f"symbol file: operators that are not there: {listed}")


def _refuse_wrong_attributes(nodes: list[Node]) -> None:
    unknown: dict[tuple[str, str], list[str]] = {}
    wrong: list[str] = []
    for node in nodes:
        if node.op is None:
            continue
        known = registry.get(node.op)._fields
        extra = [key for key in node.operator_attrs if key not in known]
        for key in extra:
            unknown.setdefault((node.op, key), []).append(node.name)
        if not extra:
            wrong += _problems(node)
        if len(wrong) > _MOST_SHOWN:
            break
    if unknown or wrong:
        # Looking for near names takes long; a file may have any number of wrong ones.
        shown = [_no_attribute(*item) for item in islice(unknown.items(), _MOST_SHOWN + 1)]
        raise MXNetError(f"symbol file: attributes that do not fit: {_listed(shown + wrong, '; ')}")


def _no_attribute(place: tuple[str, str], nodes: list[str]) -> str:
    op, key = place[0], place[1][:100]
    near = closest(key, registry.get(op)._fields)
    hint = f", did you mean '{near}'?" if near else ""
    return f"{op} has no attribute '{key}'{hint} (nodes {_listed(nodes)})"


def _problems(node: Node) -> list[str]:
    try:
        node.set_attrs(node.attrs)
    except MXNetError as error:
        return [str(error)]
    return []


def _listed(texts: list[str], comma: str = ", ") -> str:
    more = f"{comma}and more" if len(texts) > _MOST_SHOWN else ""
    return comma.join(text[:500] for text in texts[:_MOST_SHOWN]) + more


def _check_inputs(node: Node, where: str) -> None:
    if node.is_variable:
        return
    if claims_too_many_inputs(node.operator, len(node.inputs)):
        raise MXNetError(
            f"{where}: num_args is {node.attrs['num_args']}, {len(node.inputs)} inputs are stored"
        )
    wanted = node.operator.inputs()
    if len(node.inputs) != len(wanted):
        raise MXNetError(
            f"{where}: {node.op} takes {len(wanted)} inputs ({', '.join(wanted)}), "
            f"{len(node.inputs)} are stored"
        )
    for entry in node.inputs:
        _check_output(entry, where)


def _check_output(entry: Entry, where: str) -> None:
    node = entry.node
    count = 1 if node.is_variable else node.operator.count_outputs()
    if not 0 <= entry.index < count:
        raise FileFormatError(
            f"{where}: node '{node.name[:100]}' has no output {short_repr(entry.index)}"
        )
