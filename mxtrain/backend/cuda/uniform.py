"""NumPy's uniform float32 numbers, drawn by a kernel: Philox4x64-10 by its counter."""

from __future__ import annotations

from dataclasses import replace

from mxtrain.backend.compiled.lines import Uniform
from mxtrain.backend.cuda.kernel import Kernel, over_elements
from mxtrain.backend.cuda.pieces import address_of

FLOATS = 8  # of a block: four words of 64 bits, the low half of each first
# The multipliers of a round, and what is added to the key between rounds (Salmon et al. 2011).
_BODY = """\
        bits a = i + 1, b = 0, c = *base + *counter, d = 0, k0 = key0, k1 = key1;
        for (int round = 0; round < 10; ++round) {
            bits low0 = M0 * a, low1 = M1 * c;
            bits high0 = HIGH_WORD(M0, a), high1 = HIGH_WORD(M1, c);
            a = high1 ^ b ^ k0, b = low1, c = high0 ^ d ^ k1, d = low0;
            k0 += 0x9E3779B97F4A7C15ull, k1 += 0xBB67AE8584CAA73Bull;
        }
        bits words[4] = {a, b, c, d};
        for (int k = 0; k < 8 && i * 8 + k < count; ++k) {
            unsigned int part = (unsigned int)(k % 2 ? words[k / 2] >> 32 : words[k / 2]);
            target[i * 8 + k] = float(part >> 8) * 0x1p-24f;
        }
"""
_BEFORE = """\
#ifdef __CUDACC_RTC__
#define HIGH_WORD(a, b) __umul64hi(a, b)
#endif
typedef unsigned long long bits;
#define M0 0xD2E7470EE14C6C93ull
#define M1 0xCA5A826395121157ull
"""


def uniform(piece: Uniform, base: int, counter: int) -> Kernel:
    """Return the kernel that draws the numbers of step ``base + counter``, both addresses."""
    count = piece.target.size
    parameters = ["word count", "word key0", "word key1", "const word* base"]
    parameters += ["const word* counter", "float* target"]
    keys = [word - (1 << 64) if word >> 63 else word for word in piece.source.key]
    words = (count, *keys, base, counter, address_of(piece.target))
    kernel = over_elements(-(-count // FLOATS), parameters, _BODY, words)
    return replace(kernel, source=_BEFORE + kernel.source, counts_at=5)
