"""A `Call`: what an operator sees of one node while its lines are added to a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from mxtrain.backend.formula import Program, trace

if TYPE_CHECKING:
    import numpy as np

    from mxtrain.backend.numpy import Line, NumpyBackend
    from mxtrain.backend.uniform import RandomSource

    Array = np.ndarray[Any, Any]


class Memory(Protocol):
    """Where a plan's scratch buffers come from."""

    def scratch(self, node: str, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return the buffer `name` of a node, the same one in forward and backward."""

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a buffer that other nodes use as well."""


class Call:
    """One node being lowered: its buffers, and the means to add lines.

    Attributes
    ----------
    inputs, outputs, aux : buffers of the node. `inputs` has the arguments only.
    heads : gradients arriving at the visible outputs.
    grads : where each input's gradient is to be written, None where nobody wants it.
    is_train : whether this is the training mode of the plan.
    has_gradients : whether the plan was bound with a gradient for anything.
    xp : the array namespace (NumPy, or a module like it).
    turns_small_factors : whether a small transposed factor of a product is better written out.
    """

    def __init__(
        self,
        node: str,
        backend: NumpyBackend,
        memory: Memory,
        random: Callable[[str], RandomSource],
        is_train: bool,
        has_gradients: bool,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        aux: Sequence[Array],
        heads: Sequence[Array] = (),
        grads: Sequence[Array | None] = (),
    ) -> None:
        self.node, self.is_train, self.has_gradients = node, is_train, has_gradients
        self.inputs, self.outputs, self.aux = list(inputs), list(outputs), list(aux)
        self.heads, self.grads = list(heads), list(grads)
        self.xp: Any = backend.xp
        self.turns_small_factors = backend.turns_small_factors
        self.lines: list[Line] = []
        self._backend, self._memory, self._random = backend, memory, random

    def emit(self, kernel: Callable[..., Any], *args: Any) -> None:
        """Add a line: ``kernel(*args)`` writes into its arguments and allocates no arrays."""
        self.lines.append((kernel, args))

    def scratch(self, name: str, shape: Sequence[int], dtype: Any = None) -> Array:
        """Return a buffer that keeps its contents from this node's forward to its backward."""
        return self._memory.scratch(self.node, name, tuple(shape), self._dtype(dtype))

    def temp(self, shape: Sequence[int], dtype: Any = None) -> Array:
        """Return a buffer whose contents last for this node's current lines only."""
        return self._memory.temp(tuple(shape), self._dtype(dtype))

    def constant(self, value: Any, dtype: Any = None) -> Array:
        """Return an array with fixed contents, made once while lowering."""
        return self._backend.from_host(_host_array(value, self._dtype(dtype)))

    def random(self, name: str) -> RandomSource:
        """Return this node's stream of random numbers called `name`."""
        return self._random(f"{self.node}/{name}")

    def formula(
        self,
        function: Callable[..., Any],
        arrays: Sequence[Array],
        outs: Sequence[Array],
        **scalars: float,
    ) -> None:
        """Add the lines of an element-wise formula.

        `function` takes the namespace ``xp``, and returns a function of as many arrays as given
        and of the named scalars, which gives one expression per array of `outs`. Arrays broadcast.
        """
        program = _program(function, len(arrays), tuple(scalars))
        lowered = self._backend.lower(program, arrays, outs, self.temp)
        for box, value in zip(lowered.scalars, scalars.values(), strict=True):
            box[()] = value
        for kernel, arguments in lowered.scalar_lines:
            kernel(*arguments)  # attributes never change, so neither do these
        self.lines += lowered.lines

    def copy(self, source: Array, target: Array) -> None:
        """Add a line that copies, converting the element type if need be."""
        self.emit(self.xp.copyto, target, source, "unsafe")

    def fill(self, target: Array, value: float) -> None:
        """Add a line that sets every element."""
        self.emit(self.xp.copyto, target, self.constant(value, target.dtype))

    def scale(self, array: Array, factor: float) -> None:
        """Add a line that multiplies in place, unless the factor is 1."""
        if factor != 1:
            self.emit(self.xp.multiply, array, self.constant(factor, array.dtype), array)

    def sum(self, source: Array, axes: tuple[int, ...], target: Array) -> None:
        """Add a line that sums over `axes`; `target` has those axes removed (any unit axes fit)."""
        kept = tuple(n for axis, n in enumerate(source.shape) if axis not in axes)
        self.emit(self.xp.add.reduce, source, axes, None, target.reshape(kept))

    def sum_to(self, source: Array, target: Array) -> None:
        """Add lines that sum `source` over the axes along which `target` was broadcast."""
        axes = broadcast_axes(source.shape, target.shape)
        if axes:
            self.sum(source, axes, target)
        else:
            self.copy(source, target)

    def _dtype(self, dtype: Any) -> Any:
        if dtype is not None:
            return dtype
        return (self.outputs or self.inputs)[0].dtype


def broadcast_axes(big: tuple[int, ...], small: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of `big` along which an array of shape `small` was repeated.

    >>> broadcast_axes((4, 2, 3), (2, 1))
    (0, 2)
    """
    lead = len(big) - len(small)
    repeated = [lead + i for i, n in enumerate(small) if n == 1 and big[lead + i] != 1]
    return (*range(lead), *repeated)


@cache
def _program(function: Callable[..., Any], count: int, scalars: tuple[str, ...]) -> Program:
    def formula(maths: Any) -> Callable[..., Any]:
        step = function(maths)

        def with_names(**values: Any) -> Any:
            arrays = [values.pop(name) for name in names]
            return step(*arrays, **values)

        return with_names

    names = [f"x{number}" for number in range(count)]
    return trace(formula, names, scalars, takes_maths=True)


def _host_array(value: Any, dtype: Any) -> Array:
    import numpy as np  # plans are only ever built where NumPy is loaded; declaring is not

    return np.array(value, dtype)
