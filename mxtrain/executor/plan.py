"""The plan: a graph lowered to a flat list of kernel calls over preallocated buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.errors import CallError
from mxtrain.executor.memory import PlanMemory
from mxtrain.executor.reuse import Key, ReusedBuffers, output_keys
from mxtrain.op.call import Call
from mxtrain.sparse import RowSparseNDArray, clear_rows
from mxtrain.symbol.infer import Known
from mxtrain.symbol.node import Entry, Node

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, Line, NumpyBackend
    from mxtrain.backend.uniform import RandomSource


@dataclass(frozen=True)
class Step:
    """The lines of one node in one direction, and the arrays they fill."""

    node: Node | None
    phase: str
    lines: tuple[Line, ...]
    results: tuple[tuple[str, Array], ...]


@dataclass
class Program:
    """One direction of a plan in one mode."""

    steps: list[Step] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    kept: list[Array] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)
        self.lines += step.lines

    def run(self) -> None:
        """Run every line."""
        for kernel, arguments in self.lines:
            kernel(*arguments)


@dataclass(frozen=True)
class Gradient:
    """Where the gradient of a variable goes: its buffer, overwritten or added to."""

    array: Array
    add: bool


class Plan:
    """A graph at fixed shapes.

    Without a gradient to compute, no result is needed after its last reader has run, and buffers
    are used again. Else both modes compute in the buffers that backward reads.

    Parameters
    ----------
    order : the nodes, inputs before users.
    heads : the outputs of the graph.
    shapes, types : of every entry, complete.
    variables : the buffer of each variable node, by id.
    gradients : the gradient of each variable that wants one, by id.
    random : gives the random source of a stream name, for the training mode or the other.

    Attributes
    ----------
    outputs : the buffers of the heads; these keep their contents in any case.
    reuses : whether results of other nodes are gone when a program is through.
    """

    def __init__(
        self,
        order: Sequence[Node],
        heads: Sequence[Entry],
        shapes: Known,
        types: Known,
        variables: dict[int, Array],
        gradients: dict[int, Gradient],
        backend: NumpyBackend,
        random: Callable[[str, bool], RandomSource],
    ) -> None:
        self.order, self.heads, self.backend = order, heads, backend
        self._shapes, self._types = shapes, types
        self._gradients, self._random = gradients, random
        self._own_names = _own_names(order)
        self.reuses = not gradients
        self._memory = PlanMemory(backend, kept=not self.reuses)
        self._shared = ReusedBuffers(order, heads, backend) if self.reuses else None
        self._values: dict[Key, Array] = {(i, 0): array for i, array in variables.items()}
        self._allocate_outputs()
        self.outputs = [self._values[id(entry.node), entry.index] for entry in heads]
        self._forward: dict[bool, Program] = {}
        self._backward: dict[bool, tuple[Program, list[Array | None]]] = {}
        self._row_weights: dict[str, Array] = {}

    def forward(self, is_train: bool) -> Program:
        """Return the forward program of a mode."""
        if is_train not in self._forward:
            program = Program()
            with np.errstate(all="ignore"):  # lowering computes constants
                for node in self.order:
                    if not node.is_variable:
                        program.add(self._lower_forward(node, is_train))
            self._forward[is_train] = self._joined(program)
        return self._forward[is_train]

    def backward(self, is_train: bool) -> tuple[Program, list[Array | None]]:
        """Return the backward program of a mode, and where each head gradient is to be put.

        The second list has one entry per output of the graph: None where backward needs no head
        gradient because a loss operator starts the gradient itself.
        """
        if is_train not in self._backward:
            self.forward(is_train)  # scratch buffers of the forward pass come first
            with np.errstate(all="ignore"):  # lowering computes constants
                program, slots = _BackwardBuilder(self, is_train).build()
            self._backward[is_train] = (self._joined(program), slots)
        return self._backward[is_train]

    def _joined(self, program: Program) -> Program:
        """Let the backend run the lines with fewer calls; the steps keep them one by one."""
        program.lines, program.kept = self.backend.join(program.lines)
        return program

    def output_of(self, node: Node) -> Array:
        """Return the buffer of a node's first output."""
        return self._values[id(node), 0]

    def nbytes(self) -> int:
        """Return the bytes of all buffers made so far, arguments and gradients not counted."""
        shared = 0 if self._shared is None else self._shared.nbytes()
        return self._memory.nbytes() + shared

    def weigh_rows(self, node: str) -> Array:
        """Return the factors of the rows of a loss node's gradient, all 1 at first."""
        if self._backward:
            raise CallError("weigh_rows has to come before the first backward")
        if node not in self._row_weights:
            loss = next(n for n in self.order if n.name == node)
            output = self._values[id(loss), 0]
            factors = self._memory.array((output.shape[0],), output.dtype)
            factors[...] = 1
            self._row_weights[node] = factors
        return self._row_weights[node]

    def row_weight_lines(self, node: Node, grad: Array | None) -> list[Line]:
        """Return the lines that apply the row factors of a node to its data gradient."""
        factors = self._row_weights.get(node.name)
        if factors is None or grad is None:
            return []
        column = factors.reshape(-1, *(1,) * (grad.ndim - 1))
        return [(self.backend.xp.multiply, (grad, column, grad))]

    def array_of(self, entry: Entry) -> Array:
        """Return the buffer of an entry."""
        return self._values[id(entry.node), entry.index]

    def call(
        self,
        node: Node,
        is_train: bool,
        heads: Sequence[Array] = (),
        grads: Sequence[Array | None] = (),
    ) -> Call:
        """Return the call object an operator adds its lines to."""
        inputs = [self.array_of(entry) for entry in node.inputs]
        count = len(node.operator.arguments())
        return Call(
            self._own_names[id(node)],
            self.backend,
            self._memory,
            lambda name: self._random(name, is_train),
            is_train,
            bool(self._gradients),
            inputs[:count],
            self._outputs_of(node),
            inputs[count:],
            heads,
            grads,
        )

    def _outputs_of(self, node: Node) -> list[Array]:
        return [self._values[id(node), i] for i in range(len(node.operator.outputs()))]

    def _allocate_outputs(self) -> None:
        self._views: set[int] = set()
        for node in self.order:
            if node.is_variable:
                continue
            keys = output_keys(node)
            shapes = [self._shapes[key] for key in keys]
            inputs = [self.array_of(entry) for entry in node.inputs]
            arrays = node.operator.view(inputs, shapes)
            if arrays is not None:
                self._views.add(id(node))
            if self._shared is not None:
                arrays = self._shared.outputs(node, arrays, self._like)
            elif arrays is None:
                arrays = [self._memory.array(*self._like(key)) for key in keys]
            self._values.update(zip(keys, arrays, strict=True))

    def _like(self, key: Key) -> tuple[tuple[int, ...], Any]:
        return self._shapes[key], np.dtype(self._types[key])

    def _lower_forward(self, node: Node, is_train: bool) -> Step:
        self._memory.next_node()
        call = self.call(node, is_train)
        if id(node) not in self._views:  # a view is there as soon as its input is
            node.operator.forward(call)
        results = zip(node.output_names(), call.outputs, strict=True)
        return Step(node, "forward", tuple(call.lines), tuple(results))


def _own_names(order: Sequence[Node]) -> dict[int, str]:
    """Return a name for each node, by id, that no other has: its own, numbered where others do.

    Graphs may have several nodes of one name; each has scratch buffers and random numbers of its
    own.
    """
    taken = {node.name for node in order}
    found: dict[str, int] = {}
    for node in order:
        name = node.name
        if name in found:
            numbered = (f"{name}#{number}" for number in count(2))
            name = next(each for each in numbered if each not in taken)
            taken.add(name)
        found[name] = id(node)
    return {node: name for name, node in found.items()}


class _BackwardBuilder:
    """Lowers the backward pass: who needs a gradient, where it is written, what is summed."""

    def __init__(self, plan: Plan, is_train: bool) -> None:
        self.plan, self.is_train = plan, is_train
        self.program = Program()
        self.buffers: dict[Key, Array] = {}
        self.started: set[Key] = set()
        self.wanted = self._entries_wanting_a_gradient()

    def build(self) -> tuple[Program, list[Array | None]]:
        slots = self._head_slots()
        for node in reversed(self.plan.order):
            if not node.is_variable and self._receives_gradient(node):
                self._lower(node)
        self._clear_gradients_nobody_wrote()
        return self.program, slots

    def _entries_wanting_a_gradient(self) -> set[Key]:
        wanted = {(index, 0) for index in self.plan._gradients if self._is_float((index, 0))}
        for node in self.plan.order:
            if node.is_variable:
                continue
            if any((id(e.node), e.index) in wanted for e in _differentiable(node)):
                keys = output_keys(node)
                wanted |= {key for key in keys if self._is_float(key)}
        return wanted

    def _is_float(self, key: Key) -> bool:
        """Whether an entry holds floats; a gradient through integers is zero."""
        return bool(self.plan._values[key].dtype.kind == "f")

    def _head_slots(self) -> list[Array | None]:
        slots: list[Array | None] = []
        for entry in self.plan.heads:
            key = (id(entry.node), entry.index)
            needs_head = entry.node.is_variable or entry.node.operator.uses_head
            if not needs_head:
                slots.append(None)
            elif key not in self.wanted:
                slots.append(self.plan._memory.array(*self.plan._like(key)))
            else:
                target, after = self._contribution(key, self.plan._memory.array)
                slots.append(target)
                self._add_step(None, "heads", after, [])
        return slots

    def _receives_gradient(self, node: Node) -> bool:
        keys = output_keys(node)
        if keys[0] not in self.wanted:
            return False
        if node.operator.uses_head:
            return any(key in self.started for key in keys)
        is_head = any(entry.node is node for entry in self.plan.heads)
        return is_head or any(key in self.started for key in keys)

    def _lower(self, node: Node) -> None:
        plan = self.plan
        plan._memory.next_node()
        heads = [
            self.buffers[key] if key in self.started else plan._memory.array(*plan._like(key))
            for key in output_keys(node)
        ]
        grads: list[Array | None] = []
        after: list[Line] = []
        operator = node.operator
        for name, entry in zip(operator.arguments(), node.inputs, strict=False):
            key = (id(entry.node), entry.index)
            if name in operator.no_gradient or key not in self.wanted:
                grads.append(None)
                continue
            target, lines = self._contribution(key, plan._memory.temp)
            grads.append(target)
            after += lines
        call = plan.call(node, self.is_train, heads, grads)
        node.operator.backward(call)
        call.lines += plan.row_weight_lines(node, grads[0])
        names = [f"gradient of {node.name}:{name}" for name in node.operator.arguments()]
        results = [(n, g) for n, g in zip(names, grads, strict=True) if g is not None]
        self._add_step(node, "backward", [*call.lines, *after], results)

    def _contribution(
        self, key: Key, allocate: Callable[[tuple[int, ...], Any], Array]
    ) -> tuple[Array, list[Line]]:
        """Return where to write the next contribution to an entry, and the lines that add it."""
        buffer = self._buffer(key)
        variable = self.plan._gradients.get(key[0])
        if key not in self.started and not (variable and variable.add):
            self.started.add(key)
            return buffer, []
        self.started.add(key)
        extra = allocate(buffer.shape, buffer.dtype)
        return extra, [(self.plan.backend.xp.add, (buffer, extra, buffer))]

    def _buffer(self, key: Key) -> Array:
        if key not in self.buffers:
            variable = self.plan._gradients.get(key[0])
            if variable is not None:
                self.buffers[key] = variable.array
            else:
                self.buffers[key] = self.plan._memory.array(*self.plan._like(key))
        return self.buffers[key]

    def _clear_gradients_nobody_wrote(self) -> None:
        xp = self.plan.backend.xp
        for index, gradient in self.plan._gradients.items():
            if (index, 0) in self.started or gradient.add:
                continue
            array: Any = gradient.array
            if isinstance(array, RowSparseNDArray):
                line: Line = (clear_rows, (array,))
            else:
                line = (xp.copyto, (array, self.plan.backend.zeros((), array.dtype)))
            self._add_step(None, "backward", [line], [])

    def _add_step(
        self,
        node: Node | None,
        phase: str,
        lines: Iterable[Line],
        results: Iterable[tuple[str, Array]],
    ) -> None:
        self.program.add(Step(node, phase, tuple(lines), tuple(results)))


def _differentiable(node: Node) -> list[Entry]:
    operator = node.operator
    names = operator.arguments()
    return [
        entry
        for name, entry in zip(names, node.inputs, strict=False)
        if name not in operator.no_gradient
    ]
