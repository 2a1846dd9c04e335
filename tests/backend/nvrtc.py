"""NVIDIA's compiler, which needs no device: what it says of a kernel.

``pip install nvidia-cuda-nvrtc-cu12`` (or ``-cu13``) brings it; without it nothing is checked.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mxtrain.backend.cuda.device import OPTIONS

# What CuPy 14 adds (`test_cupy_adds_this_option`).
ADDED = "-ftz=true"
# The oldest devices that CUDA 12 and 13 both know, and those of today's data centres.
ARCHITECTURES = ("compute_75", "compute_90")


@cache
def library() -> Any:
    """Return the compiler, None where it is not installed."""
    spec = find_spec("nvidia")
    for place in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(place).glob("*/lib/libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    return None


def complaints(source: str, architecture: str) -> str:
    """Return why a kernel cannot be compiled as a device's would be; empty if it can."""
    nvrtc, program = library(), ctypes.c_void_p()
    options = [
        option.encode() for option in (*OPTIONS, ADDED, f"--gpu-architecture={architecture}")
    ]
    given = (ctypes.c_char_p * len(options))(*options)
    text = source.encode()
    assert not nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"k.cu", 0, None, None)
    try:
        if not nvrtc.nvrtcCompileProgram(program, len(options), given):
            return ""
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        return log.value.decode()
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
