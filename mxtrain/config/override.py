"""``--set path=value``: values of a config replaced from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mxtrain.config.document import Node, parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.errors import closest

Step = str | int
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d+)\]")


def apply(root: Node, overrides: Iterable[str], problems: Problems) -> Node:
    """Return the tree with every override applied, in order; `root` itself is not changed.

    A path names keys with dots, items of a list by number (``symbol[0].num_hidden``) or by name
    (``symbol.fc1.num_hidden``). The value is YAML. Missing sections are made.
    """
    for text in overrides:
        path, equals, value = text.partition("=")
        mark = Mark(f"--set {path}")
        steps = _steps(path)
        if not equals or not steps:
            example = "--set optimizer.learning_rate=0.05"
            problems.add(Mark(f"--set {text}"), "", f"expected path=value, as in {example}")
            continue
        node = parse(value, mark, problems, path)
        if node is not None:
            root = _assigned(root, steps, node, mark, problems)
    return root


def _steps(path: str) -> list[Step]:
    """Return the steps of a path; none when it is not a path."""
    steps: list[Step] = []
    position = 0
    if path.startswith("."):
        return []
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return []
        steps.append(int(found[2]) if found[2] else found[1])
        position = found.end()
    return steps


def _assigned(
    node: Node, steps: Sequence[Step], value: Node, mark: Mark, problems: Problems
) -> Node:
    """Return a copy of `node` in which the place that `steps` lead to is `value`."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if node.is_list:
        return _assigned_item(node, step, rest, value, mark, problems)
    if isinstance(step, int):
        problems.add(mark, "", f"there is no list to take item [{step}] of")
        return node
    if node.is_mapping:
        items, keys = dict(node.value), dict(node.keys)
    else:
        # `optimizer: sgd` is short for `optimizer: {name: sgd}`; any other value gives way.
        named = isinstance(node.value, str) and step != "name"
        items, keys = ({"name": node}, {"name": node.mark}) if named else ({}, {})
    inner = items.get(step, Node(None, mark))
    items[step] = _assigned(inner, rest, value, mark, problems)
    keys[step] = mark if not rest else keys.get(step, mark)
    return Node(items, node.mark, keys=keys)


def _assigned_item(
    node: Node, step: Step, rest: Sequence[Step], value: Node, mark: Mark, problems: Problems
) -> Node:
    names = [_name_of(item) for item in node.value]
    if isinstance(step, str) and step.isdecimal() and step not in names:
        step = int(step[:9])
    number = step if isinstance(step, int) else names.index(step) if step in names else len(names)
    if number >= len(names):
        known = [name for name in names if name]
        near = closest(str(step), known)
        hint = f"did you mean '{near}'?" if near else f"items: 0 to {len(names) - 1}"
        problems.add(mark, "", f"the list has no item '{step}' ({hint})")
        return node
    items = list(node.value)
    items[number] = _assigned(items[number], rest, value, mark, problems)
    return replace(node, value=items)


def _name_of(item: Node) -> str:
    name = item.value.get("name") if item.is_mapping else item
    return name.value if name is not None and isinstance(name.value, str) else ""
