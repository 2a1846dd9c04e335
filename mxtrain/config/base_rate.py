"""One base rate: the optimizer's ``learning_rate`` is the scheduler's ``base_lr``."""

from __future__ import annotations

from dataclasses import replace

from mxtrain.config.document import Node
from mxtrain.config.section import Context, settings_by_name
from mxtrain.config.spec import Component

# So many updates that no fraction of an epoch is rounded away.
_LONG_EPOCH = 10**6


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
    problem = _refusal(found)
    if problem:
        context.bad(node, "lr_scheduler", problem)
    settings = optimizer.settings | {"learning_rate": rate}
    return {"optimizer": replace(optimizer, settings=settings), "lr_scheduler": found}


def _refusal(scheduler: Component) -> str:
    """Return what the constructor says against these settings, as far as it can be known.

    Where all counts are in epochs, any number of updates in an epoch shows what is wrong with them.
    Where some are in updates, only the data tell, so that the run says it.
    """
    from mxtrain.lr_scheduler import registry
    from mxtrain.lr_scheduler.updates import in_updates, units

    cls = registry.get(scheduler.name)
    counted_in = units(cls, scheduler.settings)
    if counted_in == {"epochs", "updates"}:
        return ""
    try:
        cls(**in_updates(cls, scheduler.settings, _LONG_EPOCH))
    except (ValueError, TypeError, AssertionError) as error:
        return f"{error}{f' (1 epoch = {_LONG_EPOCH})' if 'epochs' in counted_in else ''}"
    return ""


def _default_rate(optimizer: Component) -> float:
    from mxtrain.optimizer import registry
    from mxtrain.optimizer.rates import DEFAULT_LEARNING_RATE

    setting = settings_by_name(registry.get(optimizer.name)).get("learning_rate")
    default = None if setting is None else setting.default
    return default if isinstance(default, int | float) else DEFAULT_LEARNING_RATE
