"""Outputs of nodes where no backward pass will read them: buffers serve one node after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mxtrain.executor.memory import Pool, bytes_of, cut

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, NumpyBackend
    from mxtrain.symbol.node import Entry, Node

Key = tuple[int, int]
Described = tuple[tuple[int, ...], Any]


class ReusedBuffers:
    """Gives nodes their outputs, in the order in which they run.

    A buffer whose last reader has run serves a later node whose output is of the same size or
    smaller. A node never writes where its own inputs lie.

    Parameters
    ----------
    order : the nodes, inputs before users.
    heads : the outputs of the graph, which nobody may write over.
    backend : makes the buffers.
    """

    def __init__(
        self, order: Sequence[Node], heads: Sequence[Entry], backend: NumpyBackend
    ) -> None:
        self._pool = Pool(backend)
        reads = [*heads, *(entry for node in order for entry in node.inputs)]
        self._reads = Counter((id(entry.node), entry.index) for entry in reads)
        self._buffers: dict[Key, list[Array]] = {}
        self._reads_to_come: Counter[int] = Counter()  # by the id of a buffer

    def outputs(
        self, node: Node, views: list[Array] | None, like: Callable[[Key], Described]
    ) -> list[Array]:
        """Return the outputs of the next node.

        `views` are given where it only looks at its inputs; `like` tells shape and type.
        """
        keys, looked_at = output_keys(node), self._of_inputs(node)
        arrays = [self._new(key, *like(key)) for key in keys] if views is None else views
        for key in keys:
            if views is not None:
                self._buffers[key] = looked_at
            for raw in self._buffers[key]:
                self._reads_to_come[id(raw)] += self._reads[key]
        self._free_after(node, keys, looked_at)
        return arrays

    def nbytes(self) -> int:
        """Return the bytes of all buffers."""
        return self._pool.nbytes

    def _new(self, key: Key, shape: tuple[int, ...], dtype: Any) -> Array:
        raw = self._pool.take(bytes_of(shape, dtype))
        self._buffers[key] = [raw]
        return cut(raw, shape, dtype)

    def _free_after(self, node: Node, keys: Sequence[Key], looked_at: Sequence[Array]) -> None:
        """Free what is read no more once `node` has run."""
        for entry in node.inputs:
            for raw in self._buffers.get((id(entry.node), entry.index), ()):
                self._reads_to_come[id(raw)] -= 1
        own = [raw for key in keys for raw in self._buffers[key]]
        for raw in _each_once([*looked_at, *own]):
            if self._reads_to_come[id(raw)] == 0:
                self._pool.give_back(raw)

    def _of_inputs(self, node: Node) -> list[Array]:
        """Return the buffers that the inputs of a node may lie in; variables have their own."""
        keys = [(id(entry.node), entry.index) for entry in node.inputs]
        return _each_once([raw for key in keys for raw in self._buffers.get(key, ())])


def output_keys(node: Node) -> list[Key]:
    """Return the keys of a node's outputs."""
    return [(id(node), index) for index in range(len(node.operator.outputs()))]


def _each_once(arrays: Sequence[Array]) -> list[Array]:
    return list({id(array): array for array in arrays}.values())
