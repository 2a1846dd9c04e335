"""From a graph and its weights to the nodes of a model, in inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mxtrain.export.axes import Axes, Inferred, infer
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters import converter_of
from mxtrain.export.errors import ExportError
from mxtrain.export.preprocessing import Scaling
from mxtrain.export.writer import OnnxNode, Value, Writer
from mxtrain.op import registry
from mxtrain.symbol import Symbol
from mxtrain.symbol.infer import entry_key
from mxtrain.symbol.node import Node


@dataclass(frozen=True)
class Port:
    """An input or output of a model: name, element type and shape."""

    name: str
    dtype: str
    axes: Axes


@dataclass(frozen=True)
class OnnxGraph:
    """A model in plain data.

    Attributes
    ----------
    nodes : in the order in which they compute.
    constants : arrays by name: the parameters that are read, and numbers that operators need.
    inputs, outputs : what a user gives and gets.
    parameters : the names of the constants that are parameters.
    notes : what a user should know.
    """

    nodes: list[OnnxNode]
    constants: dict[str, Any]
    inputs: list[Port]
    outputs: list[Port]
    parameters: list[str]
    notes: list[str]


def convert(
    symbol: Symbol,
    inputs: Mapping[str, Axes],
    parameters: Mapping[str, Any],
    opset: int,
    *,
    batch: int | None = None,
    types: Mapping[str, str] | None = None,
    scaling: Mapping[str, Scaling] | None = None,
) -> OnnxGraph:
    """Convert every node that an output needs.

    Parameters
    ----------
    symbol : the graph. Its outputs keep their names.
    inputs : shapes of the data inputs, with `axes.BATCH` where the batch goes.
    parameters : arrays of arguments and auxiliary states by name.
    opset : the ONNX operator set to write for, 13 or later.
    batch : the one batch size of the model; None lets every size through.
    types : element types of data inputs, where the graph does not tell them.
    scaling : for data inputs by name what is done to the numbers of a file first.

    Raises ExportError, and FixedBatchError where a batch size is needed.
    """
    _refuse_unknown(symbol)
    known = infer(symbol, inputs, parameters, batch, types)
    walk = _Walk(known, parameters, opset, scaling or {})
    outputs = walk.outputs(symbol)
    writer = walk.writer
    writer.drop_unread([port.name for port in outputs])
    read = {name for node in writer.nodes for name in node.inputs}
    return OnnxGraph(
        writer.nodes,
        writer.constants,
        [port for port in walk.inputs if port.name in read],
        outputs,
        [name for name in parameters if name in writer.constants],
        writer.notes,
    )


def _refuse_unknown(symbol: Symbol) -> None:
    missing: dict[str, list[str]] = {}
    names: list[str] = []
    for node in symbol.nodes():
        if node.op is None:
            names.append(node.name)
        elif converter_of(registry.get(node.op)) is None:
            missing.setdefault(node.op, []).append(node.name)
    if missing:
        listed = "; ".join(f"{op} ({', '.join(nodes)})" for op, nodes in missing.items())
        raise ExportError(f"operators that cannot be exported: {listed}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExportError(
            f"several variables are called {', '.join(twice)}; an exported model needs a name for "
            "each"
        )


class _Walk:
    """Converts node by node; `inputs` are the data inputs met on the way."""

    def __init__(
        self,
        known: Inferred,
        parameters: Mapping[str, Any],
        opset: int,
        scaling: Mapping[str, Scaling],
    ) -> None:
        self.writer = Writer()
        self.inputs: list[Port] = []
        self._known, self._opset = known, opset
        self._values: dict[tuple[int, int], Value] = {}
        variables = [node for node in known.order if node.is_variable]
        for node in variables:
            self.writer.unique(node.name)  # operators may not take the name of an input
        for node in variables:
            self._values[id(node), 0] = self._variable(node, parameters, scaling.get(node.name))
        for node in known.order:
            if not node.is_variable:
                self._convert(node)

    def _variable(
        self, node: Node, parameters: Mapping[str, Any], scaling: Scaling | None
    ) -> Value:
        if node.name in parameters:
            return self.writer.parameter(node.name, parameters[node.name])
        axes, dtype = self._known.axes[id(node), 0], self._known.types[id(node), 0]
        self.inputs.append(Port(node.name, scaling.dtype if scaling else dtype, axes))
        if scaling is None:
            return Value(node.name, dtype)
        return scaling.emit(self.writer, node.name, dtype)

    def _convert(self, node: Node) -> None:
        known, keys = self._known, [entry_key(entry) for entry in node.inputs]
        out_keys = [(id(node), number) for number in range(len(node.operator.outputs()))]
        conversion = Conversion(
            self.writer,
            node,
            [self._values[key] for key in keys],
            [known.axes[key] for key in keys],
            [known.axes[key] for key in out_keys],
            [known.types[key] for key in out_keys],
            self._opset,
        )
        names = [self.writer.unique(name) for name in node.output_names()]
        convert_operator = converter_of(type(node.operator))
        if convert_operator is None:
            raise conversion.error("cannot be exported")
        results = conversion.finish(convert_operator(conversion, node.operator), names)
        self._values |= dict(zip(out_keys, results, strict=True))

    def outputs(self, symbol: Symbol) -> list[Port]:
        """Return the outputs of the model; one that is an input, or listed twice, is copied."""
        ports: list[Port] = []
        for entry, name in zip(symbol.entries, symbol.list_outputs(), strict=True):
            key = entry_key(entry)
            value = self._values[key]
            if entry.node.is_variable or value.name in [port.name for port in ports]:
                copied = self.writer.unique(f"{name}_output")
                node = OnnxNode("Identity", self.writer.unique(copied), [value.name], [copied])
                self.writer.nodes.append(node)
                value = Value(copied, value.dtype)
            ports.append(Port(value.name, value.dtype, self._known.axes[key]))
        return ports


def internals(symbol: Symbol) -> Symbol:
    """Return the outputs of all operators, in the order in which they compute."""
    entries: Sequence[Any] = [e for e in symbol.get_internals().entries if not e.node.is_variable]
    return Symbol(list(entries))
