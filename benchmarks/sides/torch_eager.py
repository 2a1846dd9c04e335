"""PyTorch eager: `nn.Sequential`, cross-entropy and fused optimizers."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import Any

import torch
from cases import Task

from sides.base import Side


class TorchEager(Side):
    """A network of Linear and ReLU with given weights."""

    device = "cpu"

    def __init__(self, task: Task) -> None:
        self.network = network_of(task).to(self.device)
        self.optimizer = optimizer_of(task, self.network.parameters())
        self.criterion = torch.nn.CrossEntropyLoss()
        self.forward = lambda data, label: self.criterion(self.network(data), label)
        rows = task.network.batch
        self.data = torch.zeros(rows, task.network.sizes[0], device=self.device)
        self.label = torch.zeros(rows, dtype=torch.int64, device=self.device)
        tensors = [[torch.from_numpy(array) for array in batch] for batch in task.batches()]
        self.batches = cycle([[t.to(self.device) for t in batch] for batch in tensors])

    def steps(self, count: int) -> None:
        """Take steps."""
        forward, optimizer, data, label = self.forward, self.optimizer, self.data, self.label
        for _, (rows, classes) in zip(range(count), self.batches, strict=False):
            data.copy_(rows)
            label.copy_(classes)
            optimizer.zero_grad()
            self.latest = forward(data, label)
            self.latest.backward()
            optimizer.step()

    def losses(self, count: int) -> list[float]:
        """Take steps and return the loss of each."""
        found = []
        groups = self.optimizer.param_groups
        before = [group.get("eps") for group in groups]
        for number in range(count):
            for group in groups:
                if "betas" in group:
                    group["eps"] = epsilon_of_update(number, group["betas"][1])
            self.steps(1)
            found.append(float(self.latest.item()))
        for group, epsilon in zip(groups, before, strict=True):
            if epsilon is not None:
                group["eps"] = epsilon
        return found


def network_of(task: Task) -> Any:
    """Return the network with the task's weights."""
    layers: list[Any] = []
    for inputs, outputs in pairwise(task.network.sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    values = [array for layer in task.weights() for array in layer]
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(value))
    return network


def optimizer_of(task: Task, parameters: Any) -> Any:
    """Return the fused optimizer of the task's rule."""
    if task.rule.name == "sgd":
        momentum = task.rule.momentum
        return torch.optim.SGD(parameters, lr=task.rate, momentum=momentum, fused=True)
    return torch.optim.Adam(parameters, lr=task.rate, fused=True)


def epsilon_of_update(updates: int, beta2: float) -> float:
    """Return the epsilon with which the first update after `updates` is MXNet's Adam.

    MXNet adds epsilon to the root of the running variance, PyTorch to the root of the corrected
    one, so PyTorch's epsilon is divided by the root of the correction.
    """
    return float(1e-8 / (1 - beta2 ** (updates + 1)) ** 0.5)
