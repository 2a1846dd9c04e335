"""Nodes: the vertices of a symbol graph, and the order they are visited in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mxtrain.op import Operator, registry
from mxtrain.op.attribute import parse_attributes

# Plain attribute keys that are kept in their underscored spelling, `__lr_mult__` and so on.
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")


@dataclass(frozen=True, slots=True)
class Entry:
    """One output of one node."""

    node: Node
    index: int


class Node:
    """A variable (no operator) or an operator applied to entries of other nodes.

    `attrs` holds texts: the operator's attributes, and free ones whose keys have two underscores on
    both sides. `inputs` has the arguments, then the auxiliary states.
    """

    __slots__ = ("_operator", "attrs", "inputs", "name", "op")

    def __init__(
        self, op: str | None, name: str, attrs: dict[str, str], inputs: Iterable[Entry] = ()
    ) -> None:
        self.op, self.name, self.attrs, self.inputs = op, name, attrs, list(inputs)
        self._operator: Operator | None = None

    @property
    def is_variable(self) -> bool:
        """Whether this node is an input of the graph."""
        return self.op is None

    @property
    def operator(self) -> Operator:
        """The operator with its parsed attributes."""
        if self._operator is None:
            if self.op is None:
                raise TypeError(f"variable '{self.name}' has no operator")
            cls = registry.get(self.op)
            self._operator = cls(**parse_attributes(cls, self.described, self.operator_attrs))
        return self._operator

    def set_attrs(self, attrs: dict[str, str]) -> None:
        """Replace the attributes; MXNetError, with nothing changed, where they do not fit."""
        changed = Node(self.op, self.name, attrs)
        self._operator = None if self.is_variable else changed.operator
        self.attrs = attrs

    @property
    def operator_attrs(self) -> dict[str, str]:
        """The attributes that belong to the operator."""
        return {key: value for key, value in self.attrs.items() if not is_free_key(key)}

    @property
    def described(self) -> str:
        """The node as messages name it."""
        return f"node '{self.name}' ({self.op})" if self.op else f"variable '{self.name}'"

    def auxiliary_inputs(self) -> list[Entry]:
        """Return the inputs that the operator changes."""
        count = len(self.operator.auxiliaries())
        return self.inputs[len(self.inputs) - count :] if count else []

    def output_names(self) -> list[str]:
        """Return the names of the visible outputs."""
        if self.is_variable:
            return [self.name]
        return [f"{self.name}_{name}" for name in self.operator.outputs()]


def is_free_key(key: str) -> bool:
    """Whether an attribute key is a user's own (two underscores on both sides)."""
    return len(key) > 4 and key.startswith("__") and key.endswith("__")


def hide(key: str) -> str:
    """Return the key an attribute is stored under.

    >>> hide("lr_mult"), hide("num_hidden")
    ('__lr_mult__', 'num_hidden')
    """
    return f"__{key}__" if key in HIDDEN_KEYS else key


def with_hidden_spellings(attrs: dict[str, str]) -> dict[str, str]:
    """Return attributes as they are listed: hidden ones under both spellings."""
    listed = dict(attrs)
    for key in HIDDEN_KEYS:
        if f"__{key}__" in attrs:
            listed[key] = attrs[f"__{key}__"]
    return listed


def topological_order(heads: Iterable[Entry]) -> list[Node]:
    """Return every node below the heads: inputs before users, depth first, left to right."""
    order: list[Node] = []
    seen: set[int] = set()
    for head in heads:
        stack: list[tuple[Node, Iterator[Entry]]] = []
        if id(head.node) not in seen:
            seen.add(id(head.node))
            stack.append((head.node, iter(head.node.inputs)))
        while stack:
            node, inputs = stack[-1]
            for entry in inputs:
                if id(entry.node) not in seen:
                    seen.add(id(entry.node))
                    stack.append((entry.node, iter(entry.node.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order
