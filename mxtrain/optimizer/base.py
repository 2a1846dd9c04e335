"""`Optimizer`: learning rates, weight decay, multipliers, counts, states and mixed precision.

A built-in optimizer adds one formula, `rule`. A user's own may do the same, or take the classic
way: `create_state` and `update`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mxtrain.errors import MXNetError
from mxtrain.optimizer.rates import Rates
from mxtrain.registry import Registry

if TYPE_CHECKING:
    from mxtrain.optimizer.tracing import Layer

_AGGREGATION = "MXNET_OPTIMIZER_AGGREGATION_SIZE"


class Optimizer(Rates):
    """Base of all optimizers.

    Every update of a parameter counts (`num_update` is the largest count), looks up the rate (the
    scheduler's at `num_update`, or `lr`, times the parameter's multiplier) and the decay, and
    applies the rule. Settings are described at their declarations; `param_idx2name`, `sym` and
    `param_dict` say which names and multipliers the parameter indices have.

    Subclasses write either `rule` (a formula that every backend compiles) or `create_state` and
    `update`.

    Source: MXNet 1.9.1, class `Optimizer`.
    """

    # Whether weight decay is added to the gradient before it is clipped (MXNet has two orders).
    decay_before_clip: ClassVar[bool] = False
    # Whether clip_gradient=0 (or negative) turns clipping off instead of clipping to zero.
    zero_clip_is_off: ClassVar[bool] = True
    # Largest number of parameters that the updater hands over at once; 0 means one by one.
    aggregate_num: ClassVar[int] = 0
    # Whether such a piece counts as a whole before one rate is looked up for all of it.
    counts_together: ClassVar[bool] = False
    # Scalars that `scalars` or `layer_scalars` add to those of the fields.
    extra_scalars: ClassVar[tuple[str, ...]] = ()
    # States that begin as a copy of the weight; the others begin at zero.
    copies_of_weight: ClassVar[tuple[str, ...]] = ()
    # Whether a learning rate takes part at all.
    uses_rate: ClassVar[bool] = True
    # Whether the rate of an update is looked up before its count moves.
    looks_up_before_counting: ClassVar[bool] = False
    # In words, the states of a class without a formula, for listings and the reference.
    keeps: ClassVar[str] = ""
    # Attributes that a continued run needs beside the states, such as a running product.
    remembers: ClassVar[tuple[str, ...]] = ()
    # Attributes that need not be stored: found again, or stored beside the others.
    _untracked: ClassVar[tuple[str, ...]] = (
        "_rules",
        "_streams",
        "_all_counts",
        "_index_update_count",
        "num_update",
    )

    def configure(self, values: dict[str, Any]) -> None:
        """Take the constructor's values."""
        super().configure(values)
        self._rules: dict[Any, Any] = {}  # formulas traced for this optimizer
        self._streams: dict[Any, Any] = {}  # random numbers of each parameter

    # -- the rule ----------------------------------------------------------------------------

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the element-wise formula of this optimizer.

        The formula takes ``weight`` and ``grad`` (rescaled and clipped; with `decay_before_clip`
        the decay is in it), then states and scalars by name, and returns the new weight followed
        by the new states. Names that are settings, ``lr``, ``wd`` or among `extra_scalars` are
        scalars; all others are states, which start at zero. ``xp`` has NumPy's element-wise
        functions. Numbers that `scalars` replaces are seen replaced; any other number is read when
        the formula is first used and stays as it was then. An argument ``noise`` gets standard
        normal numbers, new ones in each update.

        Where `trust_ratio` is defined the first result is not the new weight but the step to take;
        the weight then moves by ``-lr * ratio * step``.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has neither a rule nor an update method of its own"
        )

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return scalars that depend on the count `t`: replacements for ``lr``, or extra ones.

        In double precision. Called once for all parameters of equal rate, decay and count.
        """
        return {}

    def layer_scalars(self, layer: Layer) -> dict[str, float]:
        """Return the scalars of one parameter that depend on its arrays, or on the order.

        Called once per parameter and update, in index order, instead of `scalars`.
        """
        return self.scalars(layer.lr, layer.wd, layer.t)

    def begin_piece(self) -> None:
        """Take note of a call: a piece of parameters has counted and will be updated."""

    def trust_ratio(self, weight_norm: float, step_norm: float) -> float:
        """Return the factor on the rate of a parameter, from the norms of weight and step."""
        raise NotImplementedError(f"{type(self).__name__} scales no steps")

    @property
    def scales_steps(self) -> bool:
        """Whether the rule gives a step that `trust_ratio` scales."""
        return type(self).trust_ratio is not Optimizer.trust_ratio

    @property
    def prepares_gradient(self) -> bool:
        """Whether the formula gets the gradient rescaled and clipped, not as it arrived."""
        return True

    def draw_noise(self, index: Any, t: int, out: Any) -> None:
        """Fill `out` with standard normal numbers: a function of seed, parameter and count."""
        from mxtrain import random

        if index not in self._streams:
            self._streams[index] = random.stream(random.current_seed(), f"noise/{index}")
        out[...] = self._streams[index].at(t).standard_normal(out.shape, "float32")

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Whether a row-sparse gradient changes only the rows it lists ("lazy" updates)."""
        return False

    def rows_to_update(self, index: Any, rows: Any, t: int, wd: float) -> Any:
        """Return the rows that an update with a gradient on `rows` changes, ascending."""
        return rows

    def pack_states(self, states: dict[str, Any]) -> Any:
        """Return the states of a parameter as `create_state` does: None, an array or a tuple."""
        arrays = tuple(states.values())
        return arrays if len(arrays) > 1 else arrays[0] if arrays else None

    @property
    def has_rule(self) -> bool:
        """Whether the formula of `rule` is all there is: no update method of the class's own."""
        cls = type(self)
        return (
            cls.rule is not Optimizer.rule
            and cls.update is Optimizer.update
            and cls.update_multi_precision is Optimizer.update_multi_precision
        )

    @property
    def makes_own_states(self) -> bool:
        """Whether the class has a way of its own to make states: what they begin with."""
        cls = type(self)
        return (
            cls.create_state is not Optimizer.create_state
            or cls.create_state_multi_precision is not Optimizer.create_state_multi_precision
        )

    def create_state(self, index: int, weight: Any) -> Any:
        """Return new states for a weight: None, an array, or nested tuples and lists of them."""
        if type(self).rule is Optimizer.rule:
            return None
        from mxtrain.optimizer.loose import new_states

        return new_states(self, weight)

    def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
        """Change `weight` and `state` in place by one update with `grad`.

        Raises CallError unless weight and gradient are arrays, and MXNetError when their shapes
        differ.
        """
        if type(self).rule is Optimizer.rule:
            raise NotImplementedError(f"{type(self).__name__} does not define update")
        from mxtrain.optimizer.loose import update_one

        update_one(self, index, weight, grad, state)

    # -- mixed precision ---------------------------------------------------------------------

    def create_state_multi_precision(self, index: int, weight: Any) -> Any:
        """Return states, with a float32 master for a float16 weight under `multi_precision`."""
        if self.has_master(weight):
            master = weight.astype("float32")
            return self.pack_master(self.create_state(index, master), master)
        if _is_half(weight):
            warnings.warn(
                "a float16 weight loses small updates; multi_precision=True keeps a float32 master",
                UserWarning,
                stacklevel=2,
            )
        return self.create_state(index, weight)

    # Whether the pair under mixed precision is (state, master); the others have (master, state).
    master_last: ClassVar[bool] = False

    def has_master(self, weight: Any) -> bool:
        """Whether this weight is updated through a float32 copy."""
        return self.multi_precision and _is_half(weight)

    def pack_master(self, state: Any, master: Any) -> tuple[Any, Any]:
        """Return the pair that is stored for a half-precision weight."""
        return (state, master) if self.master_last else (master, state)

    def unpack_master(self, pair: Any) -> tuple[Any, Any]:
        """Return (state, master) from a stored pair."""
        return (pair[0], pair[1]) if self.master_last else (pair[1], pair[0])

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update through the float32 master where there is one.

        Takes one parameter, or tuples of several; with an `aggregate_num` these count together
        before the rate is looked up.
        """
        if isinstance(index, (list, tuple)):
            if self.counts_together and self.has_rule:
                from mxtrain.optimizer.loose import update_piece

                update_piece(self, index, weight, grad, state)
                return
            for item in zip(index, weight, grad, state, strict=True):
                self.update_multi_precision(*item)
        elif self.has_master(weight):
            inner, master = self.unpack_master(state)
            self.update(index, master, grad.astype("float32"), inner)
            weight[...] = master
        else:
            self.update(index, weight, grad, state)

    # -- storing -----------------------------------------------------------------------------

    def extra_state(self) -> dict[str, Any]:
        """Return what a continued run needs beside states and counts, as JSON can keep it.

        These are the attributes named in `remembers`.
        """
        return {name: getattr(self, name) for name in self.remembers}

    def set_extra_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `extra_state` returned."""
        for name in self.remembers:
            if name in values:
                setattr(self, name, values[name])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out traced formulas and, as MXNet does, the parameter objects."""
        return {**self.__dict__, "_rules": {}, "_streams": {}, "param_dict": None}


def _is_half(weight: Any) -> bool:
    return str(getattr(weight, "dtype", "")) == "float16"


def aggregation_size(optimizer: Optimizer) -> int:
    """Return how many parameters are handed over at once (0: one by one).

    ``MXNET_OPTIMIZER_AGGREGATION_SIZE`` in the environment replaces the optimizer's own number;
    MXNetError where it is no whole number.
    """
    if optimizer.aggregate_num <= 0:
        return 0
    given = os.environ.get(_AGGREGATION, str(optimizer.aggregate_num))
    try:
        return max(int(given), 0)
    except ValueError:
        raise MXNetError(f"{_AGGREGATION} is {given!r}, not a whole number") from None


registry: Registry[Optimizer] = Registry("optimizer")


def register(cls: Any = None, *, aliases: tuple[str, ...] = ()) -> Any:
    """Enter an optimizer class under its lower-cased name, as ``@register`` or ``@register(...)``.

    `docs/extending.md` has examples.
    """

    def enter(cls: Any) -> Any:
        registry.register(cls)
        registry.alias(*aliases)(cls)
        return cls

    return enter if cls is None else enter(cls)


def create(name: str, /, **kwargs: Any) -> Optimizer:
    """Make an optimizer by its registered name (ValueError for an unknown one)."""
    return registry.create(name, **kwargs)


Optimizer.register = staticmethod(register)  # type: ignore[attr-defined]
Optimizer.create_optimizer = staticmethod(create)  # type: ignore[attr-defined]
