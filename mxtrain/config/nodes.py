"""Reads ``symbol`` as a list of nodes: operators, names, inputs, attributes and initializers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mxtrain.config.component import lookup, read_component, read_settings
from mxtrain.config.document import Node
from mxtrain.config.inputs import DATA, INDEXED, Entry, Variable, check_arguments, read_inputs
from mxtrain.config.section import BAD, Context, joined, read_value
from mxtrain.config.spec import NodeSpec
from mxtrain.errors import closest

VARIABLE = "Variable"
RESERVED = ("op", "name", "inputs", "init")
NODE_MANAGED = {"num_args": "the inputs are counted; leave it out"}


def read_nodes(node: Node, path: str, context: Context) -> Any:
    """Return the tuple of `NodeSpec` that the list `node` says, or `BAD`."""
    before = len(context.problems)
    if not node.value:
        return context.bad(node, path, "the list of nodes is empty; a network needs an output")
    entries = [
        Entry(item, _path_of(item, f"{path}[{number}]", path))
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


def _read_operator(entry: Entry, context: Context) -> None:
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


def _name_all(entries: list[Entry], context: Context) -> None:
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


def _read_attributes(entry: Entry, context: Context) -> None:
    shown = entry.node.value["op"].value
    entry.attrs = read_settings(
        entry.cls, entry.node, entry.path, context, shown, RESERVED, NODE_MANAGED
    )
    if entry.attrs is BAD or entry.cls is Variable:
        return
    counted = {"num_args": _number_of_inputs(entry.node)} if entry.cls.variadic else {}
    try:
        entry.operator = entry.cls(**counted, **entry.attrs)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        entry.attrs = context.bad(entry.node, entry.path, str(error))


def _number_of_inputs(node: Node) -> int:
    inputs = node.value.get("inputs")
    return len(inputs.value) if inputs is not None and (inputs.is_list or inputs.is_mapping) else 1


def _connected(entries: list[Entry], context: Context) -> Iterator[NodeSpec]:
    """Yield the nodes with their inputs; what is wrong with them is noted."""
    known: dict[str, Entry | None] = {DATA: None}
    previous = DATA
    for number, entry in enumerate(entries):
        later = {other.name: other for other in entries[number:]}
        inputs = read_inputs(entry, context, known, later, previous)
        known[entry.name] = entry
        if entry.cls is not Variable:
            previous = entry.name
        if entry.operator is not None:
            inputs = check_arguments(entry, context, inputs)
            known |= {f"{entry.name}_{argument}": None for argument in entry.operator.inputs()}
        init = _read_init(entry, context, inputs) if entry.cls is not BAD else {}
        if entry.attrs is not BAD and inputs is not BAD:
            op = VARIABLE if entry.cls is Variable else entry.cls.op_name
            yield NodeSpec(op=op, name=entry.name, inputs=inputs, attrs=entry.attrs, init=init)


def _read_init(entry: Entry, context: Context, inputs: Any) -> Any:
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


def _own_parameters(entry: Entry, inputs: Any) -> list[str] | None:
    """Return the inputs that become this node's parameters; None when they are not known."""
    if entry.operator is None or inputs is BAD:
        return None
    wanted = entry.operator.inputs()
    given = set(inputs) if isinstance(inputs, dict) else set(wanted[: len(inputs)])
    return [name for name in wanted if name not in given and not name.endswith("label")]
