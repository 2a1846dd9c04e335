"""One base rate: the optimizer's ``learning_rate`` is the scheduler's ``base_lr``."""

from __future__ import annotations

from dataclasses import replace

from mxtrain.config.document import Node
from mxtrain.config.section import Context, settings_by_name
from mxtrain.config.spec import Component


def with_base_rate(
    optimizer: Component, scheduler: Component, node: Node, context: Context
) -> dict[str, Component]:
    """Return optimizer and scheduler with the same rate, by their keys in the config.

    The rate is the one that is given, or the optimizer's default; two different ones are a problem,
    and so is what only the scheduler's own constructor can tell (such as steps that do not rise).
    `node` is the scheduler's.
    """
    from mxtrain.lr_scheduler import registry as schedulers

    if "base_lr" not in settings_by_name(schedulers.get(scheduler.name)):
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
    given = scheduler.settings.get("base_lr")
    rate = optimizer.settings.get("learning_rate")
    if given is not None and rate is not None and given != rate:
        text = f"{given} contradicts optimizer.learning_rate={rate}; leave base_lr out"
        context.bad(node.value["base_lr"], "lr_scheduler.base_lr", text)
    if rate is None:
        rate = _default_rate(optimizer) if given is None else given
    found = replace(scheduler, settings=scheduler.settings | {"base_lr": rate})
    try:
        schedulers.create(found.name, **found.settings)
    except (ValueError, TypeError, AssertionError) as error:
        context.bad(node, "lr_scheduler", str(error))
    settings = optimizer.settings | {"learning_rate": rate}
    return {"optimizer": replace(optimizer, settings=settings), "lr_scheduler": found}


def _default_rate(optimizer: Component) -> float:
    from mxtrain.optimizer import registry
    from mxtrain.optimizer.base import DEFAULT_LEARNING_RATE

    setting = settings_by_name(registry.get(optimizer.name)).get("learning_rate")
    default = None if setting is None else setting.default
    return default if isinstance(default, int | float) else DEFAULT_LEARNING_RATE
