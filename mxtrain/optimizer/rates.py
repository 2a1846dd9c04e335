"""Learning rates, weight decay, multipliers and counts: what every update looks up."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from struct import pack, unpack
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from mxtrain.errors import CallError, MXNetError
from mxtrain.settings import Declared

if TYPE_CHECKING:
    from mxtrain.symbol import Symbol

DEFAULT_LEARNING_RATE = 0.01


def single(value: float) -> float:
    """Round to float32: what a float32 rule sees, and MXNet's kernels at any precision."""
    rounded: float = unpack("f", pack("f", value))[0]
    return rounded


class OptimizerSettings(Declared):
    """The settings that every optimizer takes, in MXNet's order."""

    _refuses = True

    rescale_grad: Annotated[
        float | None, "factor on the gradient; None is 1/batch size in `fit`, else 1"
    ] = 1.0
    param_idx2name: Annotated[dict[int, str] | None, "names of the parameters, by index"] = None
    wd: Annotated[float, Ge(0), "weight decay"] = 0.0
    clip_gradient: Annotated[float | None, "limit of each rescaled gradient value"] = None
    learning_rate: Annotated[float | None, Ge(0), "step size (0.01 when nothing gives one)"] = None
    lr_scheduler: Annotated[Any, "gives the rate for each update"] = None
    sym: Annotated[Any, "symbol whose attributes hold multipliers"] = None
    begin_num_update: Annotated[int, Ge(0), "where the update counts start"] = 0
    multi_precision: Annotated[bool, "float32 masters for float16 weights"] = False
    param_dict: Annotated[dict[int, Any] | None, "objects with lr_mult and wd_mult, by index"] = (
        None
    )


class Rates(OptimizerSettings):
    """What an optimizer knows of its parameters beside their arrays.

    Every update of a parameter counts (`num_update` is the largest count) and looks up the rate
    (the scheduler's at `num_update`, or `lr`, times the parameter's multiplier) and the decay.
    """

    # Names of parameters that keep their decay, by ending.
    decaying: ClassVar[tuple[str, ...]] = ("_weight", "_gamma")

    def configure(self, values: dict[str, Any]) -> None:
        """Take the constructor's values: rates, counters, names and multipliers."""
        learning_rate = values.pop("learning_rate")
        names = values.pop("param_idx2name")
        super().configure(values)
        if names is not None and not isinstance(names, dict):
            raise CallError(
                f"param_idx2name maps indices to names in a dict, not a {type(names).__name__}"
            )
        self.idx2name: dict[int, str] = dict(names or {})
        self.rescale_grad = 1.0 if self.rescale_grad is None else self.rescale_grad
        self.num_update = self.begin_num_update
        self._all_counts: dict[int, dict[int, int]] = {0: {}}
        self._index_update_count = self._all_counts[0]
        self._take_rate(learning_rate)
        self.set_lr_mult({})
        self.set_wd_mult({})

    def _take_rate(self, learning_rate: float | None) -> None:
        scheduler = self.lr_scheduler
        self.lr: float | None = learning_rate
        if scheduler is None:
            self.lr = DEFAULT_LEARNING_RATE if learning_rate is None else learning_rate
        elif learning_rate is not None and scheduler.base_lr != learning_rate:
            warnings.warn(
                f"{type(self).__name__}: learning_rate {learning_rate} replaces the base_lr "
                f"{scheduler.base_lr} of {type(scheduler).__name__}; give one of them",
                UserWarning,
                stacklevel=5,
            )
            scheduler.base_lr = learning_rate

    # -- learning rate -----------------------------------------------------------------------

    # Read-only here though a setting of the constructor: what it reads may be the scheduler's.
    @property
    def learning_rate(self) -> float:  # type: ignore[override]
        """The global rate: the scheduler's at the current `num_update`, or `lr`."""
        return self._global_lr()

    def _global_lr(self) -> float:
        if self.lr_scheduler is not None:
            return float(self.lr_scheduler(self.num_update))
        if self.lr is None:
            raise MXNetError("the optimizer has neither a rate nor a scheduler")
        return self.lr

    def set_learning_rate(self, lr: float) -> None:
        """Set the rate; with a scheduler this raises UserWarning, as in MXNet."""
        if self.lr_scheduler is not None:
            raise UserWarning(
                "the rate comes from the lr_scheduler; change its base_lr, or remove it, instead"
            )
        self.lr = lr

    def set_lr_scale(self, args_lrscale: Any) -> None:
        """Refuse; MXNet replaced this method by `set_lr_mult`."""
        raise DeprecationWarning("set_lr_scale is gone; use set_lr_mult")

    # -- multipliers -------------------------------------------------------------------------

    def set_lr_mult(self, args_lr_mult: Mapping[Any, float]) -> None:
        """Set rate multipliers by name or index, over those of the symbol's attributes."""
        self.lr_mult: dict[Any, float] = self._symbol_multipliers("__lr_mult__")
        self.lr_mult.update(args_lr_mult)

    def set_wd_mult(self, args_wd_mult: Mapping[Any, float]) -> None:
        """Set decay multipliers by name or index.

        Names without a decaying ending (`_weight`, `_gamma`) start at 0, then come the symbol's
        attributes, then `args_wd_mult`.
        """
        self.wd_mult: dict[Any, float] = {
            name: 0.0 for name in self.idx2name.values() if not name.endswith(self.decaying)
        }
        self.wd_mult.update(self._symbol_multipliers("__wd_mult__"))
        self.wd_mult.update(args_wd_mult)

    def _symbol_multipliers(self, key: str) -> dict[Any, float]:
        symbol: Symbol | None = self.sym
        if symbol is None:
            return {}
        attributes = symbol.attr_dict()
        return {
            name: float(attributes[name][key])
            for name in symbol.list_arguments()
            if key in attributes.get(name, {})
        }

    def _multiplier(self, index: int, attribute: str, table: Mapping[Any, float]) -> float:
        if self.param_dict and index in self.param_dict:
            return float(getattr(self.param_dict[index], attribute))
        if index in table:
            return table[index]
        return table.get(self.idx2name[index], 1.0) if index in self.idx2name else 1.0

    def multipliers(self, index: int) -> tuple[float, float]:
        """Return the rate and decay multipliers of a parameter."""
        return (
            self._multiplier(index, "lr_mult", self.lr_mult),
            self._multiplier(index, "wd_mult", self.wd_mult),
        )

    # -- hooks that MXNet code calls ---------------------------------------------------------

    def _set_current_context(self, device_id: int) -> None:
        self._index_update_count = self._all_counts.setdefault(device_id, {})

    def _update_count(self, index: int | Sequence[int]) -> None:
        counts = self._index_update_count
        for one in index if isinstance(index, (list, tuple)) else (index,):
            counts[one] = counts.get(one, self.begin_num_update) + 1
            self.num_update = max(self.num_update, counts[one])

    def _get_lrs(self, indices: Sequence[int]) -> list[float]:
        rate = self._global_lr()
        return [rate * self._multiplier(index, "lr_mult", self.lr_mult) for index in indices]

    def _get_lr(self, index: int) -> float:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[int]) -> list[float]:
        return [self.wd * self._multiplier(index, "wd_mult", self.wd_mult) for index in indices]

    def _get_wd(self, index: int) -> float:
        return self._get_wds([index])[0]
