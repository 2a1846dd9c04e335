"""The plan of one batch size as the loop uses it: buffers to fill, programs to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mxtrain.executor.plan import Program
from mxtrain.trainer.errors import SetupError

if TYPE_CHECKING:
    from mxtrain.executor import Executor
    from mxtrain.trainer.build import Network

Array = np.ndarray[Any, Any]
Run = Callable[[Program], None]


class Weighted(NamedTuple):
    """The factors of classes, the labels of a batch as floats and numbers, each row's factor."""

    classes: Array
    label: Array
    number: Array
    rows: Array


class BoundBatch:
    """A batch size: its input buffers, its outputs, and one training or prediction pass.

    The passes run the executor's programs without its checks of arguments, which cost a small
    network several per cent; floating-point warnings are the caller's to silence.

    Parameters
    ----------
    built : the module with its outputs and labels.
    rows : the batch size.
    class_weights : factors of the classes by label input.
    run : runs a program; a profile puts its timer here.
    learns : whether there are training passes; without them it takes less memory.
    scales : whether losses may start other gradients than their own (`scale`).

    Attributes
    ----------
    data, labels : the input buffers.
    outputs : of the heads, in order.
    measured : what is measured: outputs, then labels.
    looked_at : flat views of what decides whether the losses are finite.
    weighs_classes : whether classes have factors.
    empty : makes arrays where those of the batch are, by shape and type.
    """

    def __init__(
        self,
        built: Network,
        rows: int,
        class_weights: Mapping[str, Array],
        run: Run = Program.run,
        learns: bool = True,
        scales: bool = False,
    ) -> None:
        self.rows, self._run = rows, run
        self.executor: Executor = built.module.executor_for(rows, learns)
        arguments = {name: np.asarray(a) for name, a in self.executor.arg_dict.items()}
        outputs = {name: np.asarray(a) for name, a in self.executor.output_dict.items()}
        self.empty = self.executor.plan.backend.empty
        self.data = arguments["data"]
        self.labels = [arguments[name] for name in built.labels]
        self.outputs = [outputs[head.output] for head in built.heads]
        self.measured = [*self.outputs, *self.labels]
        values = [arguments[h.label] for h in built.heads if h.label and not h.classifies]
        self.looked_at = [array.reshape(-1) for array in (*self.outputs, *values)]
        self._random = self.executor.random
        self._weighted = [
            self._weigh(class_weights[head.label], arguments[head.label], head.node)
            for head in built.heads
            if head.classifies and head.label is not None and head.label in class_weights
        ]
        self.weighs_classes = bool(self._weighted)
        weighted = [one.rows for one in self._weighted]
        self._scaled = self._factors_beside(weighted) if scales else []
        self._factor = 1.0
        self._train: Program | None = None
        self._backward: Program | None = None
        self._predict: Program | None = None

    def _weigh(self, classes: Array, label: Array, node: str) -> Weighted:
        factors = self.executor.weigh_rows(node)
        number = np.empty(label.size, np.intp)
        return Weighted(classes.astype(factors.dtype), label.reshape(-1), number, factors)

    def _factors_beside(self, weighted: Sequence[Array]) -> list[Array]:
        """Return the factors of all rows at which a gradient starts, but for the `weighted` ones.

        A loss may also start one in the midst of the network.
        """
        starts = [
            self.executor.weigh_rows(node.name)
            for node in self.executor.plan.order
            if not node.is_variable and node.operator.is_loss and not node.operator.uses_head
        ]
        return [one for one in starts if all(one is not other for other in weighted)]

    def scale(self, factor: float) -> None:
        """Let the losses start `factor` times their gradients from now on."""
        if factor != self._factor:
            self._factor = factor
            for factors in self._scaled:
                factors.fill(factor)

    def programs(self) -> tuple[Program, Program]:
        """Return the programs of a training pass, forward and backward."""
        return self.executor.plan.forward(True), self.backward_program()

    def forward(self) -> None:
        """Compute the outputs in training mode."""
        if self._train is None:
            self._train = self.executor.plan.forward(True)
        self._random.advance(True)
        self._run(self._train)

    def backward(self) -> None:
        """Compute the gradients of the latest `forward`."""
        if self._backward is None:
            self._backward = self.backward_program()
        for weights, label, number, factors in self._weighted:
            np.copyto(number, label, "unsafe")
            weights.take(number, 0, factors, "clip")
            if self._factor != 1.0:
                np.multiply(factors, self._factor, factors)
        self._run(self._backward)

    def predict(self) -> None:
        """Compute the outputs in prediction mode."""
        if self._predict is None:
            self._predict = self.executor.plan.forward(False)
        self._random.advance(False)
        self._run(self._predict)

    def seems_finite(self) -> bool:
        """Whether outputs and values to learn are so small that every loss of them is finite.

        Told from the sums of their squares. False only asks for a closer look.
        """
        for flat in self.looked_at:
            total = np.dot(flat, flat)
            if total - total != 0.0:
                return False
        return True

    def backward_program(self) -> Program:
        """Return the program of the backward pass (SetupError: an output that is no loss)."""
        program, slots = self.executor.plan.backward(True)
        for name, slot in zip(self.executor.output_dict, slots, strict=True):
            if slot is not None:
                raise SetupError(
                    f"the output '{name}' is no loss, so it has no gradient to start from; "
                    "end it with BlockGrad, or leave it out"
                )
        return program
