"""Settings out of range are refused, from Python and from a config; what MXNet was given is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Ge

import mxtrain as mx
from mxtrain.config import ConfigErrors, load
from mxtrain.optimizer import Optimizer
from mxtrain.settings import Setting, check_ranges
from mxtrain.settings import settings as settings_of

GOLDEN = Path(__file__).parents[1] / "golden"
REGISTRIES = {
    "optimizer": mx.opt.registry,
    "initializer": mx.init.registry,
    "lr_scheduler": mx.lr_scheduler.registry,
}
# For each bound its sign, and what to add to get out of range.
BOUNDS = {"ge": (">=", -1), "gt": (">", 0), "le": ("<=", 1), "lt": ("<", 0)}


def bounds_of(setting: Setting) -> list[tuple[str, Any]]:
    """The bounds of a setting that is a number, such as ("ge", 0)."""
    return [
        (key, getattr(constraint, key))
        for constraint in setting.constraints
        for key in BOUNDS
        if getattr(constraint, key, None) is not None and "list" not in str(setting.plain_type)
    ]


WRONG = [
    pytest.param(kind, name, setting, key, bound, id=f"{name}-{setting.name}-{key}")
    for kind, registry in REGISTRIES.items()
    for name in registry.names()
    for setting in settings_of(registry.get(name))
    for key, bound in bounds_of(setting)
]
CONFIG = """\
data: {train: {path: train.csv, label: y}, batch_size: 2}
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
fit: {num_epoch: 1}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    (folder / "train.csv").write_text("x,y\n1,0\n2,1\n3,0\n4,1\n")
    (folder / "config.yaml").write_text(CONFIG)
    return folder / "config.yaml"


def right_values(cls: type[Any]) -> dict[str, Any]:
    """Values for the settings that a class cannot do without."""
    given = {"init": "uniform", "mode": "lstm", "factor": 0.5, "schedules": ["constant"]}
    given["step"] = [2] if "Multi" in cls.__name__ else 2
    given["updates"] = [2]
    return {s.name: given.get(s.name, 10) for s in settings_of(cls) if s.required}


@pytest.mark.parametrize(("kind", "name", "setting", "key", "bound"), WRONG)
def test_out_of_range(
    kind: str, name: str, setting: Setting, key: str, bound: Any, config: Path
) -> None:
    cls = REGISTRIES[kind].get(name)
    sign, further = BOUNDS[key]
    value = bound + further
    given = right_values(cls) | {setting.name: value}
    with pytest.raises(ValueError, match="should be") as caught:
        cls(**given)
    text = str(caught.value)
    assert text.startswith(f"{cls.__name__}: {setting.name}={value} should be ")
    assert f"{sign} {bound}" in text

    with pytest.raises(ConfigErrors) as refused:
        load(config, [f"{kind}={json.dumps({'name': name, **given})}"])
    lines = [line for line in str(refused.value).splitlines() if setting.name in line]
    assert len(lines) == 1
    if setting.name == "begin_num_update":
        assert "set by the run" in lines[0]
    else:
        assert f"received {value}" in lines[0] and f" {bound}" in lines[0]


def test_how_many_ranges_there_are() -> None:
    print(f"{len(WRONG)} bounds")
    assert len(WRONG) > 150


@pytest.mark.parametrize("name", mx.opt.registry.names())
def test_bounds_themselves_none_and_numpy_numbers_are_taken(name: str) -> None:
    cls = mx.opt.registry.get(name)
    for setting in settings_of(cls):
        for key, bound in bounds_of(setting):
            if key in ("ge", "le"):
                check_ranges(cls, {setting.name: bound})
                check_ranges(cls, {setting.name: np.int64(bound)})
    made = cls(learning_rate=np.float32(0.5), wd=np.float64(0), clip_gradient=0, rescale_grad=-1)
    assert (made.clip_gradient, made.rescale_grad) == (0, -1)
    with pytest.raises(ValueError, match=r"wd=np.float32\(-1.0\) should be >= 0"):
        cls(wd=np.float32(-1))
    with pytest.raises(ValueError, match="learning_rate=nan"):
        cls(learning_rate=float("nan"))
    made.lr = -1.0  # assigned later: computed with
    assert made.learning_rate == -1


def test_other_types_are_left_to_the_class() -> None:
    with pytest.raises(AssertionError, match="warmup_steps must be an int"):
        mx.lr_scheduler.FactorScheduler(step=1, warmup_steps=-1.5)


def test_types_that_cannot_be_read() -> None:
    class Odd(Optimizer):
        share: Annotated[float, Missing(0)] = 0.5  # type: ignore[name-defined]  # noqa: F821 (on purpose)

    with pytest.raises(TypeError, match=r"Odd.*'Missing' is not defined\); import"):
        Odd(share=0.5)
    assert Odd().share == 0.5


def test_an_own_class_gets_the_same_check() -> None:
    class Own(Optimizer):
        share: Annotated[float, Ge(0), "of something"] = 0.5

    with pytest.raises(ValueError, match=r"Own: share=-2 should be >= 0$"):
        Own(-2)


# -- no range refuses what a reference case computes with --------------------------------------


def recorded_settings() -> list[tuple[type[Any], dict[str, Any]]]:
    """All constructions of the recorded cases that succeed: class and arguments."""
    found: list[tuple[type[Any], dict[str, Any]]] = []
    schedulers = mx.lr_scheduler.registry
    for case in json.loads((GOLDEN / "optimizers" / "manifest.json").read_text())["cases"]:
        if case["kind"] == "optimizer":
            found.append((mx.opt.registry.get(case["optimizer"]), case["kwargs"]))
        if case.get("lr_scheduler"):
            scheduler = case["lr_scheduler"]
            found.append((schedulers.get(scheduler["class"]), scheduler["kwargs"]))
    for fit in json.loads((GOLDEN / "fits" / "fits.json").read_text())["fits"]:
        name, given = fit["optimizer"], fit["optimizer_params"] or {}
        if name in mx.opt.registry:
            found.append((mx.opt.registry.get(name), given))
    for case in json.loads((GOLDEN / "lr_schedulers.json").read_text())["cases"]:
        found.append((schedulers.get(case["class"]), case["kwargs"]))
    return found + recorded_initializers()


def recorded_initializers() -> list[tuple[type[Any], dict[str, Any]]]:
    """Every ``["name", {settings}]`` text among the facts of the initializers."""
    found = []
    decoder = json.JSONDecoder()
    content = json.loads((GOLDEN / "initializers.json").read_text())
    pending = [content]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, str) and item.startswith('["'):
            name, given = decoder.decode(item)
            if name in mx.init.registry:
                found.append((mx.init.registry.get(name), given))
    return found


def test_no_range_refuses_what_mxnet_computes_with() -> None:
    found = recorded_settings()
    for cls, given in found:
        check_ranges(cls, given)
    kinds = [sum(issubclass(c, k) for c, _ in found) for k in (Optimizer, mx.init.Initializer)]
    print(f"{len(found)} constructions, of {kinds[0]} optimizers and {kinds[1]} initializers")
    assert kinds[0] > 500 and kinds[1] > 20 and len(found) > 700
