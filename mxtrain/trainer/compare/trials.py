"""Which optimizers are tried, with which settings and learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mxtrain import optimizer as optimizers
from mxtrain.config import plugins
from mxtrain.config.problem import Mark, Problems
from mxtrain.config.spec import CompareSpec, Component
from mxtrain.errors import unknown_name
from mxtrain.trainer.compare.report import Trial
from mxtrain.trainer.errors import SetupError

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec


def make_trials(
    spec: RunSpec, names: Sequence[str] | None = None, rates: Sequence[float] | None = None
) -> list[Trial]:
    """Return what is tried, each combination once.

    Parameters
    ----------
    spec : its `compare` gives optimizers with settings, and learning rates for those of them that
        have none of their own. The optimizer of the run itself keeps its settings.
    names : try these instead: as the config has them, else at their defaults. By default, and
        where `compare` names none either, every registered optimizer is tried.
    rates : learning rates that every optimizer is tried with, whatever the config says.

    Raises SetupError for an unknown name.
    """
    given = spec.compare or CompareSpec()
    chosen = _components(spec, given, names)
    trials = []
    for component, has_own_rate in chosen:
        tried = rates or (() if has_own_rate else given.rates)
        for one in _with_rates(component, tried):
            trials.append(Trial(_label(one), one, _rate(one)))
    return list({repr(trial): trial for trial in trials}.values())


def _components(
    spec: RunSpec, given: CompareSpec, names: Sequence[str] | None
) -> list[tuple[Component, bool]]:
    """Return optimizers, and whether each has a learning rate of its own."""
    listed = [(one, "learning_rate" in one.settings) for one in given.optimizers]
    if names is None and listed:
        return listed
    found: list[tuple[Component, bool]] = []
    for name in all_names() if names is None else [registered(name) for name in names]:
        here = [entry for entry in listed if entry[0].name == name]
        own = spec.optimizer if spec.optimizer.name == name else Component(name)
        found += here or [(own, False)]
    return found


def all_names() -> list[str]:
    """Return every registered optimizer, those of installed plugins included."""
    _load_installed()
    return optimizers.registry.names()


def registered(name: str) -> str:
    """Return the registered name of the optimizer `name`; SetupError where there is none."""
    registry = optimizers.registry
    if name not in registry:
        _load_installed()
    if name not in registry:
        raise SetupError(unknown_name("optimizer", name, registry.spellings()))
    return registry.name_of(registry.get(name))


def _load_installed() -> None:
    problems = Problems()
    plugins.load_installed(problems, Mark("compare"))
    problems.raise_if_any()


def _with_rates(component: Component, rates: Sequence[float]) -> list[Component]:
    """Return the optimizer with each of the rates, once where it uses none."""
    if not rates or not getattr(optimizers.registry.get(component.name), "uses_rate", True):
        return [component]
    settings = component.settings
    return [replace(component, settings={**settings, "learning_rate": rate}) for rate in rates]


def _rate(component: Component) -> float | None:
    """Return the rate in force, None where the optimizer uses none or cannot be made."""
    cls: Any = optimizers.registry.get(component.name)
    if not getattr(cls, "uses_rate", True):
        return None
    if "learning_rate" in component.settings:
        return float(component.settings["learning_rate"])
    try:
        return float(cls(**component.settings).learning_rate)
    except Exception:  # a user's class may raise anything; the trial itself says what it was
        return None


def _label(component: Component) -> str:
    """Return the name with the settings given, but for the rate: ``sgd momentum=0.9``."""
    settings = component.settings.items()
    shown = (f"{key}={_short(value)}" for key, value in settings if key != "learning_rate")
    return " ".join([component.name, *shown])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def spec_of(spec: RunSpec, trial: Trial) -> RunSpec:
    """Return the run of a trial: the same but for optimizer, and the schedule's base rate."""
    scheduler, component = spec.lr_scheduler, trial.optimizer
    if trial.rate is not None and scheduler is not None:
        settings = {**component.settings, "learning_rate": trial.rate}
        component = replace(component, settings=settings)
        if "base_lr" in scheduler.settings:  # else the optimizer gives it its rate
            scheduler = replace(scheduler, settings={**scheduler.settings, "base_lr": trial.rate})
    return replace(spec, optimizer=component, lr_scheduler=scheduler, compare=None)
