"""mxtrain, step by step: forward, backward and update of an executor."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from cases import Network, Task, cross_entropy

import mxtrain as mx
from mxtrain import backend as backends
from sides.base import Side


def relu_network(network: Network) -> Any:
    """Return the network as a symbol."""
    value = mx.sym.Variable("data")
    for number, width in enumerate(network.sizes[1:-1]):
        value = mx.sym.FullyConnected(value, num_hidden=width, name=f"fc{number}")
        value = mx.sym.Activation(value, act_type="relu", name=f"relu{number}")
    value = mx.sym.FullyConnected(value, num_hidden=network.sizes[-1], name="out")
    return mx.sym.SoftmaxOutput(value, name="softmax")


def bound_module(task: Task, backend: str) -> Any:
    """Return a module with the task's weights and optimizer."""
    network = task.network
    module = mx.mod.Module(relu_network(network), backend=backend)
    rows = network.batch
    module.bind([("data", (rows, network.sizes[0]))], [("softmax_label", (rows,))])
    names = [f"fc{number}" for number in range(len(network.sizes) - 2)] + ["out"]
    given: dict[str, Any] = {}
    for name, (weight, bias) in zip(names, task.weights(), strict=True):
        given |= {f"{name}_weight": mx.nd.array(weight), f"{name}_bias": mx.nd.array(bias)}
    module.init_params(None, arg_params=given)
    settings = {"learning_rate": task.rate, **task.rule.settings}
    module.init_optimizer(optimizer=task.rule.name, optimizer_params=settings)
    return module


class MxtrainStep(Side):
    """A bound module whose executor is called step by step."""

    backend = "numpy"

    def __init__(self, task: Task) -> None:
        self.module = bound_module(task, self.backend)
        self.executor = self.module.executor
        self.data = np.asarray(self.executor.arg_dict["data"])
        self.label = np.asarray(self.executor.arg_dict["softmax_label"])
        self.batches = cycle([(b.data, b.label.astype(np.float32)) for b in task.batches()])

    def steps(self, count: int) -> None:
        """Take steps."""
        executor, module, data, label = self.executor, self.module, self.data, self.label
        for _, (rows, classes) in zip(range(count), self.batches, strict=False):
            np.copyto(data, rows)
            np.copyto(label, classes)
            executor.forward(True)
            executor.backward()
            module.update()

    def losses(self, count: int) -> list[float]:
        """Take steps and return the loss of each."""
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(cross_entropy(np.asarray(self.executor.outputs[0]), self.label))
        return found


class NumpyStep(MxtrainStep):
    """On the NumPy backend."""


class NumbaStep(MxtrainStep):
    """On the Numba backend."""

    backend = "numba"


class CupyStep(MxtrainStep):
    """On the CuPy backend."""

    backend = "cupy"

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return why there is no GPU to run on."""
        return backends.problem(cls.backend)
