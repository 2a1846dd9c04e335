"""The JSON schema: closed, complete, and of the same mind as the check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from config_base import BASE

import mxtrain.initializer
import mxtrain.lr_scheduler
import mxtrain.metric
import mxtrain.op
import mxtrain.optimizer
from mxtrain.config import schema
from mxtrain.config.section import settings_by_name
from mxtrain.config.spec import DataSpec, FitSpec, RunSpec
from mxtrain.registry import Registry

SCHEMA = schema()
REGISTRIES: list[tuple[str, str, Registry[Any]]] = [
    ("optimizer", "name", mxtrain.optimizer.registry),
    ("initializer", "name", mxtrain.initializer.registry),
    ("lr_scheduler", "name", mxtrain.lr_scheduler.registry),
    ("metric", "name", mxtrain.metric.registry),
    ("node", "op", mxtrain.op.registry),
]


def forms(kind: str) -> list[dict[str, Any]]:
    return [form for form in SCHEMA["$defs"][kind]["anyOf"] if "properties" in form]


def form_of(kind: str, key: str, name: str) -> dict[str, Any]:
    return next(form for form in forms(kind) if name in form["properties"][key]["enum"])


def inside(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for child in part.values():
            yield from inside(child)
    elif isinstance(part, list):
        for child in part:
            yield from inside(child)


def fits(part: dict[str, Any], value: Any) -> bool:
    """Whether `value` is valid by the keywords this schema uses."""
    if "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in part and not any(fits(branch, value) for branch in part["anyOf"]):
        return False
    if "enum" in part and value not in part["enum"]:
        return False
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = part.get("type")
    if kind in ("number", "integer"):
        if isinstance(value, bool) or not isinstance(
            value, int if kind == "integer" else int | float
        ):
            return False
        low, above = part.get("minimum", value), part.get("exclusiveMinimum", value - 1)
        high, below = part.get("maximum", value), part.get("exclusiveMaximum", value + 1)
        return low <= value <= high and above < value < below
    if kind is not None and not isinstance(value, kinds[kind]):
        return False
    if isinstance(value, list) and "items" in part:
        return all(fits(part["items"], item) for item in value)
    if isinstance(value, dict):
        known = part.get("properties", {})
        rest = part.get("additionalProperties", True)
        return all(name in value for name in part.get("required", [])) and all(
            fits(known[name], item)
            if name in known
            else rest is True or (rest is not False and fits(rest, item))
            for name, item in value.items()
        )
    return True


def test_it_is_json_and_names_its_dialect() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_of_every_section_is_there() -> None:
    assert list(SCHEMA["properties"]) == list(settings_by_name(RunSpec))
    assert list(SCHEMA["properties"]["data"]["properties"]) == list(settings_by_name(DataSpec))
    assert list(SCHEMA["properties"]["fit"]["properties"]) == list(settings_by_name(FitSpec))
    assert SCHEMA["required"] == ["data", "symbol"]


@pytest.mark.parametrize(("kind", "key", "registry"), REGISTRIES, ids=lambda value: str(value)[:12])
def test_every_registered_name_is_there(kind: str, key: str, registry: Registry[Any]) -> None:
    known = {word for form in forms(kind) for word in form["properties"][key]["enum"]}
    # Made of a Python function, so not in a config.
    assert set(registry.spellings()) - known <= {"custommetric", "custom"}
    assert len(known) >= 3


def test_nothing_is_open_but_python_arguments_and_mappings_of_names() -> None:
    objects = [part for part in inside(SCHEMA) if part.get("type") == "object"]
    is_open = [part for part in objects if part.get("additionalProperties", True) is True]
    assert len(objects) > 100
    assert [list(part["properties"]) for part in is_open] == [["python", "function"]]


def test_every_reference_leads_somewhere() -> None:
    references = {part["$ref"] for part in inside(SCHEMA) if "$ref" in part}
    assert references == {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


def test_types_ranges_meanings_and_defaults() -> None:
    beta1 = form_of("optimizer", "name", "adam")["properties"]["beta1"]
    assert beta1["type"] == "number"
    assert (beta1["minimum"], beta1["exclusiveMaximum"], beta1["default"]) == (0, 1, 0.9)
    assert beta1["description"]
    hidden = form_of("node", "op", "FullyConnected")
    assert hidden["properties"]["num_hidden"]["minimum"] == 1
    assert hidden["required"] == ["op", "num_hidden"]
    assert "lr_scheduler" not in form_of("optimizer", "name", "sgd")["properties"]


def test_the_right_config_fits() -> None:
    assert fits(SCHEMA, yaml.safe_load(BASE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 7", "sede: 7"),
        ("seed: 7", "seed: -1"),
        ("batch_size: 4", "batch_size: 0"),
        ("batch_size: 4", "batch_size: four"),
        ("num_hidden: 8", "num_hiden: 8"),
        ("name: sgd", "name: sgdd"),
        ("op: FullyConnected, name: fc1", "op: FullyConected, name: fc1"),
        ("[accuracy, ce]", "[acuracy]"),
        ("factor: 0.9", "factor: 1.5"),
        ("{path: test.csv}", "{fraction: 2}"),
        ("keep: 3", "keep: 0"),
    ],
)
def test_a_broken_config_does_not_fit(old: str, new: str) -> None:
    assert not fits(SCHEMA, yaml.safe_load(BASE.replace(old, new, 1)))
