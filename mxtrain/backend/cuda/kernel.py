"""`Kernel`: source, the shape of its launch, and its arguments; all that a device needs.

A kernel runs nothing once the word that its first argument points to is not zero: so a step whose
outputs are not finite leaves everything as it was, without the host having to look.
"""

from __future__ import annotations

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
#define ON_DEVICE __device__ __forceinline__
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fc00000)
#endif
#else
#define ON_DEVICE
#endif
typedef long long word;
typedef unsigned char truth;
"""

# float16, without any header of the toolkit: conversions are instructions of the device. Arithmetic
# is that of float; what is made from a float or a double is rounded once, to the nearest even.
HALF = """\
struct half {
    unsigned short bits;
    half() = default;
    ON_DEVICE explicit half(int x) : half(float(x)) {}  // and truth values, and bytes
#ifdef __CUDACC_RTC__
    ON_DEVICE explicit half(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
    ON_DEVICE explicit half(double x) { asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(x)); }
    ON_DEVICE operator float() const {
        float x;
        asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
        return x;
    }
#else
    explicit half(float x) { _Float16 h = (_Float16)x; __builtin_memcpy(&bits, &h, 2); }
    explicit half(double x) { _Float16 h = (_Float16)x; __builtin_memcpy(&bits, &h, 2); }
    operator float() const { _Float16 h; __builtin_memcpy(&h, &bits, 2); return (float)h; }
#endif
};
"""


def function(parameters: list[str], body: str) -> str:
    """Return the source of a function with these parameters after the halting word."""
    listed = ", ".join(["const int* halt", *parameters])
    half = HALF if "half" in f"{listed}{body}" else ""
    return f"{HEADER}{half}KERNEL {NAME}({listed}) {{\n    if (*halt) return;\n{body}}}\n"


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
