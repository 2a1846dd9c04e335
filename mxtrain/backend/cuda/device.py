"""A CUDA device by way of CuPy: memory that the host sees as well, launches, captured graphs.

Buffers are managed memory: one address for host and device, whose pages move to who uses them.
Everything outside the kernels of a plan so works on them as NumPy arrays: initializers, files,
metrics, and operators that have no kernel here. Who touches them on the host calls `synchronize`
first; programs do so at their end. What the host writes before every step is in `Words` instead:
pages that both sides write move to and fro, which takes longer than a small step.
"""

from __future__ import annotations

import warnings
import weakref
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

from mxtrain.backend import missing
from mxtrain.backend.compiled.lines import Product
from mxtrain.backend.cuda import blas
from mxtrain.backend.cuda.batches import Products
from mxtrain.backend.cuda.kernel import NAME, Kernel
from mxtrain.backend.numpy import Array
from mxtrain.errors import MXNetError

# No fused multiply-adds: sums and products are rounded one by one, as NumPy rounds them.
OPTIONS = ("--std=c++17", "--fmad=false")
# The part of the free memory that is taken at most: kernels, graphs and other programs need some.
SHARE = 0.9
# What a driver says where memory for both sides cannot be had: invalid value, not supported.
_NOT_MANAGED = (1, 801)


class Launch:
    """A kernel with its arguments, ready to run.

    Parameters
    ----------
    function : called with (blocks, threads, arguments).
    kernel : what it runs.
    halt : the address of the word that stops it.
    """

    def __init__(self, function: Callable[..., None], kernel: Kernel, halt: int) -> None:
        self._function, self._kernel = function, kernel
        self._arguments = tuple(map(np.int64, (halt, *kernel.words)))

    def __call__(self) -> None:
        """Put it into the queue of the device."""
        kernel = self._kernel
        self._function((kernel.blocks,), kernel.threads, self._arguments)

    def bound_to(self, halt: int, counter: int) -> Launch:
        """Return the same launch, stopped by another word and counting steps by another."""
        return Launch(self._function, self._kernel.with_counter(counter), halt)


class Multiply:
    """A matrix product by the BLAS of the device; it only ever writes buffers of its step."""

    def __init__(self, multiply: Callable[[], None]) -> None:
        self._multiply = multiply

    def __call__(self) -> None:
        """Put it into the queue of the device."""
        self._multiply()

    def bound_to(self, halt: int, counter: int) -> Multiply:
        """Return itself: nothing stops a product."""
        return self


class BeginStep:
    """Tells the device, before random numbers are drawn there, which step is running.

    Parameters
    ----------
    step : the number of the running step, int64 with one element.
    word : where the device reads it.
    """

    def __init__(self, step: Array, word: Array) -> None:
        self._step, self.word = step, word

    def __call__(self) -> None:
        """Write it; nothing may be running on the device."""
        self.word[0] = self._step[0]


class Repeated:
    """Launches that are repeated one by one, where they could not be captured."""

    def __init__(self, launches: Sequence[Callable[[], None]]) -> None:
        self._launches = launches

    def launch(self) -> None:
        """Run them once."""
        for launch in self._launches:
            launch()


class _Block:
    """Managed memory as NumPy sees it; the array made of it keeps it alive."""

    def __init__(self, memory: Any, nbytes: int) -> None:
        self.memory = memory
        self.__array_interface__ = {
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (memory.ptr, False),
            "version": 3,
        }


class Words:
    """Memory of 8-byte words that only the device sees; the host sends and fetches copies.

    Parameters
    ----------
    memory : what keeps it alive.
    address : where it begins.
    send : called with (target, source, bytes) to queue a copy to the device.
    fetch : the same for a copy to the host, which is there when it returns.
    """

    def __init__(
        self,
        memory: Any,
        address: int,
        send: Callable[[int, int, int], None],
        fetch: Callable[[int, int, int], None],
    ) -> None:
        self.address, self._memory = address, memory
        self._send, self._fetch = send, fetch

    def write(self, values: Array) -> None:
        """Queue a copy of contiguous `values` to the first words; they may change at once."""
        self._send(self.address, values.ctypes.data, values.nbytes)

    def read(self, count: int) -> list[int]:
        """Wait for the device and return its first `count` words as whole numbers."""
        found = np.empty(count, np.int64)
        self._fetch(found.ctypes.data, self.address, found.nbytes)
        words: list[int] = found.tolist()
        return words


class Device:
    """A device by its number, which is there (`problem`)."""

    def __init__(self, number: int = 0) -> None:
        import cupy

        self._cupy, self.number = cupy, number
        self._device = cupy.cuda.Device(number)
        with self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)
            workspace = cupy.cuda.alloc(blas.WORKSPACE)
            self._workspace = workspace  # the handle does not keep it alive
            self._blas = blas.Blas(blas.load(), self._stream.ptr, workspace.ptr)
            self._pool = cupy.cuda.MemoryPool(cupy.cuda.malloc_managed)
            # Managed memory beyond the device's own would be moved to and fro, at a crawl.
            free = int(SHARE * cupy.cuda.runtime.memGetInfo()[0])
            self._pool.set_limit(size=min(free, self._pool.get_limit() or free))
        self._starts: list[int] = []  # of the blocks in use, in order
        self._ends: dict[int, int] = {}
        self._functions: dict[str, Callable[..., None]] = {}
        # Halts nothing, and counts no step: for launches outside of captured steps.
        self.zero = self.empty((1,), np.dtype(np.int64))
        self.zero[:] = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return memory that host and device see, with unspecified contents.

        MXNetError where there is none left, or none at all, as on some virtual GPUs.
        """
        nbytes = prod(shape) * dtype.itemsize
        if not nbytes:
            return np.empty(shape, dtype)
        try:
            with self._device:
                memory = self._pool.malloc(nbytes)
        except self._cupy.cuda.memory.OutOfMemoryError:
            raise MXNetError(
                f"GPU {self.number} has no room for a buffer of {nbytes:,} bytes (shape {shape}); "
                "reduce data.batch_size or the network"
            ) from None
        except self._cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status not in _NOT_MANAGED:
                raise MXNetError(f"GPU {self.number} has failed ({error})") from error
            raise MXNetError(
                f"GPU {self.number} gives no memory that the host sees as well ({error}); take "
                "another one, or backend 'numpy' or 'numba'"
            ) from error
        block = _Block(memory, nbytes)
        self._remember(memory.ptr, nbytes)
        weakref.finalize(block, self._forget, memory.ptr).atexit = False
        array: Array = np.asarray(block).view(dtype).reshape(shape)
        return array

    def words(self, count: int) -> Words:
        """Return so many words, at least one, that only the device sees."""
        with self._device:
            memory = self._cupy.cuda.alloc(8 * max(count, 1))
        return Words(memory, memory.ptr, self._send, self._fetch)

    def _send(self, target: int, source: int, nbytes: int) -> None:
        self._copy(target, source, nbytes, self._cupy.cuda.runtime.memcpyHostToDevice)

    def _fetch(self, target: int, source: int, nbytes: int) -> None:
        self._copy(target, source, nbytes, self._cupy.cuda.runtime.memcpyDeviceToHost)
        self._stream.synchronize()

    def _copy(self, target: int, source: int, nbytes: int, kind: int) -> None:
        self._device.use()
        self._cupy.cuda.runtime.memcpyAsync(target, source, nbytes, kind, self._stream.ptr)

    def room(self) -> int:
        """Return how many bytes of memory are left."""
        with self._device:
            left: int = self._pool.get_limit() - self._pool.used_bytes()
        return left

    def _remember(self, start: int, nbytes: int) -> None:
        insort(self._starts, start)
        self._ends[start] = start + nbytes

    def _forget(self, start: int) -> None:
        """Take note that a block has gone: other memory may get its address."""
        del self._starts[bisect_left(self._starts, start)], self._ends[start]

    def owns(self, array: Array) -> bool:
        """Whether the device sees an array."""
        start = array.__array_interface__["data"][0]
        place = bisect_right(self._starts, start)
        return bool(place) and start < self._ends[self._starts[place - 1]]

    def copied(self, array: Array) -> Array:
        """Return an array with the same contents that the device sees."""
        if self.owns(array):
            return array
        made = self.empty(array.shape, array.dtype)
        np.copyto(made, array)
        return made

    def launch(self, kernel: Kernel, halt: int) -> Launch:
        """Compile a kernel, unless its source is known, and return it ready to run."""
        if kernel.source not in self._functions:
            with self._device:
                raw = self._cupy.RawKernel(kernel.source, NAME, options=OPTIONS)
                function = raw.kernel
            self._functions[kernel.source] = partial(self._run, function)
        return Launch(self._functions[kernel.source], kernel, halt)

    def _run(self, function: Any, blocks: Any, threads: Any, arguments: Any) -> None:
        self._device.use()  # another device may have been used in between
        function(blocks, threads, arguments, stream=self._stream)

    def set_math(self, math: str) -> None:
        """Compute float32 products in ``float32`` or ``tf32`` from now on."""
        self._device.use()
        self._blas.set_math(math)

    def multiply(self, piece: Product | Products) -> Multiply:
        """Return a matrix product, or those of a batch, ready to run."""

        def run() -> None:
            self._device.use()
            if isinstance(piece, Products):
                self._blas.multiply_batch(piece)
            else:
                self._blas.multiply(piece)

        return Multiply(run)

    def captured(self, launches: Sequence[Callable[[], None]]) -> Any:
        """Return something whose ``launch`` runs all of them at the cost of one launch."""
        stream = self._stream
        self._device.use()
        try:
            with stream:
                stream.begin_capture()
                try:
                    for launch in launches:
                        launch()
                finally:
                    graph = stream.end_capture()
        except (
            self._cupy.cuda.runtime.CUDARuntimeError,
            self._cupy.cuda.driver.CUDADriverError,
        ) as error:
            warnings.warn(f"steps are not captured ({error}): each is launched", stacklevel=2)
            return Repeated(launches)
        return _Graph(graph, stream, self._device)

    def synchronize(self) -> None:
        """Wait until everything in the queue has run."""
        self._device.use()
        self._stream.synchronize()


class _Graph:
    def __init__(self, graph: Any, stream: Any, device: Any) -> None:
        self._graph, self._stream, self._device = graph, stream, device

    def launch(self) -> None:
        self._device.use()
        self._graph.launch(self._stream)


def open_device(number: int) -> Device:
    """Return a device by its number.

    MXNetError where CuPy, a driver or the device is missing.
    """
    reason = problem(number)
    if reason:
        raise MXNetError(reason)
    return Device(number)


@cache
def problem(number: int = 0) -> str:
    """Return why there is no such device, in one line; empty if there is."""
    if find_spec("cupy") is None:
        return missing("cupy")
    import cupy

    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return (
            f"backend 'cupy' finds no NVIDIA driver that it can use ({error}); install one, or "
            "take backend 'numpy' or 'numba'"
        )
    if number >= count:
        return f"there is no GPU {number}: {count} found, numbered from 0"
    return ""
