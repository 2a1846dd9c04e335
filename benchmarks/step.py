"""The bare training step of relu networks, mxtrain on NumPy beside PyTorch eager, in turns.

    python benchmarks/step.py [ROUNDS]

A step copies a batch into the input buffers, runs forward and backward and updates the weights.
PyTorch uses its fused optimizers. Before anything is timed, both sides start from the same weights
and their losses and weights are compared after some steps on the same batches.

Each round times every side once, one after the other, with all cores and with one thread. Printed
are medians, and the ratio PyTorch / mxtrain of each round as median and quartiles: mxtrain as it
comes (all cores), PyTorch with whichever number of threads is faster for it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from machine import facts, usable_cores
from threadpoolctl import threadpool_limits

import mxtrain as mx

try:
    import torch
except ImportError:
    torch = None

MISSING = (
    "PyTorch is not installed, so mxtrain is timed alone; for the comparison make an\n"
    "environment of its own:\n"
    "    python -m venv torch-venv\n"
    "    torch-venv/bin/python -m pip install torch -e .\n"
    "    torch-venv/bin/python benchmarks/step.py\n"
)
BATCHES = 8
# Longer, and a unit that lies within rounding of zero falls on the other side of relu in one of the
# two; from there on they are different runs.
CHECKED_STEPS = 3 * BATCHES
TOLERANCE = 1e-4
WARM_UP = 20
BLOCK_SECONDS = 0.06
# Worker threads of OpenBLAS and OpenMP spin for a while after their last task; the next side
# to be timed should not share its core with them.
SETTLE_SECONDS = 0.04


class Case(NamedTuple):
    """A network, its batch, and the aim: how many times PyTorch's speed."""

    sizes: tuple[int, ...]
    batch: int
    aim: float


class Rule(NamedTuple):
    """An optimizer under both names."""

    name: str
    settings: dict[str, float]
    torch_name: str
    torch_settings: dict[str, Any]


class Batch(NamedTuple):
    """Rows and the class of each."""

    data: np.ndarray[Any, Any]
    label: np.ndarray[Any, Any]


CASES = (
    Case((20, 16, 2), 16, 6.0),
    Case((64, 128, 64, 10), 32, 3.0),
    Case((784, 512, 256, 10), 128, 1.0),
)
RULES = (
    Rule(
        "sgd",
        {"learning_rate": 0.01, "momentum": 0.9},
        "SGD",
        {"lr": 0.01, "momentum": 0.9, "fused": True},
    ),
    Rule("adam", {"learning_rate": 0.001}, "Adam", {"lr": 0.001, "fused": True}),
)


def make_batches(case: Case) -> list[Batch]:
    """Draw batches of noisy class centres.

    The second half repeats the rows of the first with half of the classes redrawn: no network can
    learn both, so the gradients stay of ordinary size however long the measurement takes.
    """
    generator = np.random.default_rng(1)
    classes, features = case.sizes[-1], case.sizes[0]
    centres = generator.standard_normal((classes, features), np.float32)
    batches: list[Batch] = []
    for _ in range(BATCHES // 2):
        label = generator.integers(0, classes, case.batch)
        noise = generator.standard_normal((case.batch, features), np.float32)
        batches.append(Batch(centres[label] + noise, label))
    for batch in batches[: BATCHES // 2]:
        redrawn = generator.integers(0, classes, case.batch)
        keep = np.arange(case.batch) % 2 == 0
        batches.append(Batch(batch.data, np.where(keep, batch.label, redrawn)))
    return batches


class MxtrainSide:
    """The network as a symbol, bound by a module."""

    name = "mxtrain"

    def __init__(self, case: Case, rule: Rule, batches: list[Batch]) -> None:
        self.module = mx.mod.Module(relu_network(case.sizes))
        self.module.bind(
            [("data", (case.batch, case.sizes[0]))], [("softmax_label", (case.batch,))]
        )
        mx.random.seed(1)
        self.module.init_params(mx.init.Xavier())
        self.module.init_optimizer(optimizer=rule.name, optimizer_params=dict(rule.settings))
        self.executor = self.module.executor
        self.data = np.asarray(self.executor.arg_dict["data"])
        self.label = np.asarray(self.executor.arg_dict["softmax_label"])
        self.batches = [(b.data, b.label.astype(np.float32)) for b in batches]

    def threads(self, count: int) -> AbstractContextManager[Any]:
        """Limit the matrix products to so many threads."""
        return threadpool_limits(count, user_api="blas")

    def steps(self, count: int) -> None:
        """Take training steps."""
        executor, module, data, label = self.executor, self.module, self.data, self.label
        for number in range(count):
            rows, classes = self.batches[number % BATCHES]
            np.copyto(data, rows)
            np.copyto(label, classes)
            executor.forward(True)
            executor.backward()
            module.update()

    def loss(self) -> float:
        """Return the cross-entropy of the latest batch before its update."""
        probability = np.asarray(self.executor.outputs[0])
        chosen = probability[np.arange(len(self.label)), self.label.astype(int)]
        return float(-np.log(chosen).mean())

    def weights(self) -> list[np.ndarray[Any, Any]]:
        """Return weight and bias of each layer, in order."""
        arguments = self.module.get_params()[0]
        names = [n for n in self.executor.arg_dict if n in arguments]
        return [arguments[name].asnumpy() for name in names]


def relu_network(sizes: tuple[int, ...]) -> Any:
    """Return a chain of FullyConnected and relu that ends in SoftmaxOutput."""
    value = mx.sym.Variable("data")
    for number, width in enumerate(sizes[1:-1]):
        value = mx.sym.FullyConnected(value, num_hidden=width, name=f"fc{number}")
        value = mx.sym.Activation(value, act_type="relu", name=f"relu{number}")
    value = mx.sym.FullyConnected(value, num_hidden=sizes[-1], name="out")
    return mx.sym.SoftmaxOutput(value, name="softmax")


class TorchSide:
    """The same network as `torch.nn.Sequential`, starting from given weights."""

    name = "PyTorch"

    def __init__(
        self, case: Case, rule: Rule, batches: list[Batch], weights: list[np.ndarray[Any, Any]]
    ) -> None:
        layers: list[Any] = []
        for width_in, width_out in zip(case.sizes[:-1], case.sizes[1:], strict=True):
            layers += [torch.nn.Linear(width_in, width_out), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers[:-1])
        with torch.no_grad():
            for parameter, value in zip(self.network.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(value))
        make = getattr(torch.optim, rule.torch_name)
        self.optimizer = make(self.network.parameters(), **rule.torch_settings)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.data = torch.zeros(case.batch, case.sizes[0])
        self.label = torch.zeros(case.batch, dtype=torch.int64)
        self.batches = [(torch.from_numpy(b.data), torch.from_numpy(b.label)) for b in batches]
        self.latest: Any = None

    def match_epsilon(self, updates: int) -> None:
        """Let the next update, the first after `updates`, compute MXNet's Adam.

        MXNet adds epsilon to the root of the running variance, PyTorch to the root of the corrected
        one, so PyTorch's epsilon is divided by the root of the correction. Without effect on SGD.
        """
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["eps"] = 1e-8 / (1 - group["betas"][1] ** (updates + 1)) ** 0.5

    def threads(self, count: int) -> AbstractContextManager[Any]:
        """Limit PyTorch to so many threads."""
        torch.set_num_threads(count)
        return nullcontext()

    def steps(self, count: int) -> None:
        """Take training steps."""
        network, optimizer, criterion = self.network, self.optimizer, self.criterion
        data, label = self.data, self.label
        loss = None
        for number in range(count):
            rows, classes = self.batches[number % BATCHES]
            data.copy_(rows)
            label.copy_(classes)
            optimizer.zero_grad()
            loss = criterion(network(data), label)
            loss.backward()
            optimizer.step()
        self.latest = loss

    def loss(self) -> float:
        """Return the cross-entropy of the latest batch before its update."""
        return float(self.latest.item())

    def weights(self) -> list[np.ndarray[Any, Any]]:
        """Return weight and bias of each layer, in order."""
        return [parameter.detach().numpy().copy() for parameter in self.network.parameters()]


Side = MxtrainSide | TorchSide


def make_sides(case: Case, rule: Rule) -> list[Side]:
    """Return both sides with the same weights and batches, or mxtrain alone."""
    batches = make_batches(case)
    own = MxtrainSide(case, rule, batches)
    if torch is None:
        return [own]
    return [own, TorchSide(case, rule, batches, own.weights())]


def check_agreement(case: Case, rule: Rule) -> str:
    """Train both sides alike; return the differences, or end the program if they are too large."""
    batches = make_batches(case)
    own = MxtrainSide(case, rule, batches)
    other = TorchSide(case, rule, batches, own.weights())
    losses = []
    for number in range(CHECKED_STEPS):
        other.match_epsilon(number)
        for side in (own, other):
            side.steps(1)
            side.batches.append(side.batches.pop(0))
        losses.append((own.loss(), other.loss()))
    loss_gap = max(abs(a - b) / b for a, b in losses)
    weight_gap = max(
        float(np.abs(a - b).max()) for a, b in zip(own.weights(), other.weights(), strict=True)
    )
    first, last = losses[0][0], losses[-BATCHES][0]  # of the same batch
    text = (
        f"{label_of(case):<22}{rule.name:<6}loss {first:.4f} -> {last:.4f}, at most "
        f"{loss_gap:.0e} apart (relative); weights {weight_gap:.0e}"
    )
    if not (loss_gap < TOLERANCE and weight_gap < TOLERANCE and last < first):
        sys.exit(f"the two sides do not train alike (at most {TOLERANCE} is allowed)\n{text}")
    return text


@dataclass
class Contender:
    """A side with a number of threads, and the seconds per step of each round."""

    side: Side
    threads: int
    steps: int
    seconds: list[float]

    def median(self) -> float:
        """Return the median seconds per step."""
        return statistics.median(self.seconds)


def calibrated(side: Side, threads: int) -> Contender:
    """Choose the number of steps that lasts about one block."""
    with side.threads(threads):
        side.steps(WARM_UP)
        took = seconds(lambda: side.steps(WARM_UP)) / WARM_UP
    return Contender(side, threads, max(BATCHES, int(BLOCK_SECONDS / took)), [])


def seconds(action: Callable[[], None]) -> float:
    """Return how long an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def time_once(contender: Contender) -> None:
    """Time one block of steps, after a pause and a short warm-up."""
    time.sleep(SETTLE_SECONDS)
    side, steps = contender.side, contender.steps
    with side.threads(contender.threads):
        side.steps(max(2, steps // 10))
        contender.seconds.append(seconds(lambda: side.steps(steps)) / steps)


def measure(case: Case, rule: Rule, rounds: int) -> list[Contender]:
    """Time every side with every number of threads, in turns."""
    counts = sorted({usable_cores(), 1}, reverse=True)
    contenders = [calibrated(side, n) for side in make_sides(case, rule) for n in counts]
    for _ in range(rounds):
        for contender in contenders:
            time_once(contender)
    return contenders


def row(case: Case, rule: Rule, contenders: list[Contender]) -> str:
    """Return the table row of a measured case."""
    times = "".join(f"{c.median() * 1e6:11.1f}" for c in contenders)
    text = f"{label_of(case):<22}{rule.name:<6}{times}"
    others = [c for c in contenders if c.side.name == TorchSide.name]
    if not others:
        return text
    best = min(others, key=Contender.median)
    ratios = [b / a for a, b in zip(contenders[0].seconds, best.seconds, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{text}{middle:9.2f}{f'{low:.2f}-{high:.2f}':>13}{case.aim:6.0f}"


def heading(contenders: list[Contender]) -> str:
    """Return the line above the table."""
    columns = "".join(f"{f'{c.side.name}/{c.threads}':>11}" for c in contenders)
    ratio = f"{'ratio':>9}{'quartiles':>13}{'aim':>6}" if torch is not None else ""
    return f"{'network':<22}{'':<6}{columns}{ratio}"


def label_of(case: Case) -> str:
    """Return sizes and batch as text."""
    return f"{'-'.join(map(str, case.sizes))} x{case.batch}"


def main(rounds: int) -> None:
    """Print the machine, the agreement of both sides, and the table."""
    packages = ["numpy"] if torch is None else ["numpy", "torch"]
    print(facts(packages))
    if torch is None:
        print(f"\n{MISSING}")
    else:
        print(f"\nBoth sides over {CHECKED_STEPS} steps from the same weights:")
        for case in CASES:
            for rule in RULES:
                print(check_agreement(case, rule))
    print(f"\nMicroseconds per step, median of {rounds} rounds; name/threads:")
    for number, case in enumerate(CASES):
        for rule in RULES:
            contenders = measure(case, rule, rounds)
            if number == 0 and rule is RULES[0]:
                print(heading(contenders))
            print(row(case, rule, contenders), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 31)
