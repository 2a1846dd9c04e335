"""`Kernel`: source, the shape of its launch, and its arguments; all that a device needs.

A kernel runs nothing once the word that its first argument points to is not zero: so a step whose
outputs are not finite leaves everything as it was, without the host having to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

# Words are whole numbers of 64 bits: addresses, lengths and strides.
NAME = "run"
THREADS = 256
MOST_BLOCKS = 4096


@dataclass(frozen=True)
class Kernel:
    """A launch of a generated function.

    Attributes
    ----------
    source : CUDA C++ of a function called ``run``.
    blocks, threads : the launch; threads are (x, y).
    words : its arguments after the address of the halting word.
    counts_at : the place among them of the address of a counter of steps, if there is one.
    """

    source: str
    blocks: int
    threads: tuple[int, int]
    words: tuple[int, ...]
    counts_at: int | None = None

    def with_counter(self, address: int) -> Kernel:
        """Return the kernel that counts steps elsewhere; itself where it counts none."""
        if self.counts_at is None:
            return self
        words = list(self.words)
        words[self.counts_at] = address
        return replace(self, words=tuple(words))


# A body is written as phases. On a device every thread runs a phase and then waits for the others
# of its block; a machine without one can run the threads of a phase one after the other.
HEADER = """\
#ifdef __CUDACC_RTC__
#define PHASE
#define NEXT_PHASE __syncthreads();
#define SHARED __shared__
#define X threadIdx.x
#define Y threadIdx.y
#define BLOCK blockIdx.x
#define BLOCKS gridDim.x
#define KERNEL extern "C" __global__ void
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fc00000)
#endif
#endif
typedef long long word;
typedef unsigned char truth;
typedef unsigned char octet;
typedef signed char tiny;
"""

# float16 for the kernels that use it. Whole numbers (truth values, bytes) are made exact first.
# A NaN stays one, with unspecified other bits.
HALF = """\
struct half {
    unsigned short bits;
    half() = default;
#ifdef __CUDACC_RTC__
    __device__ explicit half(float value) {
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    }
    __device__ explicit half(double value) {
        asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(value));
    }
    __device__ explicit half(int value) : half(float(value)) {}
    __device__ operator float() const {
        float value;
        asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
        return value;
    }
#else
    explicit half(_Float16 value) { __builtin_memcpy(&bits, &value, 2); }
    explicit half(float value) : half(_Float16(value)) {}
    explicit half(double value) : half(_Float16(value)) {}
    explicit half(int value) : half(float(value)) {}
    operator float() const {
        _Float16 value;
        __builtin_memcpy(&value, &bits, 2);
        return float(value);
    }
#endif
};
"""
_USES_HALF = re.compile(r"\bhalf\b")
# Floats as whole numbers; what has no equal becomes the lowest, as on x86.
WHOLE = """\
#ifdef __CUDACC_RTC__
#define FUNCTION __device__
#else
#define FUNCTION static
#endif
FUNCTION word to_word(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? word(x) : -0x7fffffffffffffffll - 1;
}
FUNCTION int to_int(double x) {
    return x > -0x1.00000002p31 && x < 0x1p31 ? int(x) : -0x7fffffff - 1;
}
"""
_USES_WHOLE = re.compile(r"\bto_(word|int)\b")


def function(parameters: list[str], body: str) -> str:
    """Return the source of a function with these parameters after the halting word."""
    listed = ", ".join(["const int* halt", *parameters])
    types = HALF if _USES_HALF.search(listed + body) else ""
    types += WHOLE if _USES_WHOLE.search(body) else ""
    return f"{HEADER}{types}KERNEL {NAME}({listed}) {{\n    if (*halt) return;\n{body}}}\n"


def over_elements(
    count: int, parameters: list[str], body: str, words: Iterable[int], before: str = ""
) -> Kernel:
    """Return a kernel whose threads share a loop over elements.

    Parameters
    ----------
    count : how many there are; ``n`` in the source, and the first of the words.
    parameters, words : what the function takes beside that.
    body : statements for element ``i``. before : statements before the loop.

    >>> kernel = over_elements(1000, ["float* p"], "        p[i] = 0;\\n", [64])
    >>> kernel.blocks, kernel.threads, kernel.words
    (4, (256, 1), (1000, 64))
    """
    head = (
        f"    PHASE for (word i = (word)BLOCK * {THREADS} + X; i < n; "
        f"i += (word)BLOCKS * {THREADS}) {{\n"
    )
    source = function(["word n", *parameters], f"{before}{head}{body}    }}\n")
    blocks = max(1, min(-(-count // THREADS), MOST_BLOCKS))
    return Kernel(source, blocks, (THREADS, 1), (count, *words))
