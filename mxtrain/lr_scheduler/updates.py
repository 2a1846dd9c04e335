"""Numbers of updates stated in epochs, as a config may: ``step: 3 epochs``.

Settings that count updates carry the mark `mxtrain.settings.Updates`. Once the number of batches in
an epoch is known, `in_updates` puts numbers of updates in place of such texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mxtrain.settings import EPOCHS, Registered, Setting, Updates, settings

_EPOCHS = re.compile(EPOCHS)


def in_updates(cls: type[Any], given: Mapping[str, Any], per_epoch: float) -> dict[str, Any]:
    """Return settings of the schedule `cls` with every number of epochs as one of updates.

    Parameters
    ----------
    cls : a schedule class.
    given : its settings as a config has them; schedules inside it are names or mappings.
    per_epoch : updates in an epoch; a fraction where epochs differ by an update.

    Numbers are rounded down, but not to 0.

    >>> from mxtrain.lr_scheduler import FactorScheduler
    >>> in_updates(FactorScheduler, {"step": "1.5 epochs", "factor": 0.5}, per_epoch=20)
    {'step': 30, 'factor': 0.5}
    """
    known = {setting.name: setting for setting in settings(cls)}
    return {
        name: _converted(value, known[name], per_epoch) if name in known else value
        for name, value in given.items()
    }


def _converted(value: Any, setting: Setting, per_epoch: float) -> Any:
    for mark in setting.constraints:
        if isinstance(mark, Updates):
            if isinstance(value, list | tuple):
                return [_number(item, per_epoch) for item in value]
            return _number(value, per_epoch)
        if isinstance(mark, Registered):
            if mark.several:
                return [_inner(mark, spec, per_epoch) for spec in value]
            return _inner(mark, value, per_epoch)
    return value


def _inner(mark: Registered, spec: Any, per_epoch: float) -> Any:
    if not isinstance(spec, Mapping):
        return spec
    return in_updates(mark.registry.get(spec["name"]), spec, per_epoch)


def _number(value: Any, per_epoch: float) -> Any:
    if not isinstance(value, str):
        return value
    epochs = float(value.split("epoch")[0])
    # What is left over by rounding must not cost a whole update.
    return max(int(epochs * per_epoch + 1e-9), 1 if epochs > 0 else 0)


def units(cls: type[Any], given: Mapping[str, Any]) -> set[str]:
    """Return in what the counts of `given` are stated: ``updates``, ``epochs``, both or neither.

    0 is the same in both.
    """
    return {
        "epochs" if isinstance(count, str) else "updates" for count in _counts(cls, given) if count
    }


def _counts(cls: type[Any], given: Mapping[str, Any]) -> Iterator[Any]:
    for setting in settings(cls):
        if setting.name not in given:
            continue
        value = given[setting.name]
        for mark in setting.constraints:
            if isinstance(mark, Updates):
                yield from value if isinstance(value, list | tuple) else (value,)
            elif isinstance(mark, Registered):
                specs = value if mark.several else (value,)
                for spec in (spec for spec in specs if isinstance(spec, Mapping)):
                    yield from _counts(mark.registry.get(spec["name"]), spec)


def refuse_epochs(shown: str, values: Mapping[str, Any]) -> None:
    """Raise TypeError where a value is a number of epochs: a constructor cannot know how long."""
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, str) and _EPOCHS.fullmatch(item):
                raise TypeError(
                    f"{shown}: {name} counts updates, got {item!r}; epochs are understood in a "
                    "config only, in Python multiply by the number of batches in an epoch"
                )
