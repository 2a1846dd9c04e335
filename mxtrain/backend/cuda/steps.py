"""Several training steps on a device, one after the other, without a look from the host.

The kernels of a step are captured once and replayed. What differs between steps (row numbers,
rates, where outputs are kept) is found by a counter in device memory, which the last kernel of a
step moves on; a loss that is not finite sets the halting word, and nothing runs from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mxtrain.backend.cuda.expressions import TYPES
from mxtrain.backend.cuda.kernel import Kernel, elementwise, function, loop
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.numpy import Array

if TYPE_CHECKING:
    from mxtrain.backend.cuda.device import Device

# Steps in one replay: the launch of a graph costs the host about as much as a small step takes.
TOGETHER = 8
_UNSIGNED = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}


def gather(source: Array, target: Array, rows: int, counter: int) -> Kernel:
    """Return a kernel that copies the rows of a batch; `rows` is the address of their numbers.

    Bytes become floats where the target has floats.
    """
    width, size = target[:1].size, len(target)
    of, to = _UNSIGNED[source.itemsize], _UNSIGNED[target.itemsize]
    if source.dtype != target.dtype:
        to = TYPES[target.dtype.name]
    parameters = ["word n", "word width", "word size", "const word* rows", "const word* counter"]
    body = loop("n") + (
        "        word row = rows[*counter * size + i / width];\n"
        "        target[i] = source[row * width + i % width];\n    }\n"
    )
    words = (target.size, width, size, rows, counter, address_of(source), address_of(target))
    blocks, threads = elementwise(target.size)
    parameters += [f"const {of}* source", f"{to}* target"]
    return Kernel(function(parameters, body), blocks, threads, words)


def gather_scaled(
    source: Array, target: Array, rows: int, counter: int, scaling: tuple[Array, Array]
) -> Kernel:
    """Return a kernel that copies rows of bytes as floats, ``(x - offset) * factor`` in double."""
    width, size = target[:1].size, len(target)
    parameters = ["word n", "word width", "word size", "const word* rows", "const word* counter"]
    parameters += ["const unsigned char* source", "float* target"]
    parameters += ["const double* offset", "const double* factor"]
    body = loop("n") + (
        "        word row = rows[*counter * size + i / width], column = i % width;\n"
        "        double shifted = double(source[row * width + column]) - offset[column];\n"
        "        target[i] = float(shifted * factor[column]);\n    }\n"
    )
    arrays = (source, target, *scaling)
    words = (target.size, width, size, rows, counter, *map(address_of, arrays))
    blocks, threads = elementwise(target.size)
    return Kernel(function(parameters, body), blocks, threads, words)


def look(array: Array, halt: int) -> Kernel:
    """Return a kernel that sets the halting word where an element is not finite."""
    kind = TYPES[array.dtype.name]
    body = loop("n") + "        if (!(array[i] - array[i] == 0)) *halting = 1;\n    }\n"
    parameters = ["word n", f"const {kind}* array", "int* halting"]
    blocks, threads = elementwise(array.size)
    words = (array.size, address_of(array), halt)
    return Kernel(function(parameters, body), blocks, threads, words)


def keep(array: Array, target: int, counter: int) -> Kernel:
    """Return a kernel that copies an array to its place among those of earlier steps."""
    kind = _UNSIGNED[array.itemsize]
    body = loop("n") + "        (*target)[*counter * n + i] = source[i];\n    }\n"
    parameters = ["word n", f"const {kind}* source", f"{kind}* const* target"]
    parameters += ["const word* counter"]
    blocks, threads = elementwise(array.size)
    words = (array.size, address_of(array), target, counter)
    return Kernel(function(parameters, body), blocks, threads, words)


def move_on(counter: int) -> Kernel:
    """Return a kernel that counts a step."""
    return Kernel(
        function(["word* counter"], "    PHASE if (X == 0) ++*counter;\n"), 1, (1, 1), (counter,)
    )


class Launchable(Protocol):
    """Something that can be put into the queue of a device."""

    def __call__(self) -> None:
        """Put it there."""

    def bound_to(self, halt: int, counter: int) -> Launchable:
        """Return the same, stopped by and counting with the words at other addresses."""


class DeviceSteps:
    """The captured steps of a network; see `mxtrain.backend.compiled.driver.Steps`.

    Parameters
    ----------
    device : where they run.
    size : rows of a batch.
    gathered : (source, buffer, scaling) as for `Steps`; sources are copied to the device.
    passes : launches of forward and backward.
    looked_at : float arrays that must be finite.
    rules : update rules that run by a table and a counter (`DeviceSegment.launch`).
    kept : arrays that are copied after each step.
    running : the number of the step that ran last, on the host, and the words of the device that
        random numbers are drawn by.
    """

    def __init__(
        self,
        device: Device,
        size: int,
        gathered: Sequence[tuple[Array, Array, tuple[Array, Array] | None]],
        passes: tuple[Sequence[Launchable], Sequence[Launchable]],
        looked_at: Sequence[Array],
        rules: Sequence[Any],
        kept: Sequence[Array],
        running: tuple[Array, Sequence[Array]],
    ) -> None:
        self._running = running
        self._device, self._size = device, size
        self._made: list[Array] = []
        self._rows, self._rules, self._kept = self._words(0), list(rules), list(kept)
        self._most = 0
        self._counter, self._halt = self._words(1), self._words(1)
        self._targets = self._words(max(1, len(kept)))
        self._arrays = gathered, passes, looked_at
        self._tables: list[Array] = []
        self._step: Any = None
        self._several: Any = None

    def _words(self, count: int) -> Array:
        array: Array = self._device.empty((max(count, 1),), np.dtype(np.int64))
        array[:] = 0
        return array

    def run(self, rows: Array, scalars: Sequence[Array], targets: Sequence[Array]) -> int:
        """Run a step for each row of `rows` and return how many were learned from.

        The arguments are those of `Steps.run`; `targets` are memory of the device.
        """
        if len(rows) > self._most:
            self._capture(len(rows), [row.shape[1] for row in scalars])
        count = len(rows)
        self._rows[: rows.size] = rows.reshape(-1)
        for table, values in zip(self._tables, scalars, strict=True):
            table[: values.size] = values.reshape(-1)
        self._targets[: len(targets)] = [address_of(target) for target in targets]
        self._counter[0] = self._halt[0] = 0
        before, words = self._running
        for word in words:
            word[0] = before[0] + 1
        for _ in range(count // TOGETHER):
            self._several.launch()
        for _ in range(count % TOGETHER):
            self._step.launch()
        self._device.synchronize()
        return int(self._counter[0])

    def _capture(self, count: int, widths: Sequence[int]) -> None:
        """Make tables for so many steps, and capture the launches that read them."""
        device = self._device
        self._most = count
        self._rows = self._words(count * self._size)
        self._tables = [
            device.empty((max(count * width, 1),), np.dtype(np.float64)) for width in widths
        ]
        launches = self._launches()
        self._halt[0] = 1
        for launch in launches:  # a first time outside, so that nothing is loaded in a capture
            launch()
        device.synchronize()
        self._halt[0] = 0
        self._step = device.captured(launches)
        self._several = device.captured(launches * TOGETHER)

    def _launches(self) -> list[Callable[[], None]]:
        gathered, (forward, backward), looked_at = self._arrays
        device, halt = self._device, address_of(self._halt)
        rows, counter = address_of(self._rows), address_of(self._counter)
        if not self._made:
            self._made = [device.copied(source) for source, _, _ in gathered]
            self._scalings = [
                pair and (device.copied(pair[0]), device.copied(pair[1])) for *_, pair in gathered
            ]
        kernels = []
        for source, (_, buffer, _), scaling in zip(
            self._made, gathered, self._scalings, strict=True
        ):
            if scaling is None:
                kernels.append(gather(source, buffer, rows, counter))
            else:
                kernels.append(gather_scaled(source, buffer, rows, counter, scaling))
        before = [device.launch(kernel, halt) for kernel in kernels]
        looks = [device.launch(look(array, halt), halt) for array in looked_at]
        updates = [
            rule.launch(address_of(table), counter, halt)
            for rule, table in zip(self._rules, self._tables, strict=True)
        ]
        addresses = [address_of(self._targets[number:]) for number in range(len(self._kept))]
        kept = [
            device.launch(keep(array, at, counter), halt)
            for array, at in zip(self._kept, addresses, strict=True)
        ]
        ahead = [call.bound_to(halt, counter) for call in forward]
        back = [call.bound_to(halt, counter) for call in backward]
        last = device.launch(move_on(counter), halt)
        return [*before, *ahead, *looks, *back, *updates, *kept, last]
