"""What a ``-symbol.json`` holds, also one with operators that are not there."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain import symbol as symbols
from mxtrain.checkpoint.arrays import read_arrays
from mxtrain.checkpoint.naming import without_prefix
from mxtrain.errors import MXNetError
from mxtrain.op import registry

if TYPE_CHECKING:
    from mxtrain.symbol import Symbol

__all__ = ["GraphReport", "NodeReport", "VariableReport", "graph_report", "written_by"]

Shape = tuple[int, ...]
_Stored = tuple[str, str, dict[str, Any]]  # operator, name, and the node as it is stored
SUFFIX = "-symbol.json"


@dataclass(frozen=True)
class VariableReport:
    """What goes in or comes out: `kind` is ``argument``, ``auxiliary`` or ``output``.

    An unknown axis of the shape is 0; an unknown shape is None. `attrs` are a variable's own
    (``__lr_mult__``), without those that MXNet copies there from operators.
    """

    name: str
    kind: str
    shape: Shape | None = None
    attrs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeReport:
    """An operator with what it reads, its attributes and the shape of its first output."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, str]
    shape: Shape | None = None


@dataclass(frozen=True)
class GraphReport:
    """A graph.

    Attributes
    ----------
    file, written_by : the file, and the MXNet release it says it is from.
    operators : how often each operator occurs, the most frequent first.
    unknown : the nodes of operators that are not there, by operator. With any of them, auxiliary
        states are listed as arguments, and shapes are unknown.
    variables : arguments, auxiliary states and outputs.
    nodes : the operators, inputs before users.
    weights : the file the shapes come from, empty where there is none.
    notes : what else there is to say, such as weights that do not fit.
    """

    file: str
    written_by: str
    operators: dict[str, int]
    unknown: dict[str, tuple[str, ...]]
    variables: tuple[VariableReport, ...]
    nodes: tuple[NodeReport, ...]
    weights: str = ""
    notes: tuple[str, ...] = ()


def graph_report(path: Path) -> GraphReport:
    """Read a graph; shapes come from the newest weights of the same prefix beside it.

    Raises MXNetError where the file cannot be read or is no graph.
    """
    text = _text(path)
    try:
        stored = json.loads(text)
        nodes = stored["nodes"]
        ops = [(str(node["op"]), str(node["name"]), node) for node in nodes]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        # What is wrong with it, the reader of graphs says best.
        symbols.load(str(path))
        raise MXNetError(f"{path} is not a symbol file: {error}") from error
    report = GraphReport(
        str(path),
        written_by(stored),
        dict(Counter(op for op, _, _ in ops if op != "null").most_common()),
        _unknown(ops),
        variables=(),
        nodes=(),
    )
    if report.unknown:
        return _unread(report, stored, ops)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        symbol = symbols.load(str(path))
    return _read(report, path, symbol, [str(each.message) for each in caught])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MXNetError(f"cannot read the symbol file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MXNetError(f"{path} is not a symbol file: it is not UTF-8 text") from error


def written_by(stored: Mapping[str, Any]) -> str:
    """Return the release that a graph says it is from, in words.

    >>> written_by({"attrs": {"mxnet_version": ["int", 10901]}}), written_by({})
    ('MXNet 1.9.1', 'MXNet 0.8 or earlier')
    """
    attrs = stored.get("attrs")
    version = attrs.get("mxnet_version") if isinstance(attrs, dict) else None
    if isinstance(version, list) and len(version) == 2 and type(version[1]) is int:
        number = version[1]
        return f"MXNet {number // 10000}.{number // 100 % 100}.{number % 100}"
    return "MXNet 0.8 or earlier"


def _unknown(ops: Sequence[_Stored]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for op, name, _ in ops:
        if op != "null" and op not in registry:
            found.setdefault(op, []).append(name)
    return {op: tuple(names) for op, names in found.items()}


def _unread(report: GraphReport, stored: Mapping[str, Any], ops: Sequence[_Stored]) -> GraphReport:
    """Add what can be told of a graph without its operators."""
    variables = [
        VariableReport(name, "argument", None, _own(_attributes(node)))
        for op, name, node in ops
        if op == "null"
    ]
    names = [name for _, name, _ in ops]
    variables += [VariableReport(name, "output") for name in _read_names(stored, "heads", names)]
    nodes = [
        NodeReport(name, op, _read_names(node, "inputs", names), _attributes(node))
        for op, name, node in ops
        if op != "null"
    ]
    return replace(report, variables=tuple(variables), nodes=tuple(nodes))


def _read_names(stored: Mapping[str, Any], key: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names of the nodes that a list of ``[node, output, version]`` names."""
    entries = stored.get(key)
    numbers = [
        entry[0]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, list) and entry
    ]
    return tuple(names[n] for n in numbers if type(n) is int and 0 <= n < len(names))


def _own(attrs: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in attrs.items() if key.startswith("__")}


def _attributes(node: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of an operator; earlier releases called them ``attr`` or ``param``."""
    found: dict[str, str] = {}
    for key in ("attr", "param", "attrs"):
        if isinstance(node.get(key), dict):
            found |= {name: str(text) for name, text in node[key].items()}
    return found


def _read(report: GraphReport, path: Path, symbol: Symbol, notes: list[str]) -> GraphReport:
    weights = weights_beside(path)
    shapes: dict[int, Shape] = {}
    if weights is not None:
        try:
            shapes = _shapes(symbol, weights)
        except MXNetError as error:
            notes.append(f"{weights.name} does not fit: {error}")
    auxiliary = set(symbol.list_auxiliary_states())
    variables = [
        VariableReport(
            node.name,
            "auxiliary" if node.name in auxiliary else "argument",
            shapes.get(id(node)),
            _own(node.attrs),
        )
        for node in symbol.nodes()
        if node.is_variable
    ]
    variables += [
        VariableReport(name, "output", shapes.get(id(entry.node)) if entry.index == 0 else None)
        for name, entry in zip(symbol.list_outputs(), symbol.entries, strict=True)
    ]
    nodes = [
        NodeReport(
            node.name,
            node.op or "",
            tuple(entry.node.name for entry in node.inputs),
            dict(node.attrs),
            shapes.get(id(node)),
        )
        for node in symbol.nodes()
        if not node.is_variable
    ]
    return replace(
        report,
        variables=tuple(variables),
        nodes=tuple(nodes),
        weights=weights.name if weights is not None and shapes else "",
        notes=tuple(notes),
    )


def weights_beside(path: Path) -> Path | None:
    """Return the newest ``PREFIX-NNNN.params`` beside ``PREFIX-symbol.json``, None without any."""
    if not path.name.endswith(SUFFIX):
        return None
    pattern = re.compile(re.escape(path.name.removesuffix(SUFFIX)) + r"-(\d{4,})\.params")
    found = [
        (int(match[1]), each)
        for each in path.parent.iterdir()
        if (match := pattern.fullmatch(each.name)) is not None
    ]
    return max(found)[1] if found else None


def _shapes(symbol: Symbol, weights: Path) -> dict[int, Shape]:
    """The shape of the first output of every node, as far as the weights tell."""
    arrays = {without_prefix(name): array.shape for name, array in read_arrays(weights).items()}
    given = {name: arrays[name] for name in symbol.list_arguments() if name in arrays}
    given |= _data_shapes(symbol, given)
    inside = symbol.get_internals()
    _, shapes, _ = inside.infer_shape_partial(**given)
    found = zip(inside.entries, shapes, strict=True)
    return {id(entry.node): shape for entry, shape in found if entry.index == 0 and shape}


def _data_shapes(symbol: Symbol, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of data that a FullyConnected reads, but for the number of rows."""
    found: dict[str, Shape] = {}
    for node in symbol.nodes():
        if node.op == "FullyConnected" and getattr(node.operator, "flatten", False):
            data, weight = node.inputs[0].node, node.inputs[1].node
            if data.is_variable and data.name not in given and weight.name in given:
                found[data.name] = (0, given[weight.name][-1])
    return found
