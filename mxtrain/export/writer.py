"""A model while it is written: nodes and constants as plain data, with names that are unique."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Value(NamedTuple):
    """Something a node reads or gives: its name and the name of its element type."""

    name: str
    dtype: str


@dataclass
class OnnxNode:
    """A node as it will stand in the model."""

    op_type: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Collects nodes, constants and notes.

    Attributes
    ----------
    nodes : in the order in which they compute.
    constants : arrays by name: parameters, and numbers that operators need.
    notes : what a user should know of the model, each once.
    """

    def __init__(self) -> None:
        self.nodes: list[OnnxNode] = []
        self.constants: dict[str, Array] = {}
        self.notes: list[str] = []
        self._taken: set[str] = set()
        self._numbers: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def unique(self, name: str) -> str:
        """Return `name`, or `name` with a number where it is taken, and take it."""
        chosen, number = name, 0
        while chosen in self._taken:
            number += 1
            chosen = f"{name}_{number}"
        self._taken.add(chosen)
        return chosen

    def parameter(self, name: str, array: Array) -> Value:
        """Add an array under its own name."""
        self.constants[name] = np.ascontiguousarray(array)
        return Value(name, array.dtype.name)

    def number(self, array: Array) -> Value:
        """Add an array of numbers an operator needs; equal ones are kept once."""
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._numbers:
            name = self.unique("constant")
            self.constants[name] = array
            self._numbers[key] = Value(name, array.dtype.name)
        return self._numbers[key]

    def note(self, text: str) -> None:
        """Keep a note for the user."""
        if text not in self.notes:
            self.notes.append(text)

    def drop_unread(self, results: list[str]) -> None:
        """Remove the nodes and constants that none of `results` needs."""
        needed = set(results)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {name: a for name, a in self.constants.items() if name in needed}
