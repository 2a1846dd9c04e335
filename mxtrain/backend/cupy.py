"""The CuPy backend: runs of lines and update rules as kernels of an NVIDIA GPU.

The plan is that of the other backends, over memory that host and device see. Lines whose meaning
`lines.py` knows become kernels and products of cuBLAS; others run on the host, on the same memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mxtrain.backend.compiled.lines import (
    GPU,
    Product,
    Reduction,
    Transposition,
    Uniform,
    grouped,
)
from mxtrain.backend.cuda.batches import Products
from mxtrain.backend.cuda.device import BeginStep, Device, Launch, Multiply
from mxtrain.backend.cuda.pieces import address_of, pointwise, reduction, transposition
from mxtrain.backend.cuda.reading import DevicePiece, Read, arrays_of, read_line
from mxtrain.backend.cuda.rules import rule
from mxtrain.backend.cuda.steps import DeviceSteps
from mxtrain.backend.cuda.uniform import uniform
from mxtrain.backend.formula import Program
from mxtrain.backend.numpy import (
    Allocate,
    Array,
    Line,
    Lowering,
    NumpyBackend,
    Rounded,
    RunnableRule,
    StepParts,
)


class CupyBackend(NumpyBackend):
    """Kernels on a device where that is possible and on the host elsewhere.

    Parameters
    ----------
    device : where they run.
    """

    name = "cupy"
    compiles = True
    turns_small_factors = False  # a launch more would cost more
    # Its kernels take float32 ones for zero; float64 ones take no longer than others.
    slowed_by_subnormals = False

    def __init__(self, device: Device) -> None:
        self.device = device

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new buffer with unspecified contents."""
        return self.device.empty(shape, np.dtype(dtype))

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a new buffer of zeros."""
        made = self.empty(shape, dtype)
        made[...] = 0
        return made

    def from_host(self, array: Array) -> Array:
        """Return an array with these contents that the device sees."""
        return self.device.copied(array)

    def lower(
        self, program: Program, arrays: Sequence[Array], outs: Sequence[Array], allocate: Allocate
    ) -> Lowering:
        """Lower a formula to lines over given buffers."""
        return Lowering(program, arrays, outs, allocate, self._box)

    def _box(self, value: Any, dtype: Any) -> Array:
        made = self.empty((), dtype)
        made[()] = value
        return made

    def segment(
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        rounded: Rounded | None = None,
    ) -> RunnableRule:
        """Bind an update rule to flat arrays."""
        held = list(arrays) if rounded is None else [*arrays, rounded[1]]
        if any(array.dtype not in GPU.numbers for array in held) or not self._are_here(held):
            return super().segment(program, arrays, targets, rounded)
        return DeviceSegment(self.device, program, arrays, targets, rounded)

    def join(self, lines: Sequence[Line]) -> tuple[list[Line], list[Array]]:
        """Return launches of kernels, and lines for the host between them."""
        joined: list[Line] = []
        run: list[Read] = []
        for line in lines:
            piece = self._piece(line)
            if piece is not None:
                run.append(piece)
                continue
            joined += self._launches(run)
            joined.append(line)
            run = []
        return [*joined, *self._launches(run)], []

    def steps(self, parts: StepParts) -> DeviceSteps | None:
        """Return a step that is captured and replayed, None where the host has a part in it."""
        calls: list[list[Any]] = [[kernel for kernel, _ in lines] for lines in parts.passes]
        forward, backward = (list(filter(_is_launch, each)) for each in calls)
        begins = [call for each in calls for call in each if isinstance(call, BeginStep)]
        others = [call for each in calls for call in each if not self._may_be_captured(call)]
        others += [one for one in parts.rules if not isinstance(one, DeviceSegment)]
        if others:
            names = {getattr(one, "__name__", type(one).__name__) for one in others}
            warnings.warn(
                f"steps are not captured, since the host has a part in them ({', '.join(names)}): "
                "each is launched by itself",
                stacklevel=2,
            )
            return None
        words = [begin.word for begin in begins]
        return DeviceSteps(self.device, parts, (forward, backward), words)

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed."""
        self.device.synchronize()

    def _may_be_captured(self, call: Any) -> bool:
        return _is_launch(call) or isinstance(call, BeginStep) or call == self.device.synchronize

    def _piece(self, line: Line) -> Read | None:
        piece = read_line(line)
        return piece if piece is not None and self._are_here(arrays_of(piece)) else None

    def _are_here(self, arrays: Sequence[Array]) -> bool:
        return all(map(self.device.owns, arrays))

    def _launches(self, run: Sequence[Any]) -> list[Line]:
        """Return the launches of a run; the host may look when they are through."""
        launches: list[Line] = []
        begins: list[Line] = []
        for group in grouped(run):
            first = group[0]
            if isinstance(first, Uniform):
                word = self.zeros((1,), np.int64)
                begins.append((BeginStep(first.source.step, word), ()))
                kernel = uniform(first, address_of(word), address_of(self.device.zero))
                launches.append((self.device.launch(kernel, address_of(self.device.zero)), ()))
            else:
                launches += [(launch, ()) for launch in self._launch(group)]
        return [*begins, *launches, (self.device.synchronize, ())] if launches else []

    def _launch(self, group: Sequence[Any]) -> list[Callable[[], None]]:
        first = group[0]
        if isinstance(first, Product | Products):
            return [self.device.multiply(first)]
        if isinstance(first, DevicePiece):
            kernels = first.kernels()
        elif isinstance(first, Reduction):
            kernels = [reduction(first)]
        elif isinstance(first, Transposition):
            kernels = [transposition(first)]
        else:
            kernels = [pointwise(group)]
        return [self.device.launch(kernel, address_of(self.device.zero)) for kernel in kernels]


def _is_launch(call: object) -> bool:
    return isinstance(call, Launch | Multiply)


class DeviceSegment:
    """A rule bound to equally long flat arrays of a device, run as one kernel.

    Parameters but for `device` are those of `NumpyBackend.segment`.
    """

    def __init__(
        self,
        device: Device,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        rounded: Rounded | None = None,
    ) -> None:
        self._device, self._rounded = device, rounded
        self._bound = (program, list(arrays), tuple(targets))
        self._table = device.words(len(program.scalars))
        self.nbytes = 8 * len(program.scalars)
        self._values: tuple[float, ...] | None = None
        zero = address_of(device.zero)
        self._run = self.launch(self._table.address, zero, zero)

    def launch(self, table: int, counter: int, halt: int) -> Callable[[], None]:
        """Return the launch that reads its scalars from a table, in the row of a counter."""
        return self._device.launch(rule(*self._bound, table, counter, self._rounded), halt)

    def run(self, scalars: tuple[float, ...]) -> None:
        """Apply the rule once with these scalar values, in the order the rule names them."""
        if scalars != self._values:
            self._table.write(np.array(scalars, np.float64))
            self._values = scalars
        self._run()
        self._device.synchronize()
