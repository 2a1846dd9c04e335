"""Writes the reference part of ``docs/cli.md`` from the ``--help`` of every command.

python docs/generate_cli.py
"""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from mxtrain.cli import COMMANDS, command_line

PAGE = Path(__file__).with_name("cli.md")
MARK = "<!-- Below this line: python docs/generate_cli.py -->\n"


def help_of(name: str) -> str:
    """Return what ``mxtrain NAME --help`` prints on a terminal of 80 columns."""
    runner = CliRunner(env={"COLUMNS": "80"})
    result = runner.invoke(command_line, [name, "--help"], prog_name="mxtrain")
    if result.exit_code != 0:
        raise SystemExit(f"mxtrain {name} --help failed: {result.output}")
    return result.output.rstrip()


def reference() -> str:
    """Return the reference: for each command a heading and its help."""
    parts = [
        f"## mxtrain {name}\n\n{short}\n\n```\n{help_of(name)}\n```\n"
        for name, (_, short) in COMMANDS.items()
    ]
    return "\n".join(parts)


def updated(page: str) -> str:
    """Return `page` with everything below the mark written anew."""
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE.name} has lost its line {MARK!r}")
    return f"{head}{MARK}\n{reference()}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
