"""What ``pytest --cuda-on-host`` adds: every device that a backend opens is a stand-in.

``pytest --cuda-on-host -k cupy tests`` so runs, on any machine with a C++ compiler, the tests that
run on every backend. What has been compiled is kept with other compiled kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from host_device import COMPILER, HostDevice

from mxtrain import backend
from mxtrain.backend.cuda import device as devices
from mxtrain.errors import MXNetError

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")
# They replace devices themselves, or tell what is said where there is none.
OF_DEVICES = ("test_cuda", "test_cupy")


class Loaded(HostDevice):
    """A stand-in that loads a kernel once for all devices of the process."""

    _loaded: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._functions = self._loaded


def problem(number: int = 0) -> str:
    """What `devices.problem` says on a machine with one GPU."""
    return f"there is no GPU {number}: 1 found, numbered from 0" if number else ""


def open_device(number: int) -> HostDevice:
    """What `devices.open_device` does on a machine with one GPU."""
    if problem(number):
        raise MXNetError(problem(number))
    return Loaded()


def put_in_place(
    patch: pytest.MonkeyPatch, opened: Callable[[int], HostDevice] = open_device
) -> None:
    """Let every backend of this process that asks for a device get a stand-in."""
    if COMPILER is None:
        raise pytest.UsageError("--cuda-on-host needs g++ or clang++, and neither is there")
    patch.setattr(devices, "problem", problem)
    patch.setattr(devices, "open_device", opened)
    backend._get.cache_clear()


@contextmanager
def stand_in_for_a_gpu() -> Iterator[HostDevice]:
    """Let every part of the project take one stand-in for a GPU."""
    made = HostDevice()
    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch, lambda number: made)
        yield made
    backend._get.cache_clear()


class Plugin:
    """What the option changes beside the device."""

    @pytest.fixture(autouse=True)
    def _new_device(self) -> Iterator[None]:
        """Give every test a device of its own: a stand-in keeps all memory it was asked for."""
        backend._get.cache_clear()
        yield
        backend._get.cache_clear()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip what no stand-in can stand in for."""
        for item in items:
            if item.path.name.startswith(OF_DEVICES):
                item.add_marker(
                    pytest.mark.skip(reason="brings a device, or the lack of it, itself")
                )
