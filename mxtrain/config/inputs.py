"""Reads the inputs of a node: names of earlier nodes and variables, and what the operator takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from mxtrain.config.document import Node
from mxtrain.config.section import BAD, Context, joined, read_value, settings_by_name
from mxtrain.config.spec import NodeSpec
from mxtrain.errors import closest
from mxtrain.op.attribute import DType
from mxtrain.settings import Declared

DATA = "data"
INDEXED = re.compile(r"(.+)\[(\d+)\]")
# Inputs that become parameters or labels when they are left out; others must be given.
_CREATED = re.compile(r".*(weight|bias|gamma|beta|label|parameters|state|state_cell|moving_\w+)")


class Variable(Declared):
    """A parameter that nodes name as an input, so that several can share it."""

    shape: Annotated[tuple[int, ...] | None, Ge(0), "shape; 0 for an axis yet unknown"] = None
    lr_mult: Annotated[float | None, Ge(0), "factor on the learning rate"] = None
    wd_mult: Annotated[float | None, Ge(0), "factor on the weight decay"] = None
    dtype: Annotated[DType | None, "element type"] = None


@dataclass
class Entry:
    """A node while it is read: what the file says, and what is known of it so far."""

    node: Node
    path: str
    name: str = ""
    cls: Any = BAD
    attrs: Any = BAD
    operator: Any = None


def read_inputs(
    entry: Entry,
    context: Context,
    known: dict[str, Entry | None],
    later: dict[str, Entry],
    previous: str,
) -> Any:
    """Return the inputs as a tuple of names, or a dict by argument; `BAD` when one is wrong."""
    node = entry.node.value.get("inputs") if entry.node.is_mapping else None
    if entry.cls is Variable:
        if node is not None:
            return context.bad(node, joined(entry.path, "inputs"), "a Variable has no inputs")
        return ()
    path = joined(entry.path, "inputs")
    if node is None:
        takes_none = entry.operator is not None and not entry.operator.inputs()
        if takes_none and not entry.cls.variadic:
            return ()
        node = Node(previous, entry.node.mark, previous)
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
    entry: Entry,
    context: Context,
    known: dict[str, Entry | None],
    later: dict[str, Entry],
) -> bool:
    """Check that `node` names one output of something before the node `entry`."""
    text = node.value
    indexed = None if text in known else INDEXED.fullmatch(text)
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


def _listed(known: dict[str, Entry | None]) -> list[str]:
    return [name for name, entry in known.items() if entry is not None or name == DATA][-12:]


def _later(name: str, entry: Entry, later: dict[str, Entry]) -> str:
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


def check_arguments(entry: Entry, context: Context, inputs: Any) -> Any:
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
