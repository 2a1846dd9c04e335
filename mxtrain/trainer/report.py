"""What a run reports: numbers, handed to a `Reporter`, which decides how they look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class LayerRow:
    """One operator of the network as the summary shows it."""

    name: str
    op: str
    output_shape: tuple[int, ...]
    parameters: int
    note: str = ""


@dataclass(frozen=True)
class ParameterRow:
    """One parameter: how it starts and how it is scaled.

    `initializer` says what its values are (``Xavier: uniform ±0.7071``), `rule` which rule gave
    them, whatever the shape; parameters of one rule are shown together. Those that are `fixed` do
    not learn.
    """

    name: str
    shape: tuple[int, ...]
    initializer: str
    lr_mult: float
    wd_mult: float
    rule: str = ""
    fixed: bool = False


@dataclass(frozen=True)
class WeightsInfo:
    """What a run took from saved weights: names of parameters and auxiliary states.

    `missing` are those of the network that the file lacks; the initializer has filled them.
    `extra` are arrays of the file that the network has no place for.
    """

    source: str
    taken: tuple[str, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunInfo:
    """What will run, known before the first batch.

    `network` is the network in a line, its nodes separated by `` -> `` where they form a chain.
    `classes` are the class names behind the numbers of each label input that has any. `resumed`
    says, in words, where a run goes on that was begun before. `extra_columns` are the keys of
    `EpochRow.extra`.
    """

    config: str
    output: str
    backend: str
    seed: int
    network: str
    layers: tuple[LayerRow, ...]
    parameters: tuple[ParameterRow, ...]
    num_parameters: int
    train_data: str
    eval_data: str | None
    train_rows: int
    eval_rows: int
    batch_size: int
    batches_per_epoch: int
    num_epoch: int
    begin_epoch: int
    optimizer: str
    lr_scheduler: str
    rescale_grad: float
    train_columns: tuple[str, ...]
    eval_columns: tuple[str, ...]
    wd: float = 0.0
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weights: WeightsInfo | None = None
    resumed: str = ""
    extra_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Where a running epoch stands; sent a few times a second at most."""

    epoch: int
    batch: int
    batches: int
    lr: float
    train: dict[str, float]
    samples_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class EpochRow:
    """A finished epoch. `train` and `eval` map shown metric names to values, ``loss`` first.

    `extra` has what only some runs tell: where losses are scaled, ``loss_scale`` as it is now and
    ``skipped_updates``, those of the epoch that were left out.
    """

    epoch: int
    lr: float
    train: dict[str, float]
    eval: dict[str, float]
    samples_per_second: float
    seconds: float
    best: bool = False
    lr_changes: tuple[tuple[int, float], ...] = ()
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PhaseTime:
    """Calls and seconds of a phase of training; `floor` is the least they could have taken.

    The floor of forward and backward is that of their matrix products, at the speed of a large one;
    that of the update is its bytes at the speed of a copy; None: nothing of the kind.
    """

    phase: str
    calls: int
    seconds: float
    floor: float | None = None


@dataclass(frozen=True)
class NodeTime:
    """Calls and seconds of a node in one phase, and the floor of its matrix products."""

    node: str
    phase: str
    calls: int
    seconds: float
    floor: float | None = None


@dataclass(frozen=True)
class Profiled:
    """Where the `seconds` of a run went; nodes are ordered by their time, the slowest first.

    `product_rate` are the operations per second of a large matrix product, `copy_rate` the bytes
    read and written per second by a copy of as much memory as an update uses.
    """

    seconds: float
    phases: tuple[PhaseTime, ...]
    nodes: tuple[NodeTime, ...]
    product_rate: float
    copy_rate: float


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `status` is ``done``, ``stopped early``, ``interrupted`` or ``failed``.

    `weights` is the file in `output` with the weights the run ends with: those of the best epoch
    where they were `restored` (by early stopping), else the latest. `reason` may have several
    lines. `profile` is there if it was asked for. `signal` is the one that stopped the run.
    `skipped_updates` were left out since a gradient overflowed; `loss_scale` is the latest, None
    where losses are not scaled.
    """

    status: str
    epochs: int
    seconds: float
    output: str
    files: tuple[str, ...]
    best_epoch: int | None = None
    best_metric: str | None = None
    best_value: float | None = None
    best_weights: str = ""
    weights: str = ""
    restored: bool = False
    reason: str = ""
    profile: Profiled | None = None
    signal: int = 0
    skipped_updates: int = 0
    loss_scale: float | None = None


class Reporter(Protocol):
    """Receives what happens in a run. Epochs are numbered from 1 in everything reported."""

    def start(self, info: RunInfo) -> None:
        """Show what will run."""

    def progress(self, progress: Progress) -> None:
        """Show where the running epoch stands."""

    def epoch(self, row: EpochRow) -> None:
        """Show a finished epoch."""

    def notice(self, text: str) -> None:
        """Show something the user should know."""

    def finish(self, result: RunResult) -> None:
        """Show how the run ended and where everything was written."""


@dataclass(frozen=True)
class Summary:
    """A network, and the memory to train it: kinds of arrays with their bytes."""

    network: str
    batch_size: int
    layers: tuple[LayerRow, ...]
    parameters: tuple[ParameterRow, ...]
    num_parameters: int
    memory: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Rates:
    """The learning rate of every update of a run, before any per-parameter multiplier."""

    rates: tuple[float, ...]
    batches_per_epoch: int
    optimizer: str
    lr_scheduler: str
    begin_epoch: int = 0


@dataclass(frozen=True)
class InitialWeight:
    """A parameter (`kind` is ``arg``) or auxiliary state (``aux``) before the first update."""

    kind: str
    name: str
    values: Any
    initializer: str
