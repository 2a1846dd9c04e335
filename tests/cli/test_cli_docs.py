"""docs/cli.md has every command as it is now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mxtrain.cli import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")
GENERATOR = runpy.run_path(str(DOCS / "generate_cli.py"))


@pytest.mark.parametrize("name", COMMANDS)
def test_page_has_the_present_help(name: str) -> None:
    assert f"## mxtrain {name}\n" in PAGE
    assert f"```\n{GENERATOR['help_of'](name)}\n```" in PAGE, "run: python docs/generate_cli.py"


def test_page_has_nothing_else_below_the_mark() -> None:
    assert GENERATOR["updated"](PAGE) == PAGE, "run: python docs/generate_cli.py"


def test_help_of_an_unknown_command_is_no_text_to_write() -> None:
    with pytest.raises(SystemExit):
        GENERATOR["help_of"]("nonsense")


def test_page_that_lost_its_mark_is_not_overwritten() -> None:
    with pytest.raises(SystemExit):
        GENERATOR["updated"]("# The command line\n")
