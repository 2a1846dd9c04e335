"""Reads ``symbol`` as a list of nodes: operators, names, inputs, attributes and initializers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from mxtrain.config.component import lookup, read_component, read_settings
from mxtrain.config.document import Node
from mxtrain.config.section import BAD, Context, joined, read_value, settings_by_name
from mxtrain.config.spec import NodeSpec
from mxtrain.errors import closest
from mxtrain.op.attribute import DType
from mxtrain.settings import Declared

DATA = "data"
VARIABLE = "Variable"
RESERVED = ("op", "name", "inputs", "init")
# Inputs that become parameters or labels when they are left out; others must be given.
_CREATED = re.compile(r".*(weight|bias|gamma|beta|label|parameters|state|state_cell|moving_\w+)")
INDEXED = re.compile(r"(.+)\[(\d+)\]")
NODE_MANAGED = {"num_args": "the inputs are counted; leave it out"}


class Variable(Declared):
    """A parameter that nodes name as an input, so that several can share it."""

    shape: Annotated[tuple[int, ...] | None, Ge(0), "shape; 0 for an axis yet unknown"] = None
    lr_mult: Annotated[float | None, Ge(0), "factor on the learning rate"] = None
    wd_mult: Annotated[float | None, Ge(0), "factor on the weight decay"] = None
    dtype: Annotated[DType | None, "element type"] = None


@dataclass
class _Entry:
    """A node while it is read: what the file says, and what is known of it so far."""

    node: Node
    path: str
    name: str = ""
    cls: Any = BAD
    attrs: Any = BAD
    operator: Any = None


def read_nodes(node: Node, path: str, context: Context) -> Any:
    """Return the tuple of `NodeSpec` that the list `node` says, or `BAD`."""
    before = len(context.problems)
    if not node.value:
        return context.bad(node, path, "the list of nodes is empty; a network needs an output")
    entries = [
        _Entry(item, _path_of(item, f"{path}[{number}]", path))
        for number, item in enumerate(node.value)
    ]
    for entry in entries:
        _read_operator(entry, context)
    _name_all(entries, context)
    for entry in entries:
        if entry.cls is not BAD:
            _read_attributes(entry, context)
    found = list(_connected(entries, context))
    if len(context.problems) > before:
        return BAD
    return tuple(found)


def _path_of(item: Node, numbered: str, path: str) -> str:
    """Return ``symbol.fc1`` for a node with a name, ``symbol[2]`` for one without."""
    name = item.value.get("name") if item.is_mapping else None
    named = name is not None and isinstance(name.value, str) and name.value
    return f"{path}.{name.value}" if named and name is not None else numbered


def _read_operator(entry: _Entry, context: Context) -> None:
    from mxtrain.op import registry

    node, path = entry.node, entry.path
    if not node.is_mapping:
        context.bad(node, path, f"expected a node such as {{op: Flatten}}, received {node.shown()}")
        return
    if "op" not in node.value:
        near = closest("op", [key for key in node.value if key.startswith("o")])
        hint = f" (did you mean 'op' by '{near}'?)" if near else ""
        context.bad(node, joined(path, "op"), f"missing: the operator of this node{hint}")
        return
    op = node.value["op"]
    if not isinstance(op.value, str):
        text = f"expected the name of an operator, received {op.shown()}"
        context.bad(op, joined(path, "op"), text)
    elif op.value.lower() in ("variable", "var"):
        entry.cls = Variable
    else:
        entry.cls = lookup(op, joined(path, "op"), context, registry, {})


def _name_all(entries: list[_Entry], context: Context) -> None:
    """Give every node its name: its own, or the operator's in lower case with a number."""
    first: dict[str, Node] = {}
    for entry in entries:
        given = entry.node.value.get("name") if entry.node.is_mapping else None
        if given is None:
            continue
        where = joined(entry.path, "name")
        name = read_value(str, given, where, context)
        if name is BAD:
            continue
        entry.name = name
        if name in first:
            text = f"two nodes are named '{name}' (first at {first[name].mark.line}:"
            context.bad(given, where, f"{text}{first[name].mark.column}); rename one")
        elif not name or INDEXED.fullmatch(name):
            context.bad(given, where, f"{given.shown()} cannot be a name; use letters and digits")
        elif name == DATA and entry.cls is not Variable:
            context.bad(given, where, "'data' is the input of the network; choose another name")
        first.setdefault(name, given)
    taken = {entry.name for entry in entries}
    counters: dict[str, int] = {}
    for entry in entries:
        hint = "variable" if entry.cls is Variable else getattr(entry.cls, "op_name", "node")
        while not entry.name:
            number = counters.get(hint, 0)
            counters[hint] = number + 1
            name = f"{hint.lower()}{number}"
            entry.name = "" if name in taken else name


def _read_attributes(entry: _Entry, context: Context) -> None:
    shown = entry.node.value["op"].value
    entry.attrs = read_settings(
        entry.cls, entry.node, entry.path, context, shown, RESERVED, NODE_MANAGED
    )
    if entry.attrs is BAD or entry.cls is Variable:
        return
    try:
        entry.operator = entry.cls(**entry.attrs)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        entry.attrs = context.bad(entry.node, entry.path, str(error))


def _connected(entries: list[_Entry], context: Context) -> Iterator[NodeSpec]:
    """Yield the nodes with their inputs; what is wrong with them is noted."""
    known: dict[str, _Entry | None] = {DATA: None}
    previous = DATA
    for number, entry in enumerate(entries):
        later = {other.name: other for other in entries[number:]}
        inputs = _read_inputs(entry, context, known, later, previous)
        known[entry.name] = entry
        if entry.cls is not Variable:
            previous = entry.name
        if entry.operator is not None:
            inputs = _check_arguments(entry, context, inputs)
            known |= {f"{entry.name}_{argument}": None for argument in entry.operator.inputs()}
        init = _read_init(entry, context, inputs) if entry.cls is not BAD else {}
        if entry.attrs is not BAD and inputs is not BAD:
            op = VARIABLE if entry.cls is Variable else entry.cls.op_name
            yield NodeSpec(op=op, name=entry.name, inputs=inputs, attrs=entry.attrs, init=init)


def _read_inputs(
    entry: _Entry,
    context: Context,
    known: dict[str, _Entry | None],
    later: dict[str, _Entry],
    previous: str,
) -> Any:
    """Return the inputs as a tuple of names, or a dict by argument; `BAD` when one is wrong."""
    node = entry.node.value.get("inputs") if entry.node.is_mapping else None
    if entry.cls is Variable:
        if node is not None:
            return context.bad(node, joined(entry.path, "inputs"), "a Variable has no inputs")
        return ()
    if node is None:
        takes_none = entry.operator is not None and not entry.operator.inputs()
        return () if takes_none and not entry.cls.variadic else (previous,)
    path = joined(entry.path, "inputs")
    annotation = settings_by_name(NodeSpec)["inputs"].annotation
    inputs = read_value(annotation, node, path, context)
    if inputs is BAD:
        return BAD
    if isinstance(inputs, str):
        right = _check_reference(node, path, entry, context, known, later)
        return (inputs,) if right else BAD
    pairs = node.value.items() if node.is_mapping else enumerate(node.value)
    right = True
    for key, child in pairs:
        inner = f"{path}.{key}" if node.is_mapping else f"{path}[{key}]"
        right &= _check_reference(child, inner, entry, context, known, later)
    return inputs if right else BAD


def _check_reference(
    node: Node,
    path: str,
    entry: _Entry,
    context: Context,
    known: dict[str, _Entry | None],
    later: dict[str, _Entry],
) -> bool:
    """Check that `node` names one output of something before the node `entry`."""
    text = node.value
    indexed = INDEXED.fullmatch(text)
    name = indexed[1] if indexed else text
    if name in known:
        source = known[name]
        outputs = source.operator.outputs() if source and source.operator else ("output",)
        if indexed and int(indexed[2]) >= len(outputs):
            problem = f"'{name}' has {len(outputs)} output(s), counted from 0; received {text}"
        elif not indexed and len(outputs) > 1:
            choices = f"'{name}[0]' to '{name}[{len(outputs) - 1}]'"
            problem = f"'{name}' has {len(outputs)} outputs; choose one of {choices}"
        else:
            return True
    elif name == entry.name:
        problem = f"node '{name}' cannot be its own input (a cycle)"
    elif name in later:
        problem = _later(name, entry, later)
    else:
        near = closest(name, [*known, *later])
        hint = f"did you mean '{near}'?" if near else f"before it: {', '.join(_listed(known))}"
        problem = f"no node or variable '{name}' ({hint})"
    context.problems.add(node.mark, path, problem)
    return False


def _listed(known: dict[str, _Entry | None]) -> list[str]:
    return [name for name, entry in known.items() if entry is not None or name == DATA][-12:]


def _later(name: str, entry: _Entry, later: dict[str, _Entry]) -> str:
    """Say that `name` comes later, and whether it needs `entry` itself."""
    line = later[name].node.mark.line
    place = f" (line {line})" if line else ""
    order = list(later)
    seen, waiting = [name], [name]
    while waiting:
        current = waiting.pop()
        for source in _sources(later[current].node, current, order):
            if source == entry.name:
                return f"a cycle: '{name}'{place} itself needs '{entry.name}'"
            if source in later and source not in seen:
                seen.append(source)
                waiting.append(source)
    return f"'{name}' comes later{place}; a node reads earlier ones, so move it up"


def _sources(node: Node, name: str, order: list[str]) -> list[str]:
    """Return the names a node not yet read has as inputs (the one before it when it says none)."""
    given = node.value.get("inputs") if node.is_mapping else None
    if given is None:
        before = order.index(name) - 1
        return [order[before]] if before >= 0 else []
    plain = given.plain()
    if isinstance(plain, dict):
        plain = list(plain.values())
    names = plain if isinstance(plain, list) else [plain]
    return [INDEXED.sub(r"\1", text) for text in names if isinstance(text, str)]


def _check_arguments(entry: _Entry, context: Context, inputs: Any) -> Any:
    """Check number and names of the inputs against the operator's; return them, or `BAD`."""
    if inputs is BAD or entry.cls.variadic:
        return inputs
    path, wanted = joined(entry.path, "inputs"), entry.operator.inputs()
    node = entry.node.value.get("inputs", entry.node)
    takes = f"{entry.cls.op_name} takes {', '.join(wanted) or 'none'}"
    if isinstance(inputs, dict):
        given = set(inputs)
        for name in inputs:
            if name not in wanted:
                near = closest(name, wanted)
                hint = f"did you mean '{near}'?" if near else takes
                text = f"no such input of {entry.cls.op_name} ({hint})"
                context.problems.add(node.keys[name], joined(path, name), text)
                return BAD
    else:
        given = set(wanted[: len(inputs)])
        if len(inputs) > len(wanted):
            return context.bad(node, path, f"{len(inputs)} inputs given, but {takes}")
    for name in wanted:
        if name not in given and not _CREATED.fullmatch(name):
            text = f"input '{name}' is missing: {takes}; list them as 'inputs'"
            return context.bad(node, path, text)
    return inputs


def _read_init(entry: _Entry, context: Context, inputs: Any) -> Any:
    """Return the initializers of the node's own parameters by argument name."""
    from mxtrain.initializer import registry

    node = entry.node.value.get("init")
    if node is None:
        return {}
    path = joined(entry.path, "init")
    if entry.cls is Variable:
        component = read_component(node, path, context, registry, {})
        return {} if component is BAD else {entry.name: component}
    own = _own_parameters(entry, inputs)
    if not node.is_mapping:
        text = f"expected a mapping from parameter to initializer, received {node.shown()}"
        context.problems.add(node.mark, path, text)
        return {}
    found = {}
    for name, child in node.value.items():
        if own is not None and name not in own:
            near = closest(name, own)
            hint = f"did you mean '{near}'?" if near else f"it has: {', '.join(own) or 'none'}"
            text = f"{entry.cls.op_name} has no such parameter here ({hint})"
            context.problems.add(node.keys[name], joined(path, name), text)
            continue
        component = read_component(child, joined(path, name), context, registry, {})
        if component is not BAD:
            found[name] = component
    return found


def _own_parameters(entry: _Entry, inputs: Any) -> list[str] | None:
    """Return the inputs that become this node's parameters; None when they are not known."""
    if entry.operator is None or inputs is BAD:
        return None
    wanted = entry.operator.inputs()
    given = set(inputs) if isinstance(inputs, dict) else set(wanted[: len(inputs)])
    return [name for name in wanted if name not in given and not name.endswith("label")]
