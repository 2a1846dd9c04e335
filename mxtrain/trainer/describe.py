"""A run in words: what will run, how each parameter starts, and the lines of ``log.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxtrain.trainer import outputs
from mxtrain.trainer.build import describe_component
from mxtrain.trainer.report import EpochRow, LayerRow, ParameterRow, RunInfo, RunResult

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.loop import Loop


def run_info(built: Built, config: str, folder: str, loop: Loop) -> RunInfo:
    """Return what will run."""
    spec, data, module = built.spec, built.data, built.module
    optimizer = module.optimizer
    parameters = parameter_rows(built)
    notes = []
    if data.labels is not None and data.labels.kind == "class":
        notes.append(f"classes: {', '.join(data.labels.names)}")
    return RunInfo(
        config=config,
        output=folder,
        backend=spec.backend,
        seed=spec.seed,
        network=outputs.describe(module.symbol, data.train.data.shape[1:]),
        layers=layer_rows(module),
        parameters=parameters,
        num_parameters=sum(_size(row.shape) for row in parameters),
        train_data=data.train.source,
        eval_data=None if data.eval is None else data.eval.source,
        train_rows=len(data.train),
        eval_rows=0 if data.eval is None else len(data.eval),
        batch_size=spec.data.batch_size,
        batches_per_epoch=loop.batches.per_epoch(),
        num_epoch=spec.fit.num_epoch,
        begin_epoch=spec.fit.begin_epoch,
        optimizer=describe_component(spec.optimizer, ""),
        lr_scheduler=describe_component(spec.lr_scheduler, "constant"),
        rescale_grad=float(optimizer.rescale_grad),
        train_columns=tuple(loop.train_measure.values()),
        eval_columns=tuple(loop.eval_measure.values()) if data.eval is not None else (),
        notes=tuple(notes),
    )


def layer_rows(module: Module) -> tuple[LayerRow, ...]:
    """Return one row per operator, with the parameters it brings in."""
    shapes = {name: array.shape for name, array in module.executor.arg_dict.items()}
    learned = set(module.get_params()[0])
    seen: set[str] = set()
    rows = []
    for node in module.symbol.nodes():
        if node.is_variable:
            continue
        own = [
            entry.node.name
            for entry in node.inputs
            if entry.node.is_variable and entry.node.name in learned - seen
        ]
        seen.update(own)
        output = module.executor.plan.output_of(node)
        count = sum(_size(shapes[name]) for name in own)
        rows.append(LayerRow(node.name, node.op or "", output.shape, count))
    return tuple(rows)


def parameter_rows(built: Built) -> tuple[ParameterRow, ...]:
    """Return one row per parameter: how it starts and how it is scaled."""
    module = built.module
    rules = initializer_rules(built)
    optimizer = module.optimizer
    return tuple(
        ParameterRow(name, array.shape, rules[name], *optimizer.multipliers(index))
        for index, (name, array) in enumerate(module.get_params()[0].items())
    )


def initializer_rules(built: Built) -> dict[str, str]:
    """Say for each parameter and auxiliary state which initializer rule filled it."""
    attributes = built.module.symbol.attr_dict()
    arg_params, aux_params = built.module.get_params()
    start: Any = built.initializer
    return {name: start.rule_for(name, attributes.get(name)) for name in [*arg_params, *aux_params]}


def log_lines(info: RunInfo) -> list[str]:
    """Return the head of ``log.txt``."""
    lines = [
        f"config {info.config}",
        f"network {info.network}, {info.num_parameters} parameters",
        f"train {info.train_data}, {info.train_rows} rows",
        f"eval {info.eval_data}, {info.eval_rows} rows" if info.eval_data else "eval none",
        f"epochs {info.num_epoch}, {info.batches_per_epoch} batches of {info.batch_size}",
        f"backend {info.backend}, seed {info.seed}",
        f"optimizer {info.optimizer}, rescale_grad {info.rescale_grad:g}",
        f"schedule {info.lr_scheduler}",
        *info.notes,
    ]
    for row in info.parameters:
        lines.append(
            f"parameter {row.name} {row.shape}: {row.initializer}; "
            f"lr_mult {row.lr_mult:g}, wd_mult {row.wd_mult:g}"
        )
    return lines


def epoch_line(row: EpochRow, num_epoch: int) -> str:
    """Return an epoch as a line of ``log.txt``."""
    parts = [f"epoch {row.epoch}/{num_epoch}"]
    for side, values in (("train", row.train), ("eval", row.eval)):
        if values:
            shown = " ".join(f"{name} {value:.6g}" for name, value in values.items())
            parts.append(f"{side} {shown}")
    parts.append(f"lr {row.lr:.6g}")
    parts += [f"lr becomes {rate:.6g} at update {update}" for update, rate in row.lr_changes]
    parts.append(f"{row.samples_per_second:.0f} samples/s, {row.seconds:.2f} s")
    if row.best:
        parts.append("best so far")
    return "; ".join(parts)


def result_line(result: RunResult) -> str:
    """Return the end of a run as a line of ``log.txt``."""
    text = f"{result.status} after {result.epochs} epochs, {result.seconds:.2f} s"
    if result.best_epoch is not None and result.best_value is not None:
        text += f"; best epoch {result.best_epoch}: {result.best_metric} {result.best_value:.6g}"
    return text + (f"; {result.reason}" if result.reason else "")


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for axis in shape:
        total *= axis
    return total
