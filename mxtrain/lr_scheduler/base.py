"""`LRScheduler`: the base rate, the warm-up, and the registry."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge

from mxtrain.errors import CallError
from mxtrain.lr_scheduler.updates import refuse_epochs
from mxtrain.registry import Registry
from mxtrain.settings import Declared, Updates


class LRScheduler(Declared):
    r"""Base of all schedules: the base rate and the warm-up.

    For ``num_update < warmup_steps`` every scheduler returns

    .. math::
        \text{linear: } b + (\eta - b)\,\frac{n}{W} \qquad \text{constant: } b

    with :math:`n` = ``num_update``, :math:`W` = ``warmup_steps``, :math:`b` = ``warmup_begin_lr``
    and :math:`\eta` = ``warmup_final_lr``, the ``base_lr`` of construction. A subclass defines
    ``__call__`` and asks `get_warmup_lr` while the warm-up lasts.

    Raises
    ------
    CallError : ``warmup_steps`` is not an ``int``.
    ValueError : ``warmup_begin_lr`` above ``base_lr`` (with or without warm-up), negative
        ``warmup_steps``, or an unknown ``warmup_mode``.

    Source: ``mxnet.lr_scheduler.LRScheduler``, release 1.9.1.
    """

    base_lr: Annotated[float, Ge(0), "rate before any decay"] = 0.01
    warmup_steps: Annotated[int, Ge(0), Updates(), "updates the warm-up lasts"] = 0
    warmup_begin_lr: Annotated[float, Ge(0), "rate at which the warm-up begins"] = 0
    warmup_mode: Annotated[
        Literal["linear", "constant"], "rise to base_lr, or stay at warmup_begin_lr"
    ] = "linear"

    # False for a schedule that has its own way to begin: it then has no warm-up settings.
    takes_warmup: ClassVar[bool] = True
    _refuses: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.takes_warmup:
            cls._fields = {k: v for k, v in cls._fields.items() if not k.startswith("warmup_")}
        if cls.__dict__["_own_fields"]:
            cls._positional = tuple(cls._fields)  # MXNet takes the inherited ones by position too

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warmup_final_lr = self.base_lr
        if self.takes_warmup:
            self._check_warmup()

    def configure(self, values: dict[str, Any]) -> None:
        """Take the settings (TypeError for a number of epochs, which only a config can give)."""
        refuse_epochs(type(self).__name__, values)
        super().configure(values)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no schedule: define __call__(self, num_update), or use one "
            f"of {', '.join(registry.names())}"
        )

    @property
    def is_pure(self) -> bool:
        """Whether a call depends on its argument alone, and leaves nothing behind.

        True for the schedules of this package. A class of your own may say so as well; its rates
        are then looked up for many updates at once.
        """
        return type(self).__module__.startswith("mxtrain.")

    def get_warmup_lr(self, num_update: int) -> float:
        """Return the rate of the warm-up at `num_update` (CallError once the warm-up is over)."""
        if num_update >= self.warmup_steps:
            raise CallError(
                f"get_warmup_lr: num_update must be below warmup_steps={self.warmup_steps}, "
                f"got {num_update}; call the scheduler itself instead"
            )
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.warmup_final_lr - self.warmup_begin_lr) * float(num_update)
        return self.warmup_begin_lr + rise / float(self.warmup_steps)

    def _check_warmup(self) -> None:
        if not isinstance(self.warmup_steps, int):
            raise CallError(
                f"warmup_steps must be an int, got {self.warmup_steps!r} of type "
                f"{type(self.warmup_steps).__name__}; give a whole number of updates"
            )
        if self.warmup_begin_lr > self.base_lr:
            raise ValueError(
                f"warmup_begin_lr must not exceed base_lr={self.base_lr}, got "
                f"{self.warmup_begin_lr}; lower it or raise base_lr"
            )
        if self.warmup_steps < 0:
            raise ValueError(
                f"warmup_steps must be at least 0, got {self.warmup_steps}; 0 means no warm-up"
            )
        if self.warmup_mode not in ("linear", "constant"):
            raise ValueError(
                f"warmup_mode must be 'linear' or 'constant', got {self.warmup_mode!r}; "
                "choose one of the two"
            )


registry: Registry[LRScheduler] = Registry("lr_scheduler")
create = registry.create

C = TypeVar("C", bound=type[Any])


def register(cls: C) -> C:
    """Enter a scheduler class under its lower-cased name, with and without ``scheduler``."""
    registry.register(cls)
    short = cls.__name__.lower().removesuffix("scheduler")
    if short and short != cls.__name__.lower():
        registry.alias(short)(cls)
    return cls
