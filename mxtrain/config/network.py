"""Reads ``symbol`` in its three forms and checks the network as a whole."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mxtrain.config import graph, plugins
from mxtrain.config.data import feature_columns
from mxtrain.config.document import Node
from mxtrain.config.inputs import DATA
from mxtrain.config.nodes import VARIABLE, read_nodes
from mxtrain.config.paths import existing_file
from mxtrain.config.section import (
    BAD,
    Context,
    joined,
    read_section,
    read_value,
    report_unknown,
    settings_by_name,
)
from mxtrain.config.spec import (
    Component,
    DataSpec,
    FileSymbol,
    NodeSpec,
    PythonSymbol,
    SourceSpec,
    SymbolSpec,
)
from mxtrain.errors import MXNetError, PluginError
from mxtrain.op import registry
from mxtrain.symbol import Symbol

# Outputs that pass no gradient on: fine beside a loss, useless alone.
_SILENT_OUTPUTS = ("BlockGrad", "stop_gradient")
_METRICS = {
    "SoftmaxOutput": "accuracy",
    "SVMOutput": "accuracy",
    "LinearRegressionOutput": "rmse",
    "LogisticRegressionOutput": "rmse",
    "MAERegressionOutput": "mae",
}


def read_symbol(node: Node, path: str, context: Context) -> Any:
    """Return the `SymbolSpec` of `node`, or `BAD`."""
    if node.is_list:
        return read_nodes(node, path, context)
    if context.graph is not None and _is_gone(node, context):
        return FileSymbol(file=str(context.graph.resolve()))
    if node.is_mapping and "file" in node.value:
        spec = read_section(FileSymbol, node, path, context, {})
        return _with_file(spec, "file", node, path, context)
    if node.is_mapping and "python" in node.value:
        return _read_python(node, path, context)
    forms = "a list of nodes, {file: model-symbol.json} or {python: model.py}"
    return context.bad(node, path, f"expected {forms}, received {node.shown()}")


def _is_gone(node: Node, context: Context) -> bool:
    """Whether the network is in a file, and that is not there."""
    named = [node.value[key] for key in ("file", "python") if node.is_mapping and key in node.value]
    return any(
        isinstance(one.value, str) and not (context.folder / one.value).exists() for one in named
    )


def _with_file(spec: Any, key: str, node: Node, path: str, context: Context) -> Any:
    if spec is BAD:
        return BAD
    at = node.value[key]
    full = existing_file(getattr(spec, key), at, joined(path, key), context)
    return BAD if full is BAD else type(spec)(**{**vars(spec), key: full})


def _read_python(node: Node, path: str, context: Context) -> Any:
    """Read a Python symbol: every key that is not its own is an argument of the function."""
    before = len(context.problems)
    known = {k: s for k, s in settings_by_name(PythonSymbol).items() if k != "arguments"}
    values = {}
    for key, child in node.value.items():
        if key in known:
            values[key] = read_value(known[key].annotation, child, joined(path, key), context)
    if len(context.problems) > before:
        return BAD
    arguments = {key: child.plain() for key, child in node.value.items() if key not in known}
    spec = _with_file(PythonSymbol(**values, arguments=arguments), "python", node, path, context)
    if spec is BAD or not context.looks_at_files:
        return spec
    try:
        module = plugins.load_file(Path(spec.python))
        function = plugins.function_of(module, spec.function)
    except PluginError as error:
        return context.bad(node.value["python"], joined(path, "python"), str(error))
    _check_arguments(function, spec, node, path, context)
    return spec if len(context.problems) == before else BAD


def _check_arguments(
    function: Any, spec: PythonSymbol, node: Node, path: str, context: Context
) -> None:
    parameters = inspect.signature(function).parameters
    guessed: set[str] = set()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = ["python", "function", *parameters]
        what = f"unknown argument of {spec.function}()"
        guessed = report_unknown(node, path, context, known, what)
    for name, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if needed and name not in {*spec.arguments, *guessed}:
            text = f"missing: {spec.function}() needs this argument"
            context.problems.add(node.mark, joined(path, name), text)


def check_network(
    spec: SymbolSpec, node: Node, data: DataSpec | None, data_node: Node, context: Context
) -> tuple[Symbol | None, tuple[Component, ...]]:
    """Build the network, note what does not fit; return it and the metrics its outputs ask for.

    `data` gives the shape of a batch where a header tells it; it is None when `data_node`, the data
    section, is wrong.
    """
    if isinstance(spec, tuple) and not _check_ends(spec, node, context):
        return None, ()
    try:
        symbol = graph.build(spec)
    except (MXNetError, ValueError, TypeError, AssertionError) as error:
        _report(error, spec, node, context, {})
        return None, ()
    if not isinstance(spec, tuple) and not _check_outputs(symbol, node, context):
        return None, ()
    labels = label_names(symbol)
    fits = data is None or _check_labels(labels, data.train, data_node.value["train"], context)
    shapes = _shapes(data, labels if fits else [])
    try:
        symbol.infer_shape_partial(**shapes)
    except MXNetError as error:
        _report(error, spec, node, context, shapes)
    return symbol, usual_metrics(symbol)


def _check_labels(labels: list[str], train: SourceSpec, node: Node, context: Context) -> bool:
    """Note columns that are missing or of another number than the labels of the network."""
    columns = train.label_names
    names = ", ".join(f"'{name}'" for name in labels)
    if not labels or train.kind == "idx":
        return True
    if not columns:
        text = f"missing: the network has the label {names}; name its column"
    elif train.kind == "table" and 1 < len(labels) != len(columns):
        text = f"the network has {len(labels)} labels, {names}; name a column for each, in order"
    elif len(labels) == 1 and len(set(columns)) < len(columns):
        text = "a column is there twice"
    else:
        return True
    context.bad(node.value.get("label", node), "data.train.label", text)
    return False


def label_names(symbol: Symbol) -> list[str]:
    """Return the arguments of `symbol` that are labels: inputs of losses named ``..._label``."""
    return [name for name in symbol.list_arguments() if name.endswith("label")]


def _shapes(data: DataSpec | None, labels: list[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a batch and its labels as far as the header of the data tells them."""
    columns = feature_columns(data) if data is not None else None
    if data is None or not columns:
        return {}
    rows, of_label = data.batch_size, len(data.train.label_names)
    label = (rows, of_label) if of_label > len(labels) else (rows,)
    return {DATA: (rows, len(columns))} | dict.fromkeys(labels if of_label else (), label)


def _check_ends(spec: tuple[NodeSpec, ...], node: Node, context: Context) -> bool:
    """Note nodes that lead nowhere: read by no other, and not an output that learns."""
    before = len(context.problems)
    unused = graph.unused_nodes(spec)
    learning = False
    for number, item in enumerate(spec):
        if item.name not in unused:
            continue
        place, path = node.value[number], f"symbol.{item.name}"
        if item.op == VARIABLE:
            context.bad(place, path, "no node reads this variable; remove it or name it as input")
        elif registry.get(item.op).is_loss:
            learning = True
        elif item.op not in _SILENT_OUTPUTS:
            last = number == len(spec) - 1
            text = f"the network ends with {item.op}, which is no output to learn from"
            text = text if last else f"no node reads this {item.op}, and it is no output"
            context.bad(place, path, f"{text}; {_outputs_hint()}")
    if len(context.problems) == before and not learning:
        context.bad(node, "symbol", f"no output to learn from; {_outputs_hint()}")
    return len(context.problems) == before


def _check_outputs(symbol: Symbol, node: Node, context: Context) -> bool:
    """Note a network from a file or function that has no output to learn from."""
    ends = [entry.node for entry in symbol.entries]
    if any(not end.is_variable and end.operator.is_loss for end in ends):
        return True
    names = ", ".join(f"'{end.name}' ({end.op or 'variable'})" for end in ends)
    context.bad(node, "symbol", f"ends with {names}, no output to learn from; {_outputs_hint()}")
    return False


def _outputs_hint() -> str:
    known = [name for name in (*_METRICS, "MakeLoss") if name in registry]
    return f"end it with {', '.join(known[:-1])} or {known[-1]}" if known[1:] else "add an output"


def _report(
    error: BaseException,
    spec: SymbolSpec,
    node: Node,
    context: Context,
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """Note an error of the whole network at the first node that shows it."""
    if isinstance(spec, tuple):
        right = 0
        try:
            for _, symbol in graph.steps(spec):
                there = shapes.keys() & set(symbol.list_arguments())
                symbol.infer_shape_partial(**{name: shapes[name] for name in there})
                right += 1
        except (MXNetError, ValueError, TypeError, AssertionError) as first:
            context.bad(node.value[right], f"symbol.{spec[right].name}", str(first))
            return
    context.bad(node, "symbol", str(error))


def usual_metrics(symbol: Symbol) -> tuple[Component, ...]:
    """Return the metrics that the outputs of a network ask for, where none are given."""
    names = [_METRICS.get(entry.node.op or "") for entry in symbol.entries]
    return tuple(Component(name) for name in dict.fromkeys(names) if name)
