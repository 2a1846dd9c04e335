"""Classes of the user's own go on as well: whatever they count, collect or draw."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resume_runs import NETWORK, compare_all, no_disk
from trainer_runs import Notes, write_config

from mxtrain import lr_scheduler, metric, op, optimizer
from mxtrain.config import load
from mxtrain.settings import Declared
from mxtrain.trainer.attributes import Attributes
from mxtrain.trainer.run import fit

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]

PLUGIN = '''
import random
import subprocess
import sys
from collections import deque

import numpy as np

import mxtrain.random
from mxtrain import lr_scheduler, metric, optimizer


class Average:
    """A helper object with attributes of its own."""

    def __init__(self):
        self.total, self.count = 0.0, 0


@optimizer.register()
class Restless(optimizer.Optimizer):
    """Classic: states in every form, attributes of every kind, numbers from every generator."""

    def __init__(self, noise=0.01, **kwargs):
        super().__init__(**kwargs)
        self.noise = noise
        self.calls = 0
        self.norms = []
        self.recent = deque(maxlen=3)
        self.by_index = {}
        self.average = Average()
        self.generator = np.random.default_rng(5)
        self.legacy = np.random.RandomState(6)
        self.seen = set()

    def create_state(self, index, weight):
        return [np.zeros_like(weight), (None, {"age": 0, "largest": float("-inf")})]

    def update(self, index, weight, grad, state):
        self._update_count(index)
        self.calls += 1
        norm = float(np.sqrt((np.asarray(grad) ** 2).sum()))
        self.norms.append(norm)
        self.recent.append(np.float32(norm))
        self.by_index[index] = np.array([norm, self.calls])
        self.average.total += norm
        self.average.count += 1
        self.seen.add((index, "seen"))
        self.lr *= 0.999
        mean, (_, notes) = state
        notes["age"] += 1
        notes["largest"] = max(notes["largest"], norm)
        mean[:] = 0.9 * mean + grad
        drawn = self.generator.normal() + self.legacy.normal() + np.random.normal()
        drawn += random.random() + mxtrain.random.generator().normal()
        scale = self._get_lr(index) * (1 + 0.01 * notes["age"] / (1 + sum(self.recent)))
        scale *= 1 + 0.001 * (self.average.total / self.average.count - len(self.seen))
        weight[:] -= scale * mean / (1 + self.norms[0]) + self.noise * 1e-3 * drawn


@lr_scheduler.register
class Stateful(lr_scheduler.LRScheduler):
    """As MXNet's own were: base_lr falls for good when the count passes a step."""

    def __init__(self, step=3, factor=0.8, **kwargs):
        super().__init__(**kwargs)
        self.step, self.factor, self.count = step, factor, 0
        self.inner = lr_scheduler.FactorScheduler(step=2, factor=0.9)

    def __call__(self, num_update):
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            self.inner.base_lr *= 0.99
        return self.base_lr * (1 + self.inner(num_update))


@metric.register
class Memory(metric.EvalMetric):
    """Keeps values in attributes that reset() clears, and one that it does not."""

    def __init__(self, name="memory", **kwargs):
        self.epochs = 0
        super().__init__(name, **kwargs)

    def reset(self):
        super().reset()
        self.values = []
        self.largest = None
        self.epochs += 1

    def update(self, labels, preds):
        for pred in preds:
            self.values.append(np.asarray(pred).max(axis=0))
            self.largest = max(float(np.max(pred)), self.largest or 0.0)
        self.sum_metric = float(sum(v.sum() for v in self.values)) * self.largest + self.epochs
        self.num_inst = len(self.values)
'''


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test registers be forgotten after it."""
    for module in (optimizer, lr_scheduler, metric):
        for name in ("_classes", "_aliases"):
            monkeypatch.setattr(module.registry, name, dict(getattr(module.registry, name)))


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return NETWORK.replace("seed: 3", "seed: 3\nplugins: [plugin.py]")


def test_own_optimizer(tmp_path: Path, text: str) -> None:
    assert compare_all(tmp_path, "optimizer={name: restless, learning_rate: 0.01}", text=text) == 6


@pytest.mark.parametrize(
    "schedule",
    [
        "{name: stateful, factor: 0.7}",
        "{name: chain, schedules: [{name: stateful, step: 2}, stateful], updates: [6]}",
    ],
)
def test_own_scheduler(tmp_path: Path, text: str, schedule: str) -> None:
    assert compare_all(tmp_path, f"lr_scheduler={schedule}", text=text) == 6


def test_own_metric(tmp_path: Path, text: str) -> None:
    assert compare_all(tmp_path, "fit.metrics=[memory]", text=text) == 6


class Helper:
    def __init__(self) -> None:
        self.count = 0


class Mine(Declared):
    def __init__(self) -> None:
        self.number, self.text, self.kept = 1, "a", [1.0, np.arange(3)]
        self.helper, self.helpers = Helper(), {"x": [Helper()]}
        self.function = len
        self.same = self.helper


def test_only_what_changed_is_stored() -> None:
    mine = Mine()
    attributes = Attributes(mine)
    assert attributes.state() == {}
    mine.number, mine.helpers["x"][0].count, mine.late = 2, 5, deque([1])  # type: ignore[attr-defined]  # made late
    mine.kept[1][0] = 7  # type: ignore[index]  # an array
    state = attributes.state()
    assert list(state) == ["", "helpers['x'][0]"]
    assert list(state[""]["changed"]) == ["number", "kept", "late"]
    other = Mine()
    followed = Attributes(other)
    other.text, other.gone = "changed", 3  # type: ignore[attr-defined]  # made late
    followed.set_state(state)
    assert (other.number, other.text, other.late) == (2, "a", deque([1]))  # type: ignore[attr-defined]  # made late
    assert other.kept[1].tolist() == [7, 1, 2]  # type: ignore[union-attr]  # an array
    assert other.helpers["x"][0].count == 5
    assert not hasattr(other, "gone")
    assert other.kept[1] is not mine.kept[1]


def test_objects_of_another_class_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no object 'inner\.x'"):
        Attributes(Mine()).set_state({"inner.x": {"changed": {}, "extra": {}}})
    with pytest.raises(ValueError, match="cannot have the attribute '__class__'"):
        Attributes(Mine()).set_state({"": {"changed": {"__class__": 1}, "extra": {}}})


class WithHooks:
    def __init__(self) -> None:
        self.hidden = iter([3, 4, 5])
        self.taken: Any = lambda: 0

    def extra_state(self) -> dict[str, Any]:
        return {"left": self.hidden.__length_hint__()}  # type: ignore[attr-defined]  # of lists

    def set_extra_state(self, values: dict[str, Any]) -> None:
        self.hidden = iter([3, 4, 5][-values["left"] :])


def test_what_attributes_do_not_tell_a_class_tells_itself() -> None:
    mine, other = WithHooks(), WithHooks()
    next(mine.hidden)
    Attributes(other).set_state(Attributes(mine).state())
    assert list(other.hidden) == [4, 5]


def test_what_cannot_be_stored_is_named() -> None:
    mine = WithHooks()
    attributes = Attributes(mine)
    assert attributes.not_stored() == ["WithHooks.hidden (list_iterator)"]
    mine.taken = complex(1, 2)
    assert attributes.not_stored()[1] == "WithHooks.taken (complex)"


ITERATOR = """
import itertools
from mxtrain import optimizer


@optimizer.register()
class Counting(optimizer.Optimizer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.numbers = itertools.count()

    def create_state(self, index, weight):
        return {STATE}

    def update(self, index, weight, grad, state):
        next(self.numbers)
        weight[:] -= 0.01 * grad
"""


@pytest.mark.parametrize(
    ("state", "told", "resumable"),
    [
        (
            "None",
            "checkpoints do not hold Counting.numbers (count): a resumed run may differ",
            True,
        ),
        ("object()", "this run cannot be resumed, only its weights are saved: ", False),
    ],
)
def test_a_run_says_once_what_its_checkpoints_lack(
    tmp_path: Path, state: str, told: str, resumable: bool
) -> None:
    (tmp_path / "own.py").write_text(ITERATOR.replace("{STATE}", state))
    text = NETWORK.replace("seed: 3", "seed: 3\nplugins: [own.py]")
    notes = Notes()
    config = write_config(tmp_path, text)
    result = fit(load(config, ["optimizer=counting"]), notes, output=tmp_path / "run")
    assert result.status == "done"
    assert sum(told in text for text in notes.texts) == 1
    assert told in (tmp_path / "run" / "log.txt").read_text()
    assert (tmp_path / "run" / "model-0003.safetensors").exists() == resumable
    assert (tmp_path / "run" / "model-0003.params").exists()


OPERATOR = '''
from mxtrain.op.base import Operator, register


@register("halve")
class Halve(Operator):
    """Half of it."""

    def forward(self, call):
        call.emit(call.xp.multiply, call.inputs[0], call.constant(0.5), call.outputs[0])

    def backward(self, call):
        call.emit(call.xp.multiply, call.heads[0], call.constant(0.5), call.grads[0])
'''


def test_a_model_with_an_operator_of_the_users_is_opened_with_the_runs_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(op.registry, "_classes", dict(op.registry._classes))  # forget it again
    (tmp_path / "halve.py").write_text(OPERATOR)
    text = NETWORK.replace("seed: 3", "seed: 3\nplugins: [halve.py]")
    node = "  - {op: SoftmaxOutput"
    config = write_config(tmp_path, text.replace(node, f"  - {{op: halve, name: half}}\n{node}"))
    folder = fit(load(config), Notes(), output=tmp_path / "run").output
    code = (
        "import sys\nfrom pathlib import Path\nfrom mxtrain.trainer.saved import open_model\n"
        "print(open_model(Path(sys.argv[1])).symbol.list_outputs())"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "['softmax_output']\n"), done.stderr
