"""Random numbers: one generator for the package, and streams that need no saved state.

`generator` is what initializers draw from; `seed` restarts it. A `Stream` is a pure function of
(seed, name, step): dropout masks, noise and the order of an epoch come from streams, so a run
that continues after a break draws what the unbroken one would have drawn.

Both are Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a
generator whose position is a plain counter.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

# NumPy is imported inside functions: modules that must load without it import this one.
if TYPE_CHECKING:
    import numpy as np

__all__ = ["Stream", "current_seed", "generator", "seed", "stream"]

_generator: np.random.Generator | None = None
_seed = 0


def seed(seed_state: int) -> None:
    """Restart the package's generator from an integer of any size or sign.

    NumPy's own global generator, which shuffles a plain ``NDArrayIter``, is left alone.
    """
    global _generator, _seed
    _seed = int(seed_state)
    _generator = _new_generator(_seed)


def current_seed() -> int:
    """Return the integer of the latest `seed` (0 before the first), from which streams start."""
    return _seed


def generator() -> np.random.Generator:
    """Return the package's generator; until `seed` is called it is that of ``seed(0)``."""
    global _generator
    if _generator is None:
        _generator = _new_generator(0)
    return _generator


def stream(seed: int, name: str) -> Stream:
    """Return the stream called `name` of a run with the given `seed`.

    >>> order = stream(7, "shuffle")
    >>> order.permutation(epoch=3, n=5).tolist() == order.permutation(epoch=3, n=5).tolist()
    True
    """
    return Stream(seed, name)


class Stream:
    """Random numbers that depend on (seed, name, step) and nothing else.

    Every step has 2**128 blocks of its own, so steps never overlap; streams of different names or
    seeds have unrelated keys. Results are the same in every process and on every machine.

    `at` returns the same generator object each time, moved. Use it up before asking for another
    step, and give each thread a stream of its own.

    Attributes
    ----------
    key : the two words of the key.
    """

    def __init__(self, seed: int, name: str) -> None:
        import numpy as np

        self.seed = seed
        self.name = name
        words = _key(seed, name)
        self.key = int(words[0]), int(words[1])
        self._bits = np.random.Philox(key=words)
        self._generator = np.random.Generator(self._bits)
        # Setting a kept state moves the generator several times faster than making a new one.
        self._state = self._bits.state
        self._counter = self._state["state"]["counter"]

    def at(self, step: int) -> np.random.Generator:
        """Return the generator, placed at the beginning of `step` (0 to 2**64 - 1).

        Raises ValueError for a step outside that range.
        """
        try:
            self._counter[2] = step
        except OverflowError:
            raise ValueError(
                f"a step of random stream '{self.name}' is 0 to 2**64 - 1, got {step}"
            ) from None
        self._bits.state = self._state
        return self._generator

    def permutation(self, epoch: int, n: int) -> np.ndarray[Any, Any]:
        """Return the numbers 0 to ``n - 1`` in the order of `epoch`."""
        return self.at(epoch).permutation(n)

    def __repr__(self) -> str:
        return f"Stream(seed={self.seed}, name={self.name!r})"


def _new_generator(seed: int) -> np.random.Generator:
    import numpy as np

    return np.random.Generator(np.random.Philox(key=_key(seed, "generator")))


def _key(seed: int, name: str) -> np.ndarray[Any, Any]:
    """Derive the two 64-bit words of a Philox key; ``hash()`` would differ between processes."""
    import numpy as np

    text = f"{int(seed)}:{name}".encode()
    digest = hashlib.blake2b(text, digest_size=16, person=b"mxtrain.random").digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)
