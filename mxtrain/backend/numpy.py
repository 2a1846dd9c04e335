"""The NumPy backend: the default, and the one that needs nothing else.

A traced formula becomes a list of in-place ufunc calls. Temporaries live in a handful of scratch
registers; a target array whose old value has been read for the last time serves as one too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from mxtrain.backend.formula import TRUTH_VALUED, Instruction, Program, Ref
from mxtrain.backend.special import erf

Array = np.ndarray[Any, Any]
Line = tuple[Callable[..., Any], tuple[Any, ...]]
# The rows of all data, the buffer for those of a batch, and how bytes become floats, if they are
# scaled, ``(x - offset) * factor`` in double precision: the offsets and the factors of a row.
Gathered = tuple[Array, Array, tuple[Array, Array] | None]
# The number of an updated array, and the float16 array that takes its values after every update.
Rounded = tuple[int, Array]
Allocate = Callable[[tuple[int, ...], Any], Array]


def select(condition: Array, a: Array, b: Array, out: Array) -> None:
    """Write `a` where `condition` holds and `b` elsewhere; `out` is none of the operands."""
    np.copyto(out, b)
    np.copyto(out, a, where=condition)


def greater_of(a: Array, b: Array, out: Array) -> None:
    """Write the greater of two elements (NumPy wants the target of ``maximum`` by name)."""
    np.maximum(a, b, out=out)


def lesser_of(a: Array, b: Array, out: Array) -> None:
    """Write the lesser of two elements."""
    np.minimum(a, b, out=out)


_KERNELS: dict[str, Callable[..., Any]] = {
    "where": select,
    "erf": erf,
    "maximum": greater_of,
    "minimum": lesser_of,
}
_NOT_IN_PLACE = frozenset({"where", "erf"})


class Lowering:
    """Turns one program over given arrays into lines.

    Parameters
    ----------
    program : the traced formula.
    arrays : the buffers of its arrays; they broadcast against each other.
    outs : where each output goes; may be among `arrays` (an update in place).
    allocate : called with (shape, dtype) for each scratch register.
    box : called with (value, dtype) for each number that is no array.
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[Array],
        outs: Sequence[Array],
        allocate: Allocate,
        box: Callable[[Any, Any], Array] = np.array,
    ) -> None:
        self._box = box
        self.dtype = outs[0].dtype if outs else arrays[0].dtype
        self.program = program
        self.arrays, self.outs = list(arrays), list(outs)
        self.scalars = [box(0, self.dtype) for _ in program.scalars]
        self.scalar_lines: list[Line] = []
        self.lines: list[Line] = []
        self._allocate = allocate
        self._last_use = program.last_uses()
        self._values: dict[int, Array] = {}
        self._free: list[Array] = []
        self._held: dict[int, int] = {}  # id of a scratch register -> value living in it
        self._finished: set[int] = set()  # ids of targets that hold their final value
        self._root_of: dict[int, int] = {
            ref.index: number
            for number, ref in reversed(list(enumerate(program.outputs)))
            if ref.kind == "value"
        }
        for number, instruction in enumerate(program.instructions):
            self._lower(number, instruction)
        self._copy_remaining_outputs()

    def _lower(self, number: int, instruction: Instruction) -> None:
        operands = [self._operand(ref) for ref in instruction.operands]
        kernel = _KERNELS.get(instruction.op) or getattr(np, instruction.op)
        if instruction.is_scalar:
            dtype = np.bool_ if instruction.op in TRUTH_VALUED else self.dtype
            self._values[number] = self._box(0, dtype)
            self.scalar_lines.append((kernel, (*operands, self._values[number])))
            return
        self._release_targets(number)
        target = self._destination(number, instruction, operands)
        self._values[number] = target
        self.lines.append((kernel, (*operands, target)))
        self._release_registers(number, instruction, target)

    def _operand(self, ref: Ref) -> Array:
        if ref.kind == "literal":
            return self._box(ref.index, self.dtype)
        number: int = ref.index
        if ref.kind == "array":
            return self.arrays[number]
        return self.scalars[number] if ref.kind == "scalar" else self._values[number]

    def _destination(self, number: int, instruction: Instruction, operands: list[Array]) -> Array:
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        dtype = np.dtype(bool) if instruction.op in TRUTH_VALUED else self.dtype
        root, own = self._root_of.get(number), Ref("value", number)
        if root is not None and self._may_finish(self.outs[root], number, instruction, shape):
            target = self.outs[root]
            self._finished.add(id(target))
            self._free = [register for register in self._free if register is not target]
            return target
        if instruction.op not in _NOT_IN_PLACE:
            for ref, operand in zip(instruction.operands, operands, strict=True):
                dies = ref.kind == "value" and self._last_use[ref] == number
                dies = dies and ref not in self.program.outputs
                held = self._held.get(id(operand)) == ref.index
                fits = (operand.shape, operand.dtype) == (shape, dtype)
                if dies and held and fits and self._may_hold(operand, own, number):
                    return self._hold(operand, number)
        for place, register in enumerate(self._free):
            fits = (register.shape, register.dtype) == (shape, dtype)
            if fits and self._may_hold(register, own, number):
                return self._hold(self._free.pop(place), number)
        return self._hold(self._allocate(shape, dtype), number)

    def _may_hold(self, register: Array, value: Ref, number: int) -> bool:
        """Whether a free register can keep `value`: a target must not be wanted back too early."""
        is_output = value in self.program.outputs
        last = self._last_use.get(value, number)
        return not any(
            target is register and (is_output or ref.kind != "value" or ref.index < last)
            for target, ref in zip(self.outs, self.program.outputs, strict=True)
        )

    def _may_finish(
        self, target: Array, number: int, instruction: Instruction, shape: tuple[int, ...]
    ) -> bool:
        """Whether the final value of `target` can be written now."""
        if target.shape != shape or id(target) in self._finished:
            return False
        if instruction.op in TRUTH_VALUED and target.dtype != bool:
            return False  # a float target of a comparison is filled by the copy at the end
        holder = self._held.get(id(target))
        if holder is not None and self._last_use.get(Ref("value", holder), -1) > number:
            return False
        limit = number if instruction.op not in _NOT_IN_PLACE else number - 1
        return self._dead_after(target, limit) and not (
            holder is not None
            and instruction.op in _NOT_IN_PLACE
            and Ref("value", holder) in instruction.operands
        )

    def _dead_after(self, target: Array, number: int) -> bool:
        """Whether no instruction after `number`, and no output, reads the old value of `target`."""
        for index, array in enumerate(self.arrays):
            if array is target:
                ref = Ref("array", index)
                if self._last_use.get(ref, -1) > number or ref in self.program.outputs:
                    return False
        return True

    def _hold(self, register: Array, number: int) -> Array:
        self._held[id(register)] = number
        return register

    def _release_targets(self, number: int) -> None:
        """Targets whose old value is dead become scratch registers until they are written."""
        for target in self.outs:
            known = id(target) in self._held or id(target) in self._finished
            known = known or any(register is target for register in self._free)
            if not known and self._dead_after(target, number - 1):
                self._free.append(target)

    def _release_registers(self, number: int, instruction: Instruction, kept: Array) -> None:
        for ref in instruction.operands:
            if ref.kind != "value" or self._last_use[ref] != number:
                continue
            register = self._values[ref.index]
            is_output = Ref("value", ref.index) in self.program.outputs
            if register is kept or is_output or self._held.get(id(register)) != ref.index:
                continue
            del self._held[id(register)]
            self._free.append(register)

    def _copy_remaining_outputs(self) -> None:
        """Copy the outputs that could not be computed in place; an input may be among them."""
        pending = []
        for number, ref in enumerate(self.program.outputs):
            source, target = self._operand(ref), self.outs[number]
            if source is target:
                continue
            if any(source is other for other in self.outs):
                kept = self._allocate(source.shape, source.dtype)
                self.lines.append((np.copyto, (kept, source)))
                source = kept
            pending.append((np.copyto, (target, source)))
        self.lines += pending


def run(lines: Sequence[Line]) -> None:
    """Run lines in order."""
    for kernel, arguments in lines:
        kernel(*arguments)


class RunnableRule(Protocol):
    """An update rule bound to its arrays. `nbytes` is what it needs beside them."""

    nbytes: int

    def run(self, scalars: tuple[float, ...]) -> None:
        """Apply the rule once with these scalar values, in the order the rule names them."""


@dataclass(frozen=True)
class StepParts:
    """What a training step consists of.

    Attributes
    ----------
    size : rows of a batch.
    gathered : where rows come from and go to.
    passes : the joined lines of forward and backward.
    looked_at : float arrays; one that is not finite ends the steps before the batch is learned
        from.
    gradients : float arrays; one that is not finite ends the steps before the update.
    rules : the update rules, in order.
    kept : arrays that are copied, in each step between forward and backward, to where
        `RunnableSteps.run` says.
    step : int64 with one element, the number of the step that ran last. It may be counted up.
    """

    size: int
    gathered: Sequence[Gathered]
    passes: tuple[Sequence[Line], Sequence[Line]]
    looked_at: Sequence[Array]
    gradients: Sequence[Array]
    rules: Sequence[Any]
    kept: Sequence[Array]
    step: Array


class Taken(NamedTuple):
    """How several steps went.

    steps : how many were learned from. overflowed : whether the one after them came as far as its
    gradient, which is not finite: what is kept of it was copied, and nothing was updated.
    """

    steps: int
    overflowed: bool


class RunnableSteps(Protocol):
    """Several training steps in one call."""

    def run(self, rows: Array, scalars: Sequence[Array], targets: Sequence[Array]) -> Taken:
        """Run a step for each row of `rows`, until there is something that is not finite.

        Parameters
        ----------
        rows : int64, (steps, size): the row numbers of each batch.
        scalars : for each rule float64, (steps, scalars).
        targets : for each kept array, memory for as many copies as there are steps.
        """


class NumpyBackend:
    """Kernels on the host, through NumPy."""

    name = "numpy"
    xp = np
    # Whether `steps` can give anything at all.
    compiles = False
    # Whether small products of plain matrices are faster than those with a transposed factor.
    turns_small_factors = True
    # Whether arithmetic on subnormal numbers takes longer, so that averages are kept free of them.
    slowed_by_subnormals = True

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new buffer with unspecified contents."""
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new buffer of zeros."""
        return np.zeros(shape, dtype)

    def from_host(self, array: Array) -> Array:
        """Return the backend's array with these contents (the same array here)."""
        return array

    def lower(
        self, program: Program, arrays: Sequence[Array], outs: Sequence[Array], allocate: Allocate
    ) -> Lowering:
        """Lower a formula to lines over given buffers."""
        return Lowering(program, arrays, outs, allocate)

    def segment(
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        rounded: Rounded | None = None,
    ) -> RunnableRule:
        """Bind an update rule to flat arrays.

        Parameters
        ----------
        program : the traced rule; its outputs replace `targets`.
        arrays : equally long. Targets are of one type, in which everything is computed; arrays that
            are only read may be of another one, and are converted as they are read.
        targets : for each output, the number of the array it replaces.
        rounded : an array that takes the new values of one of them, rounded to its own type.
        """
        from mxtrain.backend.blocks import Segment

        return Segment(program, arrays, targets, rounded)

    def join(self, lines: Sequence[Line]) -> tuple[list[Line], list[Array]]:
        """Return lines that do the same with fewer calls, and arrays to keep as long as these.

        Here the lines stay as they are.
        """
        return list(lines), []

    def steps(self, parts: StepParts) -> RunnableSteps | None:
        """Return something that takes several training steps in one call; None: it cannot be had.

        Here it never can.
        """
        return None

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed (nothing to wait for here)."""
