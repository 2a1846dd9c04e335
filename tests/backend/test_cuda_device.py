"""`Device` over a stand-in for CuPy: memory, launches, captures, and what it says of failures."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, HostDevice
from hypothesis import given
from hypothesis import strategies as st
from test_cuda_products import Library

from mxtrain.backend.cuda import blas
from mxtrain.backend.cuda.device import SHARE, Device, Repeated
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.numpy import run
from mxtrain.errors import MXNetError

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")


FREE = 1 << 20


class OutOfMemoryError(Exception):
    pass


class CUDARuntimeError(Exception):
    status = 801


class CUDADriverError(Exception):
    pass


class Stream:
    """Runs what it is given at once, unless it is captured: then when the graph is launched."""

    ptr = 7

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy
        self.captured: list[Any] | None = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin_capture(self) -> None:
        self.captured = []

    def end_capture(self) -> Any:
        calls, self.captured = self.captured or [], None
        if self.cupy.refuses_capture:
            raise CUDARuntimeError("operation not permitted")
        return SimpleNamespace(launch=lambda stream: [call() for call in calls])

    def do(self, call: Any) -> None:
        if self.captured is None:
            call()
        else:
            self.captured.append(call)

    def synchronize(self) -> None:
        pass


class Pool:
    """Memory up to a limit, which may have been set from outside."""

    outside = 0

    def __init__(self, allocate: Any) -> None:
        self.allocate, self.used, self.limit = allocate, 0, self.outside

    def get_limit(self) -> int:
        return self.limit

    def set_limit(self, size: int) -> None:
        self.limit = size

    def used_bytes(self) -> int:
        return self.used

    def malloc(self, nbytes: int) -> Any:
        if self.used + nbytes > self.limit:
            raise OutOfMemoryError
        self.used += nbytes
        return self.allocate(nbytes)


class Cupy:
    """What `Device` takes from CuPy."""

    def __init__(self) -> None:
        self.host, self.refuses_capture = HostDevice(), False
        self.blocks: list[np.ndarray] = []
        here = SimpleNamespace(use=lambda: None, __enter__=None)
        self.device = here
        memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
        runtime = SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=lambda: 1,
            memGetInfo=lambda: (FREE, 1 << 22),
            memcpyHostToDevice=1,
            memcpyDeviceToHost=2,
            memcpyAsync=self.copy,
        )
        self.cuda = SimpleNamespace(
            Device=lambda number: OneDevice(),
            Stream=lambda non_blocking: Stream(self),
            MemoryPool=Pool,
            malloc_managed=self.malloc,
            alloc=self.malloc,
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=memory,
            runtime=runtime,
        )

    def malloc(self, nbytes: int) -> Any:
        self.blocks.append(np.full(nbytes, 0xA5, np.uint8))
        return SimpleNamespace(ptr=self.blocks[-1].ctypes.data)

    def copy(self, target: int, source: int, nbytes: int, kind: int, stream: int) -> None:
        assert stream == Stream.ptr and kind in (1, 2)
        on_device = target if kind == 1 else source
        assert any(on_device == block.ctypes.data for block in self.blocks)
        ctypes.memmove(target, source, nbytes)

    def RawKernel(self, source: str, name: str, options: tuple[str, ...]) -> Any:
        assert name == "run" and "--fmad=false" in options
        function = self.host._function(source)

        def launch(blocks: Any, threads: Any, arguments: Any, stream: Stream) -> None:
            stream.do(lambda: function(blocks, threads, arguments))

        return SimpleNamespace(kernel=launch)


class OneDevice(nullcontext[None]):
    def use(self) -> None:
        pass


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cupy]:
    made = Cupy()
    monkeypatch.setitem(sys.modules, "cupy", made)
    monkeypatch.setattr(blas, "load", Library)
    yield made


def test_memory_is_the_hosts_and_known(cupy: Cupy) -> None:
    device = Device()
    array = device.empty((3, 4), np.dtype("f"))
    assert array.shape == (3, 4) and array.dtype == np.float32
    assert device.owns(array) and device.owns(array[1:, 2:]) and device.owns(array.T)
    assert not device.owns(np.ones(3))
    assert device.empty((0, 4), np.dtype("f")).shape == (0, 4)
    assert device.copied(array) is array
    copied = device.copied(np.arange(5.0))
    assert device.owns(copied) and copied.tolist() == [0, 1, 2, 3, 4]


def test_no_room_is_told_with_size_and_advice(cupy: Cupy) -> None:
    device = Device()
    with pytest.raises(
        MXNetError, match=r"no room for a buffer of 4,194,304 bytes \(shape .*batch"
    ):
        device.empty((1024, 1024), np.dtype("f"))


def test_a_device_without_managed_memory_is_refused(cupy: Cupy) -> None:
    def refuse(nbytes: int) -> Any:
        raise CUDARuntimeError("operation not supported")

    cupy.cuda.malloc_managed = refuse
    with pytest.raises(MXNetError, match=r"GPU 0 gives no memory .*not supported.*'numba'"):
        Device()


@pytest.mark.parametrize(
    ("outside", "left"), [(0, int(SHARE * FREE)), (5000, 5000), (1 << 30, int(SHARE * FREE))]
)
def test_there_is_room_for_what_the_device_has(
    cupy: Cupy, monkeypatch: pytest.MonkeyPatch, outside: int, left: int
) -> None:
    """``CUPY_GPU_MEMORY_LIMIT`` may leave less."""
    monkeypatch.setattr(Pool, "outside", outside)
    device = Device()
    assert device.room() == left - device.zero.nbytes
    device.empty((100, 10), np.dtype("f"))
    assert device.room() == left - device.zero.nbytes - 4000


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=12))
def test_only_memory_in_use_is_known(steps: list[tuple[bool, int]]) -> None:
    """Memory that was given back may come again as an ordinary array of the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", Cupy())
        patch.setattr(blas, "load", Library)
        device = Device()
    kept, gone = [device.zero], []
    for gives_back, size in steps:
        if gives_back and len(kept) > 1:
            old = kept.pop(size % (len(kept) - 1) + 1)
            gone.append(SimpleNamespace(__array_interface__={"data": (old.ctypes.data, False)}))
            del old
        else:
            kept.append(device.empty((size,), np.dtype("f"))[size // 2 :])
    assert all(map(device.owns, kept))
    assert not any(map(device.owns, gone))


def test_words_are_sent_and_fetched(cupy: Cupy) -> None:
    words = Device().words(3)
    words.write(np.array([7, -1]))
    assert words.read(2) == [7, -1]
    words.write(np.array([0.5]))
    assert words.read(1) == [int(np.float64(0.5).view(np.int64))]


def test_a_device_that_has_failed_is_not_taken_for_one_without_managed_memory(cupy: Cupy) -> None:
    def fail(nbytes: int) -> Any:
        error = CUDARuntimeError("an illegal memory access was encountered")
        error.status = 700
        raise error

    cupy.cuda.malloc_managed = fail
    with pytest.raises(MXNetError, match=r"GPU 0 has failed \(an illegal memory access"):
        Device()


@pytest.mark.parametrize("refuses", [False, True])
def test_captured_launches_run_when_they_are_launched(cupy: Cupy, refuses: bool) -> None:
    backend = CupyBackend(Device())
    x, total = (backend.zeros(shape, np.float32) for shape in ((4, 3), (3,)))
    one = backend.from_host(np.ones((), "f"))
    lines = [(np.add, (x, one, x)), (np.add.reduce, (x, (0,), None, total))]
    joined, _ = backend.join(lines)
    run(joined)
    assert total.tolist() == [4, 4, 4]
    launches = [kernel for kernel, _ in joined if kernel != backend.device.synchronize]
    cupy.refuses_capture = refuses
    if refuses:
        with pytest.warns(UserWarning, match="not captured .*not permitted"):
            graph = backend.device.captured(launches)
        assert isinstance(graph, Repeated)
    else:
        graph = backend.device.captured(launches)
    assert total.tolist() == [4, 4, 4]
    graph.launch()
    graph.launch()
    assert total.tolist() == [12, 12, 12]


def test_a_product_is_the_blas_of_the_device(cupy: Cupy) -> None:
    backend = CupyBackend(Device())
    left, right = (backend.from_host(np.arange(6, dtype="f").reshape(s)) for s in ((2, 3), (3, 2)))
    out = backend.zeros((2, 2), np.float32)
    run(backend.join([(np.dot, (left, right, out))])[0])
    np.testing.assert_array_equal(out, left @ right)


def test_the_backend_needs_neither_numba_nor_llvmlite() -> None:
    """Who installs ``mxtrain[cupy]`` has neither."""
    without = "sys.modules['numba'] = sys.modules['llvmlite'] = None"
    code = f"import sys; {without}; import mxtrain.backend.cupy, mxtrain.backend.cuda.steps"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
