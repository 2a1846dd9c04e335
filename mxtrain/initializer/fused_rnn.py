"""FusedRNN: the flat parameter vector of a recurrent operator, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from annotated_types import Ge

from mxtrain.errors import CallError, ShapeError
from mxtrain.initializer.base import Initializer, create, register, registry
from mxtrain.initializer.names import InitDesc
from mxtrain.settings import Registered

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["FusedRNN"]

GATES = {
    "rnn_relu": ("",),
    "rnn_tanh": ("",),
    "lstm": ("_i", "_f", "_c", "_o"),
    "gru": ("_r", "_z", "_o"),
}
"""The gates of each mode, in their order in the vector."""


class Piece(NamedTuple):
    """The weight or bias of one gate: its name, shape and place in the vector."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        """Where the next piece starts."""
        return self.start + prod(self.shape)


@register
class FusedRNN(Initializer):
    r"""The parameters of the operator ``RNN``, which has all of its weights and biases in a vector.

    The vector is taken apart, and every piece is filled by `init` under a name of its own, such as
    ``l0_i2h_f_weight``: ``l`` or ``r`` (backward) with the number of the layer, ``i2h`` or ``h2h``,
    the gate, ``weight`` or ``bias``. Weights come first, layer by layer, direction by direction,
    the gates of ``i2h`` before those of ``h2h``; then the biases in the same order. Of an LSTM the
    pieces ending in ``_f_bias`` become `forget_bias`. It is a weight rule: a vector whose name does
    not end in ``weight`` gets it through its init attribute.

    Raises, when a vector is filled, ShapeError for one that has no whole number of inputs, and
    CallError where neither `init` nor the initializer of the network says how; ValueError, when
    made, for an unknown `mode`.

    Source: MXNet 1.9.1, initializer `fusedrnn`, whose text form with an `init` cannot be read back;
    here it can.

    >>> import numpy as np
    >>> vector = np.empty(26)
    >>> FusedRNN("one", num_hidden=2, num_layers=2, mode="rnn_relu")(InitDesc("x_weight"), vector)
    >>> vector.tolist() == [1.0] * 18 + [0.0] * 8
    True
    """

    init: Annotated[
        Any, Registered(registry, several=False), "fills the pieces; null: as the network's does"
    ]
    num_hidden: Annotated[int, Ge(1), "units of a layer"]
    num_layers: Annotated[int, Ge(1), "layers on top of each other"]
    mode: Annotated[Literal["rnn_relu", "rnn_tanh", "lstm", "gru"], "kind of cell"]
    bidirectional: Annotated[bool, "layers run forward and backward"] = False
    forget_bias: Annotated[float, "biases of the forget gate of an LSTM"] = 1.0

    def configure(self, values: dict[str, Any]) -> None:
        """Take the settings; `init` may be a name, a text, a mapping or an initializer."""
        if values["mode"] not in GATES:
            raise ValueError(f"mode is one of {', '.join(GATES)}, not {values['mode']!r}")
        init = values["init"]
        if isinstance(init, dict) and "name" in init:
            init = {"initializer" if key == "name" else key: init[key] for key in init}
        super().configure(values | {"init": init if init is None else create(init)})

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Say what fills the pieces."""
        inner = "the network's initializer" if self.init is None else type(self.init).__name__
        return f"{self.mode} parameters by {inner}"

    def _init_weight(self, name: str, array: Array) -> None:
        import numpy as np

        init = self.init
        network = getattr(name, "global_init", None)
        if init is None:
            init = None if network is self else network
        if init is None:
            raise CallError(
                f"FusedRNN has no init to fill the pieces of '{name}' with, and no initializer of "
                "a network was given; give it one, such as FusedRNN(Xavier(), ...)"
            )
        for piece in self.pieces(array.shape, name):
            filled = np.empty(piece.shape, array.dtype)
            if self.mode == "lstm" and piece.name.endswith("_f_bias"):
                filled[...] = self.forget_bias
            else:
                init(InitDesc(piece.name, global_init=network), filled)
            array[piece.start : piece.stop] = filled.reshape(-1)

    def pieces(self, shape: tuple[int, ...], name: str = "parameters") -> list[Piece]:
        """Return the pieces of a vector of this shape (ShapeError if it has no such pieces)."""
        inputs = self._inputs(shape, name)
        found: list[Piece] = []
        for layout in (self._weights(inputs), self._biases()):
            for piece, piece_shape in layout:
                found.append(Piece(piece, piece_shape, found[-1].stop if found else 0))
        return found

    def _cells(self) -> Iterator[tuple[int, str]]:
        for layer in range(self.num_layers):
            for direction in "lr" if self.bidirectional else "l":
                yield layer, f"{direction}{layer}"

    def _weights(self, inputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        hidden = self.num_hidden
        below = hidden * (2 if self.bidirectional else 1)
        for layer, cell in self._cells():
            for side, columns in (("i2h", below if layer else inputs), ("h2h", hidden)):
                for gate in GATES[self.mode]:
                    yield f"{cell}_{side}{gate}_weight", (hidden, columns)

    def _biases(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for _, cell in self._cells():
            for side in ("i2h", "h2h"):
                for gate in GATES[self.mode]:
                    yield f"{cell}_{side}{gate}_bias", (self.num_hidden,)

    def _inputs(self, shape: tuple[int, ...], name: str) -> int:
        """Return the number of inputs of the first layer, which the vector's length tells."""
        without = sum(prod(piece) for _, piece in (*self._weights(0), *self._biases()))
        per_input = len(GATES[self.mode]) * self.num_hidden * (2 if self.bidirectional else 1)
        inputs, rest = divmod(prod(shape) - without, per_input)
        if len(shape) != 1 or inputs < 1 or rest:
            raise ShapeError(
                f"FusedRNN fills a vector of {without} + {per_input} * inputs numbers for "
                f"mode {self.mode}, num_hidden {self.num_hidden}, num_layers {self.num_layers}; "
                f"'{name}' has shape {shape}"
            )
        return inputs
