"""What the ``list-...`` commands have in common."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from mxtrain.cli.errors import UserError
from mxtrain.cli.options import load_plugins, shared

if TYPE_CHECKING:
    from mxtrain.cli.catalog import Entry
    from mxtrain.console.tables import Sheet


def list_command(kind: str, plural: str) -> click.Command:
    """Return the command that lists everything registered as `kind`."""

    def run(words: tuple[str, ...], plugins: tuple[str, ...], as_json: bool) -> None:
        from mxtrain.cli.catalog import entries

        load_plugins(plugins)
        found = [entry for entry in entries(kind) if all(_has(entry, word) for word in words)]
        if as_json:
            from mxtrain.console.jsonl import dumps

            click.echo(dumps([described(entry) for entry in found], indent=2))
        elif found or not words:
            _show(found)
        else:
            lists = f"'mxtrain list-{kind}s' lists all of them"
            raise UserError(f"None of the {plural} has {' and '.join(words)}; {lists}.")

    more = "states per weight, source, " if kind == "optimizer" else ""
    run.__doc__ = f"""List the {plural}: name, other names, {more}meaning, settings with defaults.

    With WORDs only those that have each of them in their name, meaning, source or settings.
    In a pipe each is one line. What is meant by a setting: mxtrain show NAME.
    """
    argument = click.argument("words", metavar="[WORD]...", nargs=-1)
    return click.command(f"list-{plural.replace(' ', '-')}")(
        argument(shared("plugins", "as_json")(run))
    )


def _has(entry: Entry, word: str) -> bool:
    """Whether a word, in any case, is in what a listing says of `entry`."""
    from mxtrain.cli.origin import source

    names = [entry.name, *entry.aliases, *(setting.name for setting in entry.settings())]
    return any(word.lower() in text.lower() for text in (*names, entry.meaning, source(entry)))


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry with its settings, for JSON output."""
    from mxtrain.cli.origin import source, state_forms, states
    from mxtrain.cli.setting_text import as_dict

    kept: dict[str, Any] = {}
    if entry.kind == "optimizer":
        kept = {"states": states(entry), "state_forms": state_forms(entry)}
    return {
        "kind": entry.kind,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "meaning": entry.meaning,
        "source": source(entry),
        **kept,
        "settings": [as_dict(setting) for setting in entry.settings()],
    }


def _show(found: list[Entry]) -> None:
    from mxtrain.console.glyphs import write
    from mxtrain.console.tables import paragraph, show

    settings = {entry.name: _settings(entry) for entry in found}
    common = _common(list(settings.values()))
    own = {name: [text for text in texts if text not in common] for name, texts in settings.items()}
    show(_for_terminal(found, own) if sys.stdout.isatty() else _for_pipe(found, own), sys.stdout)
    if common:
        write(sys.stdout, "")
        paragraph(f"all of them: {' '.join(common)}", sys.stdout)


def _for_terminal(found: list[Entry], settings: dict[str, list[str]]) -> Sheet:
    """Two columns: 80 characters have no room for more."""
    from mxtrain.cli.docstring import plain
    from mxtrain.console.tables import Sheet

    rows = []
    for entry in found:
        also = f"also {', '.join(entry.aliases)}" if entry.aliases else ""
        lines = [plain(entry.meaning), also, *_origin_line(entry), " ".join(settings[entry.name])]
        rows.append((entry.name, "\n".join(line for line in lines if line)))
    return Sheet(("name", "meaning, settings"), rows, wide=(1,))


def _for_pipe(found: list[Entry], settings: dict[str, list[str]]) -> Sheet:
    """A line for each, with its other names and its settings in columns of their own."""
    from mxtrain.cli.docstring import plain
    from mxtrain.console.tables import Sheet

    rows = [
        (
            entry.name,
            ",".join(entry.aliases) or "-",
            *_origin_columns(entry),
            plain(entry.meaning),
            " ".join(settings[entry.name]) or "-",
        )
        for entry in found
    ]
    more = ("states", "source") if found and found[0].kind == "optimizer" else ()
    return Sheet(("name", "also", *more, "meaning", "settings"), rows)


def _origin_columns(entry: Entry) -> tuple[str, ...]:
    """States and source of an optimizer; other kinds have no such columns."""
    from mxtrain.cli.docstring import plain
    from mxtrain.cli.origin import short_source, states

    if entry.kind != "optimizer":
        return ()
    return states(entry), plain(short_source(entry)) or "-"


def _origin_line(entry: Entry) -> tuple[str, ...]:
    columns = _origin_columns(entry)
    return (f"states per weight: {columns[0]}; source: {columns[1]}",) if columns else ()


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
    enough = max(len(settings) * 0.9, 3)
    return [text for text, number in counts.items() if number >= enough]
