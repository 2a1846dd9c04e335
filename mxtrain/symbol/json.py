"""Graphs as MXNet's ``-symbol.json`` text."""

from __future__ import annotations

import json
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.op import registry
from mxtrain.symbol.node import Entry, Node
from mxtrain.symbol.symbol import Symbol

MXNET_VERSION = 10901
_TOP_KEYS = {"nodes", "arg_nodes", "node_row_ptr", "heads", "attrs"}
_NODE_KEYS = {"op", "name", "attrs", "inputs", "control_deps", "subgraphs"}


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
    return json.dumps(graph, indent=2)


def _stored_outputs(node: Node) -> int:
    if node.is_variable:
        return 1
    return len(node.operator.outputs()) + node.operator.hidden_outputs()


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


def from_json(text: str) -> Symbol:
    """Read a graph; MXNetError when the text is not one."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MXNetError(f"not a symbol file: {error}") from None
    if not isinstance(graph, dict):
        raise MXNetError("not a symbol file: the top level is not an object")
    for key in ("nodes", "arg_nodes", "heads"):
        if not isinstance(graph.get(key), list):
            raise MXNetError(f"not a symbol file: it has no list '{key}'")
    unknown = sorted(set(graph) - _TOP_KEYS)
    if unknown:
        raise MXNetError(f"symbol file: unknown key '{unknown[0]}'")
    _refuse_unknown_operators(graph["nodes"])
    nodes: list[Node] = []
    for index, stored in enumerate(graph["nodes"]):
        nodes.append(_node_from_dict(index, stored, nodes))
    heads = [_entry(head, nodes, "heads") for head in graph["heads"]]
    if not heads:
        raise MXNetError("symbol file: 'heads' is empty")
    return Symbol(heads)


def _refuse_unknown_operators(stored: list[Any]) -> None:
    unknown: dict[str, list[str]] = {}
    for node in stored:
        op = node.get("op") if isinstance(node, dict) else None
        if isinstance(op, str) and op != "null" and op not in registry:
            unknown.setdefault(op, []).append(str(node.get("name")))
    if unknown:
        listed = "; ".join(f"{op} ({', '.join(names)})" for op, names in unknown.items())
        raise MXNetError(f"symbol file: operators that are not there: {listed}")


def _node_from_dict(index: int, stored: Any, earlier: list[Node]) -> Node:
    where = f"symbol file: node {index}"
    if not isinstance(stored, dict):
        raise MXNetError(f"{where} is not an object")
    op, name = stored.get("op"), stored.get("name")
    if not isinstance(op, str) or not isinstance(name, str):
        raise MXNetError(f"{where} needs the texts 'op' and 'name'")
    unknown = sorted(set(stored) - _NODE_KEYS)
    if unknown:
        raise MXNetError(f"{where} ({name}): unknown key '{unknown[0]}'")
    attrs, inputs = stored.get("attrs", {}), stored.get("inputs")
    if not isinstance(attrs, dict) or not all(isinstance(v, str) for v in attrs.values()):
        raise MXNetError(f"{where} ({name}): 'attrs' should map texts to texts")
    if not isinstance(inputs, list):
        raise MXNetError(f"{where} ({name}): 'inputs' should be a list")
    node = Node(None if op == "null" else registry.get(op).op_name, name, dict(attrs))
    node.inputs = [_entry(item, earlier, f"{where} ({name})") for item in inputs]
    if node.is_variable:
        if inputs:
            raise MXNetError(f"{where} ({name}): a variable has no inputs")
    elif len(node.inputs) != len(node.operator.inputs()):
        wanted = node.operator.inputs()
        raise MXNetError(
            f"{where} ({name}): {op} takes {len(wanted)} inputs ({', '.join(wanted)}), "
            f"{len(node.inputs)} are stored"
        )
    return node


def _entry(item: Any, nodes: list[Node], where: str) -> Entry:
    numbers = isinstance(item, list) and len(item) in (2, 3)
    if not numbers or not all(type(value) is int for value in item):
        raise MXNetError(f"{where}: {item!r} is not [node, output] or [node, output, version]")
    node, index = item[0], item[1]
    if not 0 <= node < len(nodes):
        raise MXNetError(f"{where}: node {node} does not come before it")
    if not 0 <= index < len(nodes[node].output_names()):
        raise MXNetError(f"{where}: node '{nodes[node].name}' has no output {index}")
    return Entry(nodes[node], index)
