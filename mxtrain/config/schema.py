"""The JSON schema of a config, for editors: the same settings that the check reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mxtrain.config.checker import core_schema
from mxtrain.config.section import settings_by_name
from mxtrain.config.spec import (
    CheckpointSpec,
    CompareSpec,
    DataSpec,
    EarlyStoppingSpec,
    FeaturesSpec,
    FileSymbol,
    FitSpec,
    FractionSpec,
    NodeSpec,
    PythonSymbol,
    RunSpec,
    SourceSpec,
    WeightsSpec,
)
from mxtrain.config.value import allows_none, can_be_set
from mxtrain.registry import Registry
from mxtrain.settings import REQUIRED, Registered, Setting

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of a config file, with every registered name."""
    from mxtrain.config.check import OPTIMIZER_MANAGED
    from mxtrain.config.fit import METRIC_MANAGED, shown_names
    from mxtrain.initializer import registry as initializers
    from mxtrain.lr_scheduler import registry as schedulers
    from mxtrain.metric import registry as metrics
    from mxtrain.optimizer import registry as optimizers

    definitions = {
        "source": _section(SourceSpec),
        "initializer": _component(initializers, {}),
        "optimizer": _component(optimizers, OPTIMIZER_MANAGED),
        "lr_scheduler": _component(schedulers, {}),
        "metric": _component(metrics, METRIC_MANAGED, shown_names()),
        "node": _node(),
        "node_name": _value(settings_by_name(NodeSpec)["name"]),
        "node_inputs": _value(settings_by_name(NodeSpec)["inputs"]),
    }
    metric = _ref("metric")
    fit = _section(
        FitSpec,
        {
            "metrics": {"anyOf": [metric, {"type": "array", "items": metric}]},
            "checkpoint": _section(CheckpointSpec),
            "early_stopping": _or_null(_section(EarlyStoppingSpec)),
        },
    )
    data = _section(
        DataSpec,
        {
            "train": _ref("source"),
            "eval": {"anyOf": [_ref("source"), _section(FractionSpec), {"type": "null"}]},
            "features": _section(FeaturesSpec),
        },
    )
    python = _section(PythonSymbol) | {"additionalProperties": True}
    nodes = {"type": "array", "minItems": 1, "items": _ref("node")}
    rivals = {"anyOf": [_ref("optimizer"), {"type": "array", "items": _ref("optimizer")}]}
    whole = _section(
        RunSpec,
        {
            "data": data,
            "symbol": {"anyOf": [nodes, _section(FileSymbol), python]},
            "initializer": _ref("initializer"),
            "weights": _or_null(_section(WeightsSpec)),
            "optimizer": _ref("optimizer"),
            "lr_scheduler": _or_null(_ref("lr_scheduler")),
            "fit": fit,
            "compare": _or_null(_section(CompareSpec, {"optimizers": rivals})),
        },
    )
    return {"$schema": DIALECT, "title": "mxtrain config"} | whole | {"$defs": definitions}


def _section(cls: type[Any], nested: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of a spec class; `nested` has those of keys with a form of their own."""
    return _object(settings_by_name(cls).values(), nested or {})


def _object(settings: Iterable[Setting], nested: Mapping[str, Schema]) -> Schema:
    properties: Schema = {}
    required = []
    for setting in settings:
        if setting.name in nested:
            properties[setting.name] = {"description": setting.meaning} | nested[setting.name]
        elif can_be_set(setting.annotation) and setting.name not in ("arguments", "attrs"):
            properties[setting.name] = _value(setting)
        if setting.required:
            required.append(setting.name)
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": required} if required else {})


def _value(setting: Setting) -> Schema:
    """Return the schema of one setting: type, range, meaning and default."""
    for mark in setting.constraints:
        if isinstance(mark, Registered):
            one = _ref(mark.registry.kind)
            several = {"type": "array", "minItems": 1, "items": one}
            form = several if mark.several else _or_null(one)
            return form | {"description": setting.meaning}
    from pydantic.json_schema import GenerateJsonSchema

    known: Any = core_schema(setting.annotation)
    found = GenerateJsonSchema(ref_template="#/$defs/{model}").generate(known)
    if allows_none(setting.annotation) and found:
        found = _or_null(found)
    if setting.meaning:
        found["description"] = setting.meaning
    if isinstance(setting.default, str | int | float) and setting.default is not REQUIRED:
        found["default"] = setting.default
    return found


def _component(
    registry: Registry[Any], managed: Iterable[str], spellings: Mapping[str, str] | None = None
) -> Schema:
    """Return the schema of a component: a name, or a mapping with the settings of that class."""
    bare: list[str] = []
    forms: list[Schema] = []
    for name in registry.names():
        cls = registry.get(name)
        settings = [s for s in settings_by_name(cls).values() if s.name not in managed]
        if any(s.required and s.name != "name" and not can_be_set(s.annotation) for s in settings):
            continue  # such as CustomMetric, which is made of a Python function
        words = [name, *registry.aliases_of(name)]
        words += [shown for shown, target in (spellings or {}).items() if target == name]
        if not any(setting.required and setting.name != "name" for setting in settings):
            bare += words
        forms.append(_named("name", words, cls, settings, {}))
    return {"anyOf": [{"enum": sorted(bare)}, *forms]}


def _node() -> Schema:
    """Return the schema of a node: for every operator its attributes."""
    from mxtrain.config.inputs import Variable
    from mxtrain.config.nodes import NODE_MANAGED, VARIABLE
    from mxtrain.op import registry

    inits = {"type": "object", "additionalProperties": _ref("initializer")}
    shared = {"name": _ref("node_name"), "inputs": _ref("node_inputs")}
    own = {"description": settings_by_name(NodeSpec)["init"].meaning}
    forms = []
    for name in registry.names():
        cls = registry.get(name)
        settings = [s for s in settings_by_name(cls).values() if s.name not in NODE_MANAGED]
        words = [name, *registry.aliases_of(name)]
        forms.append(_named("op", words, cls, settings, shared | {"init": own | inits}))
    variable = {"name": shared["name"], "init": own | _ref("initializer")}
    settings = list(settings_by_name(Variable).values())
    forms.append(_named("op", [VARIABLE], Variable, settings, variable))
    return {"anyOf": forms}


def _named(
    key: str,
    words: list[str],
    cls: type[Any],
    settings: Iterable[Setting],
    further: Mapping[str, Schema],
) -> Schema:
    """Return the schema of a mapping in which `key` is one of `words`, and the rest settings."""
    form = _object([s for s in settings if s.name != key and s.name not in further], {})
    form["properties"] = {key: {"enum": words}, **further, **form["properties"]}
    form["required"] = [key, *form.get("required", [])]
    summary = (cls.__doc__ or "").strip().split("\n")[0]
    return form | ({"description": summary} if summary else {})


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
