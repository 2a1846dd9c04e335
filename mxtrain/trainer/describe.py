"""A run in words: what will run, how each parameter starts, and the lines of ``log.txt``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mxtrain.trainer import outputs
from mxtrain.trainer.fingerprint import versions
from mxtrain.trainer.report import EpochRow, LayerRow, ParameterRow, RunInfo, RunResult
from mxtrain.trainer.resume import states_in
from mxtrain.trainer.weights import SavedWeights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mxtrain.config.spec import Component, RunSpec
    from mxtrain.module import Module
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.loop import Loop
    from mxtrain.trainer.resume import Stored


def run_info(built: Built, config: str, folder: str, loop: Loop) -> RunInfo:
    """Return what will run."""
    spec, data, module = built.spec, built.data, built.module
    parameters = parameter_rows(built)
    return RunInfo(
        config=config,
        output=folder,
        backend=spec.runs_on,
        seed=spec.seed,
        network=network(built),
        layers=layer_rows(module),
        parameters=parameters,
        num_parameters=sum(prod(row.shape) for row in parameters),
        train_data=data.train.source,
        eval_data=None if data.eval is None else data.eval.source,
        train_rows=len(data.train),
        eval_rows=0 if data.eval is None else len(data.eval),
        batch_size=spec.data.batch_size,
        batches_per_epoch=loop.batches.per_epoch(),
        num_epoch=spec.fit.num_epoch,
        begin_epoch=spec.fit.begin_epoch,
        optimizer=optimizer_text(built),
        lr_scheduler=schedule_text(spec),
        rescale_grad=float(module.optimizer.rescale_grad),
        wd=float(module.optimizer.wd),
        train_columns=tuple(loop.train_measure.values()),
        eval_columns=tuple(loop.eval_measure.values()) if data.eval is not None else (),
        classes={name: kind.names for name, kind in data.labels.items() if kind.names},
        notes=tuple(_notes(built)),
        weights=built.initializer.info if isinstance(built.initializer, SavedWeights) else None,
        extra_columns=tuple(loop.gradients.values()),
    )


def network(built: Built) -> str:
    """Return the network in a line."""
    module = built.module
    shapes = {row.name: row.output_shape for row in layer_rows(module)}
    return outputs.describe(module.symbol, built.data.train.data.shape[1:], shapes)


def _notes(built: Built) -> list[str]:
    notes = []
    data, spec = built.data, built.spec
    if spec.data.features.scale != "none":
        notes.append(f"features are scaled: {spec.data.features.scale}, learned on train")
    for name, weights in data.class_weights(spec.data.class_weight).items():
        factors = zip(data.classes_of(name), weights.tolist(), strict=True)
        shown = ", ".join(f"{label} {factor:.4g}" for label, factor in factors)
        notes.append(f"factors on the gradients of the classes: {shown}")
    if spec.fit.loss_scale is not None:
        notes.append(f"losses are scaled while gradients are computed: {spec.fit.loss_scale}")
    rest = len(data.train) % spec.data.batch_size
    if rest and spec.data.last_batch == "discard":
        notes.append(f"last_batch discard: {rest} rows are left out of each epoch")
    return notes


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
        count = sum(prod(shapes[name]) for name in own)
        rows.append(LayerRow(node.name, node.op or "", output.shape, count))
    return tuple(rows)


def parameter_rows(built: Built) -> tuple[ParameterRow, ...]:
    """Return one row per parameter: how it starts and how it is scaled."""
    module, optimizer = built.module, built.module.optimizer
    arg_params = module.get_params()[0]
    attributes = module.symbol.attr_dict()
    start: Any = built.initializer
    weight_rule = start.rule_for("weight")
    rows = []
    for index, (name, array) in enumerate(arg_params.items()):
        rule = start.rule_for(name, attributes.get(name))
        if rule == weight_rule:
            rule = component_text(built.spec.initializer)
        words = start.rule_for(name, attributes.get(name), array.shape)
        lr_mult, wd_mult = optimizer.multipliers(index)
        fixed = module.executor.grad_dict[name] is None
        rows.append(ParameterRow(name, array.shape, words, lr_mult, wd_mult, rule, fixed))
    return tuple(rows)


def initializer_rules(built: Built) -> dict[str, str]:
    """Say for each parameter and auxiliary state how it was filled."""
    attributes = built.module.symbol.attr_dict()
    arg_params, aux_params = built.module.get_params()
    start: Any = built.initializer
    return {
        name: start.rule_for(name, attributes.get(name), array.shape)
        for name, array in (arg_params | aux_params).items()
    }


def component_text(component: Component) -> str:
    """Return a component as it is shown: ``adam(learning_rate=0.01)``, or its name alone."""
    return _call_text(component.name, component.settings)


def _call_text(name: str, settings: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}={_plain(value)}" for key, value in settings.items())
    return f"{name}({shown})" if shown else name


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def optimizer_text(built: Built) -> str:
    """Return the optimizer with the settings given, and with its learning rate in any case."""
    component = built.spec.optimizer
    settings = dict(component.settings)
    if "learning_rate" not in settings:
        settings = {"learning_rate": float(built.module.optimizer.learning_rate), **settings}
    return _call_text(component.name, settings)


def schedule_text(spec: RunSpec) -> str:
    """Return the schedule; its base rate is shown where it is not the optimizer's."""
    if spec.lr_scheduler is None:
        return "constant"
    settings = dict(spec.lr_scheduler.settings)
    if settings.get("base_lr") == spec.optimizer.settings.get("learning_rate"):
        settings.pop("base_lr", None)
    return _call_text(spec.lr_scheduler.name, settings)


def resumed(stored: Stored | None) -> str:
    """Say where a run goes on."""
    if stored is None:
        return "from the beginning, since there was no checkpoint yet"
    return f"{stored.position}, from {stored.position.state}"


def differences(stored: Stored | None, trains: bool) -> list[str]:
    """Say what is different for a run that goes on; where nothing `trains`, no setting is taken."""
    if stored is None:
        return []
    changed = stored.changed if trains else []
    return [*(f"changed {change}" for change in changed), *stored.notes, *stored.repairs]


def nothing_left(epochs: int, folder: Path) -> str:
    """Say that a run had ended before, and how to train on."""
    return (
        f"all {epochs} epochs were trained before; for more: "
        f"mxtrain fit --resume {folder} --set fit.num_epoch={2 * epochs}"
    )


def how_to_go_on(folder: Path, changed: bool = False) -> str:
    """Return a line that says how to go on with a failed run, empty without a checkpoint.

    `changed` says that it would fail again with the same settings.
    """
    if not states_in(folder):
        return ""
    if changed:
        return f"\nto go on from there: mxtrain fit --resume {folder} --force --set SETTING=VALUE"
    return f"\nto go on, once that is put right: mxtrain fit --resume {folder}"


def not_stored(attributes: Sequence[str]) -> str:
    """Say that checkpoints do not hold all that a plugin remembers."""
    return (
        f"checkpoints do not hold {', '.join(attributes)}: a resumed run may differ; give the "
        "class extra_state() and set_extra_state(values)"
    )


def metrics_columns(loop: Loop) -> list[str]:
    """Return the columns of ``metrics.csv``."""
    evaluated = loop.eval_measure.values() if loop.built.data.eval is not None else {}
    measured = [f"train_{name}" for name in loop.train_measure.values()]
    measured += [f"eval_{name}" for name in evaluated]
    extra = loop.gradients.values()
    return ["epoch", "lr", *measured, *extra, "samples_per_second", "seconds"]


def _versions_line(backend: str) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions(backend).items())


def log_lines(info: RunInfo) -> list[str]:
    """Return the head of ``log.txt``."""
    return [
        f"config {info.config}",
        *([f"resumed {info.resumed}"] if info.resumed else []),
        _versions_line(info.backend),
        f"network {info.network}; {info.num_parameters} parameters",
        f"train {info.train_data}, {info.train_rows} rows",
        f"eval {info.eval_data}, {info.eval_rows} rows" if info.eval_data else "eval none",
        f"epochs {info.num_epoch}, {info.batches_per_epoch} batches of {info.batch_size}",
        f"backend {info.backend}, seed {info.seed}",
        f"optimizer {info.optimizer}, rescale_grad {info.rescale_grad:g}",
        f"schedule {info.lr_scheduler}",
        *(f"classes of {name}: {', '.join(names)}" for name, names in info.classes.items()),
        *info.notes,
        *_weights_lines(info),
        *(_parameter_line(row) for row in info.parameters),
    ]


def _weights_lines(info: RunInfo) -> list[str]:
    """Return every name of what was taken from saved weights, and of what was not."""
    if info.weights is None:
        return []
    groups = (
        ("taken", info.weights.taken),
        ("missing, so initialized", info.weights.missing),
        ("left over in the file", info.weights.extra),
    )
    lines = [f"  {what}: {', '.join(names)}" for what, names in groups if names]
    return [f"weights {info.weights.source}", *lines]


def _parameter_line(row: ParameterRow) -> str:
    shape = "x".join(map(str, row.shape))
    scaled = "fixed" if row.fixed else f"lr_mult {row.lr_mult:g}, wd_mult {row.wd_mult:g}"
    return f"parameter {row.name} {shape}: {row.initializer}; {scaled}"


def epoch_line(row: EpochRow, num_epoch: int) -> str:
    """Return an epoch as a line of ``log.txt``."""
    parts = [f"epoch {row.epoch}/{num_epoch}"]
    for side, values in (("train", row.train), ("eval", row.eval)):
        if values:
            shown = " ".join(f"{name} {value:.6g}" for name, value in values.items())
            parts.append(f"{side} {shown}")
    parts.append(f"lr {row.lr:.6g}")
    parts += [f"lr becomes {rate:.6g} at update {update}" for update, rate in row.lr_changes]
    parts += [f"{name} {value:.6g}" for name, value in row.extra.items()]
    parts.append(f"{row.samples_per_second:.0f} samples/s, {row.seconds:.2f} s")
    if row.best:
        parts.append("best so far")
    return "; ".join(parts)


def result_lines(result: RunResult) -> str:
    """Return the end of a run as lines of ``log.txt``."""
    text = f"{result.status} after {result.epochs} epochs, {result.seconds:.2f} s"
    if result.best_epoch is not None and result.best_value is not None:
        text += f"; best epoch {result.best_epoch}: {result.best_metric} {result.best_value:.6g}"
    if result.skipped_updates:
        text += f"; {result.skipped_updates} updates left out, loss_scale {result.loss_scale:.6g}"
    if result.weights:
        text += f"; weights {result.weights}"
    return "\n".join([text, *result.reason.splitlines()])
