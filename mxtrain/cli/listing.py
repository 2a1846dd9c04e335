"""What the ``list-...`` commands have in common."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from mxtrain.cli.options import shared

if TYPE_CHECKING:
    from mxtrain.cli.catalog import Entry


def list_command(kind: str, plural: str) -> click.Command:
    """Return the command that lists everything registered as `kind`."""

    def run(as_json: bool) -> None:
        from mxtrain.cli.catalog import entries

        found = entries(kind)
        if as_json:
            from mxtrain.console.jsonl import dumps

            click.echo(dumps([described(entry) for entry in found], indent=2))
        else:
            _show(found)

    run.__doc__ = f"""List the {plural}: name, other names, meaning, settings with defaults.

    In a pipe each is one line. What is meant by a setting: mxtrain show NAME.
    """
    return click.command(f"list-{plural.replace(' ', '-')}")(shared("as_json")(run))


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry with its settings, for JSON output."""
    from mxtrain.cli.setting_text import as_dict

    return {
        "kind": entry.kind,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "meaning": entry.meaning,
        "settings": [as_dict(setting) for setting in entry.settings()],
    }


def _show(found: list[Entry]) -> None:
    from mxtrain.cli.docstring import plain
    from mxtrain.console.glyphs import write
    from mxtrain.console.tables import Sheet, paragraph, show

    settings = {entry.name: _settings(entry) for entry in found}
    shared_by_all = _common(list(settings.values()))
    rows = [
        (
            entry.name,
            ", ".join(entry.aliases),
            plain(entry.meaning),
            " ".join(text for text in settings[entry.name] if text not in shared_by_all),
        )
        for entry in found
    ]
    headers: tuple[str, ...] = ("name", "also", "meaning", "settings")
    used = [i for i, header in enumerate(headers) if i == 0 or any(row[i] for row in rows)]
    cells = [tuple(row[index] for index in used) for row in rows]
    wide = tuple(position for position, index in enumerate(used) if index > 0)
    show(Sheet(tuple(headers[index] for index in used), cells, wide=wide), sys.stdout)
    if shared_by_all:
        write(sys.stdout, "")
        paragraph(f"all of them: {' '.join(shared_by_all)}", sys.stdout)


def _settings(entry: Entry) -> list[str]:
    from mxtrain.cli.setting_text import value_text

    return [
        f"{setting.name} (required)"
        if setting.required
        else f"{setting.name}={value_text(setting.default)}"
        for setting in entry.settings()
    ]


def _common(settings: list[list[str]]) -> list[str]:
    """What more than nine of ten take, with the same default, and so is said once."""
    counts = Counter(text for texts in settings for text in texts)
    enough = max(len(settings) * 0.9, 4)
    return [text for text, number in counts.items() if number >= enough]
