"""An optimizer's update over weights of any number: mxtrain's backends, and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sides.base import Timed

import mxtrain as mx
from mxtrain import backend as backends

# Settings without which an optimizer would have no state to move.
SETTINGS = {
    "sgd": {"momentum": 0.9},
    "nag": {"momentum": 0.9},
    "dcasgd": {"momentum": 0.9},
    "lars": {"momentum": 0.9},
    "lbsgd": {"momentum": 0.9},
}
# Its own name and settings in PyTorch, where it computes the same up to the place of epsilon.
IN_TORCH = {
    "sgd": ("SGD", {"lr": 0.01, "momentum": 0.9}),
    "nag": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "rmsprop": ("RMSprop", {}),
}


def created(name: str) -> Any:
    """Return an optimizer of mxtrain."""
    return mx.optimizer.create(name, **SETTINGS.get(name, {}))


def arrays(size: int) -> tuple[Any, Any]:
    """Return weights and a gradient: a repeated pattern, since drawing 10^8 numbers takes long."""
    some = np.random.default_rng(5).standard_normal(min(size, 65536), np.float32)
    return np.resize(some, size), np.resize(some[::-1] * np.float32(0.01), size)


def states_of(name: str) -> int:
    """Return how many states as large as the weights an optimizer has (a matrix's for Muon)."""
    from mxtrain.optimizer.tracing import rule_of

    optimizer = created(name)
    if optimizer.has_rule:
        return len(rule_of(optimizer, decays=False).states)
    state = optimizer.create_state(0, mx.nd.zeros((4, 4)))
    kept = state if isinstance(state, tuple) else (state,)
    return sum(1 for array in kept if array is not None and array.size == 16)


class Update(Timed):
    """The update rule over one flat array, or the optimizer's own over a matrix.

    Parameters
    ----------
    name : the optimizer. size : how many weights. backend : where its formula runs.
    """

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return why a backend adds nothing."""
        name, _, backend = arguments
        if backend == "numpy" or created(name).has_rule:
            return ""
        return f"{name} has no formula to compile; NumPy computes it on every backend"

    def __init__(self, name: str, size: int, backend: str) -> None:
        optimizer = created(name)
        weight, grad = map(backends.get(backend).from_host, arrays(size))
        if optimizer.has_rule:
            from mxtrain.optimizer.rule import BoundRule, Slot

            self.step = BoundRule(optimizer, [Slot(0, 0, size)], weight, grad, backend).step
            return
        columns = 10 ** (len(str(size)) // 2)
        matrix, head = (mx.nd.array(a.reshape(-1, columns)) for a in (weight, grad))
        state = optimizer.create_state(0, matrix)
        self.step = lambda: optimizer.update(0, matrix, head, state)

    def steps(self, count: int) -> None:
        """Update so many times."""
        for _ in range(count):
            self.step()


class WithoutBlocks(Timed):
    """A rule on NumPy as one block: every operation passes over the whole arrays."""

    def __init__(self, name: str, size: int) -> None:
        from mxtrain.backend.blocks import Segment
        from mxtrain.optimizer.tracing import Layer, layer_row, rule_of

        optimizer = created(name)
        rule = rule_of(optimizer, decays=False)
        weight, grad = arrays(size)
        held = {"weight": weight, "grad": grad, **{s: np.zeros_like(weight) for s in rule.states}}
        flat = [held[name] for name in rule.arrays]
        self.segment = Segment(rule.program, flat, rule.targets, block=size)
        layer = Layer(0, optimizer.lr, 0.0, 1, weight, grad)
        self.row = layer_row(optimizer, rule.program.scalars, layer)

    def steps(self, count: int) -> None:
        """Update so many times."""
        for _ in range(count):
            self.segment.run(self.row)


class TorchUpdate(Timed):
    """PyTorch's optimizer of the same kind: fused where it has that, else over lists of tensors."""

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return what PyTorch lacks."""
        name = arguments[0]
        return "" if name in IN_TORCH else f"PyTorch has no {name}"

    def __init__(self, name: str, size: int) -> None:
        import torch

        weight, grad = (torch.from_numpy(array) for array in arrays(size))
        parameter = torch.nn.Parameter(weight)
        parameter.grad = grad
        kind, settings = IN_TORCH[name]
        make = getattr(torch.optim, kind)
        try:
            self.optimizer = make([parameter], fused=True, **settings)
        except (TypeError, RuntimeError):  # it has no fused form
            self.optimizer = make([parameter], foreach=True, **settings)

    def steps(self, count: int) -> None:
        """Update so many times."""
        step = self.optimizer.step
        for _ in range(count):
            step()
