"""Registries, tables of the tests, reference, listings, schema and configs name the same things."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mxtrain.cli import COMMANDS, command_line
from mxtrain.cli.catalog import KINDS, registry_of
from mxtrain.config import schema

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
TABLES = {
    "optimizer": ("optimizer", "optimizer_rows", "ROWS"),
    "initializer": ("initializer", "test_initializer_rules", "INSTANCES"),
    "lr-scheduler": ("lr_scheduler", "schedule_rows", "ROWS"),
}
# What a Python function makes cannot be written in a config.
NOT_IN_CONFIGS = {"custommetric"}

every_kind = pytest.mark.parametrize("kind", KINDS)


def names(kind: str) -> set[str]:
    found = set(registry_of(kind).names())
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("kind", TABLES)
def test_table_of_the_tests(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, module, table = TABLES[kind]
    monkeypatch.syspath_prepend(str(TESTS / folder))
    assert set(getattr(import_module(module), table)) == names(kind)


@every_kind
def test_reference(kind: str) -> None:
    text = (DOCS / "reference" / f"{kind}s.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (\S+)$", text, re.MULTILINE)) == names(kind)


@every_kind
def test_listing(kind: str) -> None:
    assert f"list-{kind}s" in COMMANDS
    printed = CliRunner().invoke(command_line, [f"list-{kind}s", "--json"])
    listed = [entry["name"] for entry in json.loads(printed.output)]
    assert len(listed) == len(set(listed))
    assert set(listed) == names(kind)


@every_kind
def test_schema(kind: str) -> None:
    definition, key = ("node", "op") if kind == "operator" else (kind.replace("-", "_"), "name")
    forms: list[dict[str, Any]] = schema()["$defs"][definition]["anyOf"]
    known = {form["properties"][key]["enum"][0] for form in forms if "properties" in form}
    assert known - {"Variable"} == names(kind) - NOT_IN_CONFIGS


def test_every_optimizer_has_a_config() -> None:
    found = {path.stem for path in (TESTS.parent / "configs" / "optimizers").glob("*.yaml")}
    missing = names("optimizer") - found
    assert not missing, f"add configs/optimizers/NAME.yaml for {missing}"
    assert found == names("optimizer")
