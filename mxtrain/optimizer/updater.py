"""`Updater`: applies an optimizer to numbered parameters and keeps their states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.optimizer.base import Optimizer, aggregation_size


class Updater:
    """A callable ``updater(index, grad, weight)``; the order is MXNet's.

    Takes one index with one gradient and one weight, or lists of equal length. States are made at
    the first sight of an index and kept in `states`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update one parameter, or several given as lists of equal length, in place."""
        if not isinstance(index, (list, tuple)):
            index, grad, weight = [index], [grad], [weight]
        self.optimizer._set_current_context(0)
        for one, value in zip(index, weight, strict=True):
            if one not in self.states:
                self.states[one] = self.optimizer.create_state_multi_precision(one, value)
        for piece in self._pieces(weight):
            self._update_piece(
                [index[i] for i in piece], [weight[i] for i in piece], [grad[i] for i in piece]
            )

    def _pieces(self, weights: Sequence[Any]) -> list[list[int]]:
        """Group by dtype in order of first appearance and cut into pieces of the allowed size."""
        size = aggregation_size(self.optimizer)
        if size == 0:
            return [[i] for i in range(len(weights))]
        by_dtype: dict[str, list[int]] = {}
        for number, weight in enumerate(weights):
            by_dtype.setdefault(str(getattr(weight, "dtype", "")), []).append(number)
        return [
            group[start : start + size]
            for group in by_dtype.values()
            for start in range(0, len(group), size)
        ]

    def _update_piece(self, indices: list[Any], weights: list[Any], grads: list[Any]) -> None:
        states = [self.states[index] for index in indices]
        piece = (indices, weights, grads, states)
        if aggregation_size(self.optimizer) == 0:
            for item in zip(*piece, strict=True):
                self.optimizer.update_multi_precision(*item)
        else:
            self.optimizer.update_multi_precision(*map(tuple, piece))

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """Return the states as safetensors bytes.

        With `dump_optimizer` the optimizer's counters and `extra_state` as well: all that a run
        needs to continue with the same bits.
        """
        from mxtrain.checkpoint.states import dump_states

        optimizer = self.optimizer
        metadata: dict[str, Any] = {"optimizer": type(optimizer).__name__.lower()}
        if dump_optimizer:
            metadata["num_update"] = optimizer.num_update
            metadata["counts"] = list(optimizer._index_update_count.items())
            metadata["extra"] = optimizer.extra_state()
        return dump_states(self.states, metadata)

    def set_states(self, states: bytes) -> None:
        """Take states (and counters, if stored) from bytes that `get_states` returned.

        Raises FileFormatError for other bytes and MXNetError for those of another optimizer.
        """
        from mxtrain.checkpoint.states import load_states

        loaded, metadata = load_states(states)
        mine = type(self.optimizer).__name__.lower()
        if metadata.get("optimizer", mine) != mine:
            raise MXNetError(f"these are states of {metadata['optimizer']}, not of {mine}")
        self.states = loaded
        if "num_update" in metadata:
            self.optimizer.num_update = int(metadata["num_update"])
            counts = self.optimizer._index_update_count
            counts.clear()
            counts.update(metadata["counts"])
            self.optimizer.set_extra_state(metadata.get("extra", {}))


def get_updater(optimizer: Optimizer) -> Updater:
    """Return an updater for `optimizer`."""
    return Updater(optimizer)
