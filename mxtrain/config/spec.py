"""What a config says, checked and with defaults filled in: plain dataclasses.

The annotations are read like those of every declared class (`mxtrain.settings`): they are the keys
of the YAML, their types, ranges, meanings and defaults. Paths are absolute here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from mxtrain.backend import on_device

Kind = Literal["table", "npz", "idx"]


@dataclass(frozen=True)
class Component:
    """A registered class by name, and the settings given for it."""

    name: Annotated[str, "registered name"]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """A file of rows: a table with a header, an NPZ archive or a pair of IDX files."""

    path: Annotated[str | None, "the file: CSV (also .tsv, .csv.gz), Parquet or NPZ"] = None
    label: Annotated[str | tuple[str, ...] | None, "label column(s); for npz the label array"] = (
        None
    )
    kind: Annotated[Kind | None, "format of the file; by default its ending decides"] = None
    data: Annotated[str | None, "for npz: name of the data array (default 'data')"] = None
    images: Annotated[str | None, "for idx: the file of images, plain or gzipped"] = None
    labels: Annotated[str | None, "for idx: the file of labels, plain or gzipped"] = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label columns or arrays, none when there is no label."""
        if self.label is None:
            return ()
        return (self.label,) if isinstance(self.label, str) else self.label


@dataclass(frozen=True, kw_only=True)
class FractionSpec:
    """Eval rows taken from the training data: stratified by class, seeded."""

    fraction: Annotated[float, Gt(0), Lt(1), "share of the training rows set aside"]


@dataclass(frozen=True, kw_only=True)
class FeaturesSpec:
    """What is done to the data before it enters the network."""

    scale: Annotated[
        Literal["standard", "minmax", "none"],
        "learned per column on the training data: mean 0 and deviation 1, range 0 to 1, or nothing",
    ] = "none"


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The data: where from, and how it is cut into batches."""

    train: Annotated[SourceSpec, "training data"]
    eval: Annotated[
        SourceSpec | FractionSpec | None,
        "eval data; what it leaves out is as in train. {fraction: 0.2} takes it from train",
    ] = None
    batch_size: Annotated[int, Ge(1), "rows per update"] = 32
    shuffle: Annotated[bool, "a new order of the training rows in each epoch"] = True
    last_batch: Annotated[
        Literal["keep", "pad", "discard", "roll_over"],
        "a short last batch: run as it is, filled up, left out, or moved to the next epoch",
    ] = "keep"
    features: Annotated[FeaturesSpec, "scaling of the columns"] = FeaturesSpec()
    columns: Annotated[
        tuple[str, ...] | None, MinLen(1), "feature columns; by default all but the label"
    ] = None
    ignore: Annotated[tuple[str, ...], "columns that are not features"] = ()
    class_weight: Annotated[
        dict[str, Annotated[float, Ge(0)]] | Literal["balanced"] | None,
        "factor on the gradient of each class by name, or all classes weighing the same",
    ] = None


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One operator of the network. Further keys of a node are the operator's attributes."""

    op: Annotated[str, "operator, or Variable"]
    name: Annotated[str, "name of the node; by default the operator's with a number"]
    inputs: Annotated[
        str | tuple[str, ...] | dict[str, str],
        "nodes or variables it reads, in order or by argument; by default the previous node",
    ] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    init: Annotated[dict[str, Component], "initializer of a parameter, by argument (weight)"] = (
        field(default_factory=dict)
    )


@dataclass(frozen=True, kw_only=True)
class FileSymbol:
    """A network stored in MXNet's JSON."""

    file: Annotated[str, "the file, such as model-symbol.json"]


@dataclass(frozen=True, kw_only=True)
class PythonSymbol:
    """A network made by a Python function. Further keys are the function's arguments."""

    python: Annotated[str, "the Python file"]
    function: Annotated[str, "function in it that returns the symbol"] = "get_symbol"
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WeightsSpec:
    """Weights that were saved before, to start from instead of the initializer's."""

    file: Annotated[
        str, "weights (.params, .safetensors, .npz), the folder of a run, or MXNet's prefix"
    ]
    allow_missing: Annotated[bool, "let the initializer fill parameters that it lacks"] = False
    ignore_extra: Annotated[bool, "leave out arrays that are not of this network"] = False


@dataclass(frozen=True, kw_only=True)
class CheckpointSpec:
    """When checkpoints are written, and how many are kept.

    There is one at the end of the run as well, and wherever it is stopped or fails.
    """

    every: Annotated[int, Ge(1), "epochs between two checkpoints"] = 1
    every_batches: Annotated[
        int | None, Ge(1), "batches between two checkpoints, counted over the whole run"
    ] = None
    every_minutes: Annotated[float | None, Gt(0), "minutes between two checkpoints"] = None
    keep: Annotated[
        int | None, Ge(1), "newest checkpoints kept, beside the best; nothing keeps all"
    ] = 3


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingSpec:
    """Stop when an eval metric no longer improves; the best weights are restored."""

    metric: Annotated[str, "loss, or one of fit.metrics"] = "loss"
    patience: Annotated[int, Ge(1), "epochs without improvement before stopping"] = 5
    min_delta: Annotated[float, Ge(0), "smallest change that counts as improvement"] = 0.0


@dataclass(frozen=True, kw_only=True)
class FitSpec:
    """The training loop."""

    num_epoch: Annotated[int, Ge(1), "epochs to train"] = 10
    begin_epoch: Annotated[int, Ge(0), "epochs already done"] = 0
    metrics: Annotated[
        tuple[Component, ...], "metrics shown beside the loss; by default the output decides"
    ] = ()
    checkpoint: Annotated[CheckpointSpec, "when weights are written"] = CheckpointSpec()
    early_stopping: Annotated[EarlyStoppingSpec | None, "stop when no longer improving"] = None
    clip_global_norm: Annotated[
        float | None, Gt(0), "longest rescaled gradient, all parameters together"
    ] = None
    loss_scale: Annotated[
        Annotated[float, Gt(0)] | Literal["dynamic"] | None,
        "factor of the losses for float16, dynamic: found while training",
    ] = None
    fixed_params: Annotated[
        tuple[str, ...], "patterns of parameters that do not learn, such as conv* or *_bias"
    ] = ()


@dataclass(frozen=True, kw_only=True)
class CompareSpec:
    """What ``mxtrain compare`` trains the network with."""

    optimizers: Annotated[
        tuple[Component, ...], "optimizers with their settings; by default all, at their defaults"
    ] = ()
    rates: Annotated[
        tuple[Annotated[float, Gt(0)], ...],
        "learning rates that each optimizer without one of its own is tried with",
    ] = ()
    target: Annotated[
        float | None, "value of the compared metric whose first epoch the table tells"
    ] = None


SymbolSpec = tuple[NodeSpec, ...] | FileSymbol | PythonSymbol


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """A whole run: what is trained on which data, how, and for how long."""

    seed: Annotated[int, Ge(0), "decides every random number of the run"] = 0
    backend: Annotated[Literal["numpy", "numba", "cupy"], "where kernels run"] = "numpy"
    device: Annotated[int, Ge(0), "number of the GPU, with backend: cupy"] = 0
    math: Annotated[
        Literal["float32", "tf32"],
        "what float32 products are computed in; tf32, with backend: cupy, keeps 10 bits",
    ] = "float32"
    threads: Annotated[
        int | None,
        Ge(1),
        "threads of the kernels; by default one for small networks, else the library's",
    ] = None
    plugins: Annotated[tuple[str, ...], "Python files or modules that register classes"] = ()
    data: Annotated[DataSpec, "the data"]
    symbol: Annotated[SymbolSpec, "the network: a list of nodes, or {file: ...}, {python: ...}"]
    initializer: Annotated[Component, "how weights start"] = Component("xavier")
    weights: Annotated[WeightsSpec | None, "saved weights to start from"] = None
    optimizer: Annotated[Component, "how weights move"] = Component("sgd")
    lr_scheduler: Annotated[Component | None, "how the learning rate moves"] = None
    fit: Annotated[FitSpec, "the training loop"] = FitSpec()
    compare: Annotated[CompareSpec | None, "what mxtrain compare tries"] = None

    @property
    def runs_on(self) -> str:
        """The backend by its full name: ``cupy:1`` is the second GPU, ``cupy:0:tf32`` has TF32."""
        return on_device(self.backend, self.device, self.math)
