"""What every metric is: two pairs of sums, a name, and the outputs it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, TypeVar

from mxtrain.errors import CallError
from mxtrain.registry import Registry
from mxtrain.settings import Declared, settings

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

Shown = Annotated[str, "name shown beside the value"]
OutputNames = Annotated[
    list[str] | None, "outputs used by update_dict, in this order; all when left out"
]
LabelNames = Annotated[
    list[str] | None, "labels used by update_dict, in this order; all when left out"
]
Count = Annotated[
    Literal["batch", "rows"], "average as MXNet does, or count every row exactly once"
]


class EvalMetric(Declared):
    """A running metric.

    ``sum_metric / num_inst`` is the value since the last `reset_local`, ``global_sum_metric /
    global_num_inst`` the value since the last `reset` (usually: of the epoch). A subclass defines
    ``update(labels, preds)`` and adds to these four numbers; one that leaves the global pair alone
    gets its local value as its global one. A subclass may declare its parameters as annotated
    attributes, or have an ``__init__`` that calls ``super().__init__(name, ...)``.

    ``count`` says what is averaged. ``"batch"`` is the reference's way: each metric's own, which
    for MAE, MSE, RMSE, PearsonCorrelation, F1 and MCC is a mean over batches, so that a short
    batch weighs as much as a full one. With ``"rows"`` every row counts exactly once, and the
    value does not depend on how the rows were split into batches.

    Source: ``mxnet.metric.EvalMetric``, release 1.9.1; ``count`` is mxtrain's own.
    """

    higher_is_better: ClassVar[bool] = False
    _keeps_global: ClassVar[bool] = False

    name: Shown
    output_names: OutputNames = None
    label_names: LabelNames = None
    count: Count = "batch"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__dict__["_own_fields"]:
            cls._positional = tuple(name for name in cls._fields if name != "count")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._extra = self._foreign_arguments(kwargs)
        super().__init__(*args, **{k: v for k, v in kwargs.items() if k not in self._extra})
        self._has_global_stats = bool(self._extra.pop("has_global_stats", self._keeps_global))
        check_count(self.count)
        self._settle()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.global_num_inst: float = 0
        self.global_sum_metric: float = 0.0
        self.reset_local()

    def reset_local(self) -> None:
        """Forget the local sums; the global ones go on."""
        self.num_inst: float = 0
        self.sum_metric: float = 0.0

    def update(self, labels: Any, preds: Any) -> None:
        """Take in one batch: a list of label arrays and the list of predictions beside it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no update(labels, preds): define one that adds to "
            "sum_metric and num_inst"
        )

    def update_dict(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> None:
        """Take in one batch given by name, picking ``label_names`` and ``output_names``.

        Raises
        ------
        KeyError : one of these names is not among those given.
        """
        self.update(
            self._picked("label", self.label_names, labels),
            self._picked("output", self.output_names, preds),
        )

    def get(self) -> tuple[Any, Any]:
        """Return (name, value since the last `reset_local`); the value is NaN before any row."""
        return self.name, self._value(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Return (name, value since the last `reset`)."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._value(self.global_sum_metric, self.global_num_inst)

    def get_name_value(self) -> list[tuple[str, float]]:
        """Return what `get` gives as a list of (name, value)."""
        return _pairs(*self.get())

    def get_global_name_value(self) -> list[tuple[str, float]]:
        """Return what `get_global` gives as a list of (name, value)."""
        return _pairs(*self.get_global())

    def get_config(self) -> dict[str, Any]:
        """Return what ``create(**config)`` needs to make this metric again.

        ``count`` is part of it only when it is not the default.
        """
        config = {s.name: getattr(self, s.name) for s in settings(type(self)) if s.name != "count"}
        common = ("name", "output_names", "label_names")
        own = self._extra | {k: v for k, v in config.items() if k not in common}
        counting = {} if self.count == "batch" else {"count": self.count}
        named = {name: getattr(self, name) for name in common}
        return own | {"metric": type(self).__name__} | named | counting

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def _settle(self) -> None:
        """Check and complete the settings; runs once, at the end of construction."""

    def _value(self, total: float, number: float) -> float:
        """Return the value that `total` and `number` stand for."""
        return float(total / number) if number else float("nan")

    def _picked(self, kind: str, names: Sequence[str] | None, given: Mapping[str, Any]) -> Any:
        if names is None:
            return list(given.values())
        missing = [name for name in names if name not in given]
        if missing:
            raise KeyError(
                f"{self.name}: no {kind} named {', '.join(map(repr, missing))}; "
                f"there are: {', '.join(given) or 'none'}. Correct {kind}_names"
            )
        return [given[name] for name in names]

    def _foreign_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the extra keywords a classic subclass hands up for `get_config`, as in MXNet."""
        if type(self).__init__ is EvalMetric.__init__:
            return {}
        return {k: v for k, v in kwargs.items() if k not in self._fields}


class SumMetric(EvalMetric):
    """Base of metrics whose value is one sum over another; `_add` keeps both pairs of sums."""

    _keeps_global = True

    def _add(self, total: float, number: float) -> None:
        self.sum_metric += total
        self.num_inst += number
        self.global_sum_metric += total
        self.global_num_inst += number


class Pool(Protocol):
    """Counts or moments of a set of rows; adding two gives those of all their rows."""

    def __add__(self, other: Self, /) -> Self:
        """Return the pool of the rows of both."""

    @property
    def rows(self) -> int:
        """How many rows (or values) went in."""

    def score(self) -> float:
        """Return the metric's value for these rows."""


class PooledMetric(SumMetric):
    """Base of metrics computed from the counts of all rows instead of a sum over batches."""

    # The dataclass of a subclass's pools, made anew from stored counts.
    _pool_type: ClassVar[type[Any]]

    def reset(self) -> None:
        """Forget everything."""
        self._global_pool: Any = None
        super().reset()

    def reset_local(self) -> None:
        """Forget the local counts; the global ones go on."""
        self._local_pool: Any = None
        super().reset_local()

    def extra_state(self) -> dict[str, Any]:
        """Return the counts so far."""
        pools = {"local": self._local_pool, "global": self._global_pool}
        return {name: dict(vars(pool)) for name, pool in pools.items() if pool is not None}

    def set_extra_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `extra_state` returned."""
        pools = {name: self._pool_type(**counts) for name, counts in values.items()}
        self._local_pool, self._global_pool = pools.get("local"), pools.get("global")

    def _pool(self, batch: Pool) -> None:
        """Take in the counts of a batch; ``sum / num`` is the score of all rows so far."""
        local, everything = self._local_pool, self._global_pool
        self._local_pool = batch if local is None else local + batch
        self._global_pool = batch if everything is None else everything + batch
        self.num_inst = self._local_pool.rows
        self.sum_metric = self._local_pool.score() * self.num_inst
        self.global_num_inst = self._global_pool.rows
        self.global_sum_metric = self._global_pool.score() * self.global_num_inst


registry: Registry[EvalMetric] = Registry("metric", unknown=CallError)
C = TypeVar("C", bound=type[Any])


def register(cls: C) -> C:
    """Enter a metric class under its lower-cased class name."""
    return registry.register(cls)


def check_count(count: object) -> None:
    """Refuse a way of counting that does not exist (ValueError)."""
    if count not in ("batch", "rows"):
        raise ValueError(f"count must be 'batch' or 'rows', got {count!r}; choose one of the two")


def pairs_of(metric: str, labels: Any, preds: Any) -> Iterator[tuple[Array, Array]]:
    """Return label and prediction side by side, as NumPy arrays.

    A bare array stands for a list of one. Lists of different length are a ValueError.
    """
    labels, preds = listed(labels), listed(preds)
    if len(labels) != len(preds):
        raise ValueError(
            f"{metric}: as many labels as predictions are needed, got {len(labels)} and "
            f"{len(preds)}; choose among them with label_names and output_names"
        )
    return ((to_numpy(y), to_numpy(p)) for y, p in zip(labels, preds, strict=True))


def listed(arrays: Any) -> Sequence[Any]:
    """Return `arrays` if it is a list or tuple, else a list of it."""
    return arrays if isinstance(arrays, list | tuple) else [arrays]


def to_numpy(array: Any) -> Array:
    """Return `array` on the host as a plain NumPy array, without a copy where possible."""
    import numpy

    if isinstance(array, numpy.ndarray):
        return array.view(numpy.ndarray)
    return numpy.asarray(array.asnumpy() if hasattr(array, "asnumpy") else array)


def _pairs(name: Any, value: Any) -> list[tuple[str, float]]:
    names = name if isinstance(name, list) else [name]
    values = value if isinstance(value, list) else [value]
    return list(zip(names, values, strict=True))
