"""Reads ``fit``: epochs, metrics, checkpoints, early stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mxtrain.config.component import read_component
from mxtrain.config.document import Node, parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.config.section import BAD, Context, joined, read_section, settings_by_name
from mxtrain.config.spec import CheckpointSpec, Component, EarlyStoppingSpec, FitSpec
from mxtrain.errors import closest

METRIC_MANAGED = {"count": "cannot be set here: every row counts exactly once in fit"}


def read_fit(node: Node, path: str, context: Context) -> Any:
    """Return the `FitSpec` of `node`, or `BAD`."""
    spec = read_section(
        FitSpec,
        node,
        path,
        context,
        {
            "metrics": lambda child, inner: _read_metrics(child, inner, context),
            "checkpoint": lambda child, inner: read_section(
                CheckpointSpec, child, inner, context, {}
            ),
            "early_stopping": lambda child, inner: (
                None
                if child.value is None
                else read_section(EarlyStoppingSpec, child, inner, context, {})
            ),
        },
    )
    if spec is not BAD and spec.begin_epoch >= spec.num_epoch and "begin_epoch" in node.value:
        text = f"must be below num_epoch={spec.num_epoch}, received {spec.begin_epoch}"
        return context.bad(node.value["begin_epoch"], joined(path, "begin_epoch"), text)
    return spec


def _read_metrics(node: Node, path: str, context: Context) -> Any:
    """Return the metrics of `node`: one, or a list of them."""
    from mxtrain.metric import registry

    spellings = shown_names()
    items = node.value if node.is_list else [node]
    found = []
    for number, item in enumerate(items):
        inner = f"{path}[{number}]" if node.is_list else path
        found.append(read_component(item, inner, context, registry, METRIC_MANAGED, spellings))
    return BAD if any(item is BAD for item in found) else tuple(found)


def metrics_of(text: str) -> tuple[Component, ...]:
    """Return the metrics that a text on the command line names: ``accuracy,ce``.

    Settings stand in braces: ``{name: topkaccuracy, top_k: 5}``. ConfigErrors for what is wrong.
    """
    problems, mark = Problems(), Mark("--metrics")
    node = parse(text if text.startswith("[") else f"[{text}]", mark, problems, "")
    found = BAD if node is None else _read_metrics(node, "metrics", Context(problems, Path()))
    problems.raise_if_any()
    return tuple(found)


def shown_names() -> dict[str, str]:
    """Return the names metrics are shown under (``cross-entropy``) with their registered names."""
    from mxtrain.metric import registry

    shown: dict[str, str] = {}
    for name in registry.names():
        setting = settings_by_name(registry.get(name)).get("name")
        if setting is not None and isinstance(setting.default, str):
            shown.setdefault(setting.default, name)
    return {key: name for key, name in shown.items() if key not in registry}


def check_early_stopping(spec: FitSpec, node: Node, context: Context, has_eval: bool) -> None:
    """Note an early stopping that has no eval data, or watches a metric that is not measured."""
    if spec.early_stopping is None:
        return
    at = node.value["early_stopping"]
    if not has_eval:
        text = "needs eval data; add data.eval, for instance {fraction: 0.2}"
        context.problems.add(at.mark, "fit.early_stopping", text)
    watched = spec.early_stopping.metric
    names = {"loss"}
    for metric in spec.metrics:
        names |= _names_of(metric)
    if watched.lower() not in names:
        near = closest(watched, names)
        hint = f"did you mean '{near}'?" if near else f"measured: {', '.join(sorted(names))}"
        where = at.value.get("metric", at)
        text = f"'{watched}' is not among fit.metrics ({hint})"
        context.problems.add(where.mark, "fit.early_stopping.metric", text)


def _names_of(metric: Component) -> set[str]:
    """Return every name by which `metric` may be meant."""
    from mxtrain.metric import registry

    names = {metric.name, *registry.aliases_of(metric.name)}
    shown = settings_by_name(registry.get(metric.name)).get("name")
    if shown is not None and isinstance(shown.default, str):
        names.add(shown.default)
    return names
