"""Several training steps on a device, one after the other, without a look from the host.

The kernels of a step are captured once and replayed. What differs between steps (row numbers,
rates, where outputs are kept) is sent once for all of them, and found by a counter in device
memory, which the last kernel of a step moves on; a loss that is not finite sets the halting word,
and nothing runs from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mxtrain.backend.cuda.expressions import TYPES
from mxtrain.backend.cuda.kernel import Kernel, function, over_elements
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.numpy import Array, StepParts, Taken

if TYPE_CHECKING:
    from mxtrain.backend.cuda.device import Device, Words

Scaling = tuple[Array, Array] | None
# Steps in one replay: the launch of a graph costs the host about as much as a small step takes.
TOGETHER = 8
# Why nothing runs any more: what the halting word says.
OUTPUTS, GRADIENTS = 1, 2
_UNSIGNED = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}


def gather(
    source: Array, target: Array, rows: int, counter: int, scaling: Scaling = None
) -> Kernel:
    """Return a kernel that copies the rows of a batch; `rows` is the address of their numbers.

    Where the types differ, bytes and floats become floats of the target's type. With `scaling` they
    are ``(x - offset) * factor`` in double precision, float32 before they become float16.
    """
    of, to, value = _UNSIGNED[source.itemsize], _UNSIGNED[target.itemsize], "x"
    if source.dtype != target.dtype:
        of = TYPES.get(source.dtype.name, of)
        to = TYPES[target.dtype.name]
        value = f"{to}(x)"
    parameters = ["word width", "word size", "const word* rows", "const word* counter"]
    parameters += [f"const {of}* source", f"{to}* target"]
    if scaling is not None:
        parameters += ["const double* offset", "const double* factor"]
        scaled = "(double(x) - offset[column]) * factor[column]"
        value = f"{to}(float({scaled}))" if to == "half" else f"{to}({scaled})"
    body = (
        "        word row = rows[*counter * size + i / width], column = i % width;\n"
        f"        {of} x = source[row * width + column];\n"
        f"        target[i] = {value};\n"
    )
    arrays = (source, target, *(scaling or ()))
    words = (target[:1].size, len(target), rows, counter, *map(address_of, arrays))
    return over_elements(target.size, parameters, body, words)


def look(array: Array, halt: int, reason: int = OUTPUTS) -> Kernel:
    """Return a kernel that sets the halting word, to a reason, where an element is not finite."""
    parameters = [f"const {TYPES[array.dtype.name]}* array", "int* halting", "word reason"]
    body = "        if (!(array[i] - array[i] == 0)) *halting = reason;\n"
    return over_elements(array.size, parameters, body, (address_of(array), halt, reason))


def keep(array: Array, target: int, counter: int) -> Kernel:
    """Return a kernel that copies an array to its place among those of earlier steps."""
    kind = _UNSIGNED[array.itemsize]
    parameters = [f"const {kind}* source", f"{kind}* const* target", "const word* counter"]
    body = "        (*target)[*counter * n + i] = source[i];\n"
    return over_elements(array.size, parameters, body, (address_of(array), target, counter))


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
    parts : what a step consists of. Rules run by a table and a counter (`DeviceSegment.launch`).
        The rows of all data are copied to the device where they fit; elsewhere the host gathers
        those of a call into memory of the device before each.
    passes : launches of forward and backward.
    drawn_by : the words of the device that random numbers are drawn by.
    """

    # What is sent before a call, in parts, and the words it is sent to with their addresses.
    _sent: Array
    _halt: Array
    _targets: Array
    _rows: Array
    _tables: list[Array]
    _words: Words
    _addresses: list[int]

    def __init__(
        self,
        device: Device,
        parts: StepParts,
        passes: tuple[Sequence[Launchable], Sequence[Launchable]],
        drawn_by: Sequence[Array],
    ) -> None:
        self._device, self._parts, self._passes, self._drawn_by = device, parts, passes, drawn_by
        self._data = [source for source, _, _ in parts.gathered]
        self._buffers = [buffer for _, buffer, _ in parts.gathered]
        self._scalings = [each and _copied(device, each) for _, _, each in parts.gathered]
        # The other half is for networks of other batch sizes, which may be bound later.
        self._fits = sum(source.nbytes for source in self._data) <= device.room() // 2
        self._sources = list(map(device.copied, self._data)) if self._fits else []
        self._most = 0
        self._step: Any = None
        self._several: Any = None

    def run(self, rows: Array, scalars: Sequence[Array], targets: Sequence[Array]) -> Taken:
        """Run a step for each row of `rows`, until there is something that is not finite.

        The arguments are those of `Steps.run`; `targets` are memory of the device.
        """
        if len(rows) > self._most:
            self._capture(len(rows), [row.shape[1] for row in scalars])
        count = len(rows)
        if self._fits:
            self._rows[: rows.size] = rows.reshape(-1)
        else:
            for source, staged in zip(self._data, self._sources, strict=True):
                source.take(rows.reshape(-1), 0, staged[: rows.size], "clip")
        for table, values in zip(self._tables, scalars, strict=True):
            table[: values.size] = values.reshape(-1)
        self._targets[: len(targets)] = [address_of(target) for target in targets]
        for word in self._drawn_by:
            word[0] = self._parts.step[0] + 1
        self._words.write(self._sent)
        for _ in range(count // TOGETHER):
            self._several.launch()
        for _ in range(count % TOGETHER):
            self._step.launch()
        halt, taken = self._words.read(2)
        return Taken(taken, halt == GRADIENTS)

    def _capture(self, count: int, widths: Sequence[int]) -> None:
        """Make room for what so many steps are told, and capture the launches that read it."""
        device = self._device
        self._most = count
        number = count * self._parts.size
        if not self._fits:
            self._sources = [device.empty((number, *a.shape[1:]), a.dtype) for a in self._data]
        self._lay_out([1, 1, len(self._parts.kept), number, *(count * width for width in widths)])
        self._rows[:] = np.arange(number)  # the staged ones lie in order
        launches = self._launches()
        self._halt[0] = 1
        self._words.write(self._sent)
        for launch in launches:  # a first time outside, so that nothing is loaded in a capture
            launch()
        device.synchronize()
        self._halt[0] = 0
        self._step = device.captured(launches)
        self._several = device.captured(launches * TOGETHER)

    def _lay_out(self, sizes: Sequence[int]) -> None:
        """Divide what is sent before a call: halting word, counter, places, rows, tables."""
        ends = np.cumsum(sizes).tolist()
        self._words = self._device.words(ends[-1])
        self._addresses = [self._words.address + 8 * start for start in (0, *ends[:-1])]
        self._sent = np.zeros(ends[-1], np.int64)
        parts = np.split(self._sent, ends[:-1])
        self._halt, _, self._targets, self._rows = parts[:4]
        self._tables = [part.view(np.float64) for part in parts[4:]]

    def _launches(self) -> list[Callable[[], None]]:
        device, parts = self._device, self._parts
        halt, counter, kept, rows, *tables = self._addresses
        places = [kept + 8 * number for number in range(len(parts.kept))]

        def launched(kernels: Iterable[Kernel]) -> list[Callable[[], None]]:
            return [device.launch(kernel, halt) for kernel in kernels]

        forward, backward = ([c.bound_to(halt, counter) for c in each] for each in self._passes)
        updates = [
            rule.launch(table, counter, halt)
            for rule, table in zip(parts.rules, tables, strict=True)
        ]
        return [
            *launched(
                gather(of, to, rows, counter, scaling)
                for of, to, scaling in zip(
                    self._sources, self._buffers, self._scalings, strict=True
                )
            ),
            *forward,
            *launched(look(array, halt) for array in parts.looked_at),
            # Before a gradient can halt the rest: its batch counts, and products of later steps,
            # which nothing halts, would write over its outputs.
            *launched(
                keep(array, place, counter) for array, place in zip(parts.kept, places, strict=True)
            ),
            *backward,
            *launched(look(array, halt, GRADIENTS) for array in parts.gradients),
            *updates,
            *launched([move_on(counter)]),
        ]


def _copied(device: Device, pair: tuple[Array, Array]) -> tuple[Array, Array]:
    return device.copied(pair[0]), device.copied(pair[1])
