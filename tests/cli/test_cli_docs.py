"""docs/cli.md has every command as it is now."""

from __future__ import annotations

import re
import runpy
import signal
from pathlib import Path

import pytest

from mxtrain.cli import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")
GENERATOR = runpy.run_path(str(DOCS / "generate_cli.py"))
HEAD = PAGE.partition(GENERATOR["MARK"])[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_page_has_the_present_help(name: str) -> None:
    assert f"## mxtrain {name}\n" in PAGE
    assert f"```\n{GENERATOR['help_of'](name)}\n```" in PAGE, "run: python docs/generate_cli.py"


def test_page_has_nothing_else_below_the_mark() -> None:
    assert GENERATOR["updated"](PAGE) == PAGE, "run: python docs/generate_cli.py"


def test_table_at_the_top_has_every_command() -> None:
    told = re.findall(r"^\| `(\S+)` \| ", HEAD, re.MULTILINE)
    lists = [name for name in COMMANDS if name.startswith("list-")]
    at = told.index("list-...")
    assert [*told[:at], *lists, *told[at + 1 :]] == list(COMMANDS)


def test_exit_codes_name_every_signal_that_ends_a_run() -> None:
    (codes,) = (part for part in HEAD.split("\n\n") if part.startswith("**Exit codes.**"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        assert re.search(rf"\b{128 + number}\b", codes)


def test_help_of_an_unknown_command_is_no_text_to_write() -> None:
    with pytest.raises(SystemExit):
        GENERATOR["help_of"]("nonsense")


def test_page_that_lost_its_mark_is_not_overwritten() -> None:
    with pytest.raises(SystemExit):
        GENERATOR["updated"]("# The command line\n")
