"""A stand-in for a CUDA device: kernels are compiled by a C++ compiler and run on the host.

The threads of a block run one after the other, phase by phase. What a device would compute is
computed; how fast, and what a driver makes of it, is not told. Where NVIDIA's compiler is
installed, every kernel also has to pass that.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import nvrtc

from mxtrain.backend.compiled.lines import Product
from mxtrain.backend.cuda.batches import Products
from mxtrain.backend.cuda.device import Device, Launch, Multiply, Repeated, Words
from mxtrain.backend.cuda.kernel import Kernel

COMPILER = shutil.which("g++") or shutil.which("clang++")
# CUDA's functions are overloaded for float and double; no fused multiply-adds, as on the device.
HEADER = """\
#include <cmath>
using namespace std;
"""
BEFORE = """\
static int X, Y, WIDE, HIGH;
static long long BLOCK, BLOCKS;
#define PHASE for (Y = 0; Y < HIGH; ++Y) for (X = 0; X < WIDE; ++X)
#define NEXT_PHASE
#define SHARED static
#define KERNEL static void
#define HIGH_WORD(a, b) (unsigned long long)(((unsigned __int128)(a) * (b)) >> 64)
"""
OPTIONS = ("-std=c++17", "-O1", "-fPIC", "-ffp-contract=off")


def program(source: str) -> str:
    """Return a kernel with a function around it that runs all blocks."""
    parameters = re.search(r"KERNEL run\((.*?)\) \{", source)
    assert parameters is not None
    casts = [
        f"({' '.join(parameter.split()[:-1])})words[{number}]"
        for number, parameter in enumerate(parameters[1].split(", "))
    ]
    return f"""{BEFORE}{source}
extern "C" void drive(long long blocks, int wide, int high, const long long* words) {{
    WIDE = wide, HIGH = high, BLOCKS = blocks;
    for (BLOCK = 0; BLOCK < BLOCKS; ++BLOCK) run({", ".join(casts)});
}}
"""


def compiled(target: Path, *options: str, text: str = "") -> None:
    """Compile C++, a file of the options or a text, into a file."""
    assert COMPILER is not None
    command = [COMPILER, *OPTIONS, "-o", str(target), *options]
    subprocess.run(command, input=text.encode(), check=True)


def check(source: str) -> None:
    """Have a kernel compiled for devices, where that can be done."""
    for architecture in nvrtc.ARCHITECTURES if nvrtc.library() is not None else ():
        found = nvrtc.complaints(source, architecture)
        assert not found, f"{found}\n{source}"


def in_tf32(matrix: np.ndarray) -> np.ndarray:
    """The finite numbers of a float32 matrix, rounded to the ten bits that TF32 keeps of them."""
    bits = np.ascontiguousarray(matrix).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


class HostDevice:
    """What `mxtrain.backend.cuda.device.Device` does, on the host."""

    number = 0
    math = "float32"
    left = 1 << 40

    def __init__(self) -> None:
        self._folder = Path(os.environ["MXTRAIN_CACHE"]) / "host-kernels"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._header = self._folder / "header.h"
        self._kept: list[np.ndarray] = []  # so that no other array gets their addresses
        self._functions: dict[str, Any] = {}
        self.replays: list[int] = []
        self.zero = self.empty((1,), np.dtype("i8"))
        self.zero[:] = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        # Nothing may rely on zeros.
        raw = np.full(prod(shape) * dtype.itemsize, 0xA5, np.uint8)
        self._kept.append(raw)
        return raw.view(dtype).reshape(shape)

    def words(self, count: int) -> Words:
        raw = self.empty((max(count, 1),), np.dtype("i8"))
        return Words(raw, raw.ctypes.data, ctypes.memmove, ctypes.memmove)

    def owns(self, array: np.ndarray) -> bool:
        start = array.__array_interface__["data"][0]
        return any(
            raw.ctypes.data <= start < raw.ctypes.data + max(raw.nbytes, 1) for raw in self._kept
        )

    copied = Device.copied

    def room(self) -> int:
        return self.left

    def launch(self, kernel: Kernel, halt: int) -> Launch:
        return Launch(self._function(kernel.source), kernel, halt)

    def _function(self, source: str) -> Callable[..., None]:
        if source not in self._functions:
            whole = HEADER + program(source)
            path = self._folder / f"k{hashlib.sha256(whole.encode()).hexdigest()[:24]}.so"
            if not path.exists():
                assert COMPILER is not None
                check(source)
                beside = path.with_suffix(f".{os.getpid()}")
                command = ["-include", str(self._compiled_header()), "-shared", "-x", "c++", "-"]
                compiled(beside, *command, text=program(source))
                beside.replace(path)
            drive = ctypes.CDLL(str(path)).drive

            def run(blocks: tuple[int], threads: tuple[int, int], arguments: Any) -> None:
                words = np.array(arguments, np.int64)
                drive(ctypes.c_longlong(blocks[0]), *threads, ctypes.c_void_p(words.ctypes.data))

            self._functions[source] = run
        return self._functions[source]

    def _compiled_header(self) -> Path:
        """Return the header, beside which the compiler finds it compiled: most of its work."""
        done = self._folder / "header.h.gch"
        if not done.exists():
            beside = [path.with_suffix(f".{os.getpid()}") for path in (self._header, done)]
            beside[0].write_text(HEADER)
            compiled(beside[1], "-x", "c++-header", str(beside[0]))
            beside[0].replace(self._header)
            beside[1].replace(done)
        return self._header

    def set_math(self, math: str) -> None:
        self.math = math

    def multiply(self, piece: Product | Products) -> Multiply:
        def run() -> None:
            if piece.dtype == np.float32 and self.math == "tf32":
                np.matmul(in_tf32(piece.left), in_tf32(piece.right), piece.target)
                return
            if piece.dtype == np.float16:  # added up in float32, rounded once
                piece.target[...] = np.matmul(piece.left.astype("f"), piece.right.astype("f"))
            else:
                np.matmul(piece.left, piece.right, piece.target)

        return Multiply(run)

    def captured(self, launches: Sequence[Callable[[], None]]) -> Repeated:
        device = self

        class Replay(Repeated):
            def launch(self) -> None:
                device.replays.append(len(launches))
                super().launch()

        return Replay(list(launches))

    def synchronize(self) -> None:
        pass
