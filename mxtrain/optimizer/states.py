"""Which states an optimizer keeps for each weight, told from the arguments of its formula.

Nothing is computed and no array is made, so that a listing need not wait for NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from mxtrain.backend.formula import Maths
from mxtrain.optimizer.base import Optimizer
from mxtrain.settings import REQUIRED, Setting, settings

# An array a formula may take beside weight, gradient and states.
NOISE = "noise"


class NoMaths(Maths):
    """Stands for ``xp`` where a formula is made but not run."""

    def __init__(self) -> None:
        """Take no trace: nothing is recorded."""


@dataclass(frozen=True)
class States:
    """The states of one form of an optimizer.

    names : the states; each is an array of the weight's shape.
    when : the setting that gives this form, such as ``with momentum``; empty at the defaults.
    """

    names: tuple[str, ...]
    when: str = ""


def is_scalar(optimizer: Optimizer, name: str) -> bool:
    """Whether a name in a formula is a scalar (and not an array or a state)."""
    known = name in ("lr", "wd") or name in optimizer.extra_scalars
    return known or (name in type(optimizer)._fields and name not in ("weight", "grad"))


def state_names(optimizer: Optimizer, arguments: Sequence[str]) -> tuple[str, ...]:
    """Return which arguments of the optimizer's formula are states."""
    return tuple(
        name
        for name in arguments
        if name not in ("weight", "grad", NOISE) and not is_scalar(optimizer, name)
    )


def arguments_of(step: Any) -> tuple[str, ...]:
    """Return the names of the arguments of a formula."""
    names: tuple[str, ...] = step.__code__.co_varnames[: step.__code__.co_argcount]
    return names


def states_of(cls: type[Optimizer]) -> tuple[States, ...]:
    """Return the forms of an optimizer class that differ in their states, the default one first.

    Forms are those that one setting of the class's own brings about: a number that is 0 or not, a
    choice that is made or not. A class without a formula has none.

    >>> from mxtrain.optimizer import SGD
    >>> states_of(SGD)
    (States(names=(), when=''), States(names=('mom',), when='with momentum'))
    """
    needed = {setting.name: 1 for setting in settings(cls) if setting.required}
    plain = _states(cls, needed)
    if plain is None:
        return ()
    found = {plain: States(plain)}
    for setting in settings(cls):
        if setting.name in cls.__dict__.get("_own_fields", {}):
            for value, words in _others(setting):
                names = _states(cls, needed | {setting.name: value})
                if names is not None:
                    found.setdefault(names, States(names, words))
    return tuple(found.values())


def _states(cls: type[Optimizer], given: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the states under these settings; None where these, or a formula, are not possible."""
    try:
        optimizer = cls(**given)
    except (TypeError, ValueError, AssertionError):
        return None  # the class says that this value does not go with the others
    if not optimizer.has_rule:
        return None
    return state_names(optimizer, arguments_of(optimizer.rule(NoMaths())))


def _others(setting: Setting) -> Iterator[tuple[Any, str]]:
    """Yield other values of a setting that may change the form, each with its words."""
    default = setting.default
    if isinstance(default, bool):
        yield not default, f"{'without' if default else 'with'} {setting.name}"
    elif isinstance(default, int | float) and default is not REQUIRED:
        yield (0, f"without {setting.name}") if default else (0.5, f"with {setting.name}")
    elif get_origin(setting.plain_type) is Literal:
        for choice in get_args(setting.plain_type):
            if choice != default:
                yield choice, f"with {setting.name} {choice}"
