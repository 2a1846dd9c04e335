"""``mxtrain show``: explain one optimizer, initializer, scheduler, operator or metric."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mxtrain.cli.errors import UserError
from mxtrain.cli.options import load_plugins, shared

if TYPE_CHECKING:
    from mxtrain.cli.catalog import Entry

KIND_NAMES = ("optimizer", "initializer", "lr-scheduler", "operator", "metric")


@click.command("show")
@click.argument("name")
@click.option("--kind", type=click.Choice(KIND_NAMES), help="Look among these only.")
@shared("plugins", "as_json")
def command(name: str, kind: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """Explain NAME: an optimizer, initializer, schedule, operator or metric.

    Shows its meaning, formula, settings with types, defaults and ranges, its source, and how a
    config names it. A name that stands for several things shows them all. Your own are found
    with --plugin.
    """
    from mxtrain.cli.catalog import find, nearest

    load_plugins(plugins)
    kinds = KIND_NAMES if kind is None else (kind,)
    found = find(name, kinds)
    if not found:
        near = nearest(name, kinds)
        meant = ", ".join(f"'{spelling}' ({of_kind})" for of_kind, spelling in near)
        lists = [f"mxtrain list-{each}s" for each in kinds]
        hint = f"Did you mean {meant}?" if near else f"What there is: {', '.join(lists)}"
        raise UserError(f"Nothing is called '{name}'. {hint}")
    if as_json:
        from mxtrain.cli.listing import described
        from mxtrain.console.jsonl import dumps

        explained = [described(entry) | {"text": entry.docstring} for entry in found]
        click.echo(dumps(explained, indent=2))
        return
    for index, entry in enumerate(found):
        if index:
            click.echo()
        _explain(entry)


def _explain(entry: Entry) -> None:
    from mxtrain.cli.docstring import blocks
    from mxtrain.console.glyphs import glyphs_for, write
    from mxtrain.console.tables import heading, paragraph

    out = sys.stdout
    also = f", also {', '.join(entry.aliases)}" if entry.aliases else ""
    heading(f"{entry.name} ({entry.kind}{also})", out)
    for block in blocks(entry.docstring, glyphs_for(out).unicode):
        if block.kind == "text":
            paragraph(block.text, out)
        elif block.kind == "heading":
            write(out, block.text)
            continue
        else:
            for line in block.text.splitlines():
                write(out, f"    {line}".rstrip())
        write(out, "")
    _show_ports(entry)
    _show_settings(entry)
    _show_use(entry)
    write(out, f"class {entry.cls.__module__}.{entry.cls.__qualname__}")


def _show_ports(entry: Entry) -> None:
    """The inputs and outputs of an operator, which other kinds have not."""
    from mxtrain.console.glyphs import write

    ports = (
        ("inputs", "argument_names"),
        ("auxiliary states", "auxiliary_names"),
        ("outputs", "output_names"),
    )
    if entry.kind != "operator":
        return
    for label, attribute in ports:
        names = getattr(entry.cls, attribute, ())
        if isinstance(names, tuple) and names:
            many = ", ..." if label == "inputs" and getattr(entry.cls, "variadic", False) else ""
            write(sys.stdout, f"{label}: {', '.join(names)}{many}")
    write(sys.stdout, "")


def _show_use(entry: Entry) -> None:
    """What an optimizer keeps, and a line of a config."""
    from mxtrain.cli.example import example
    from mxtrain.cli.origin import states
    from mxtrain.console.glyphs import write

    if entry.kind == "optimizer":
        write(sys.stdout, f"states per weight: {states(entry)}")
    line = example(entry)
    if line:
        write(sys.stdout, f"in a config: {line}")


def _show_settings(entry: Entry) -> None:
    from mxtrain.cli.docstring import plain
    from mxtrain.cli.setting_text import default_text, kind_text, range_text
    from mxtrain.console.glyphs import write
    from mxtrain.console.tables import Sheet, show

    rows = [
        (
            setting.name,
            kind_text(setting),
            default_text(setting),
            range_text(setting),
            plain(setting.meaning),
        )
        for setting in entry.settings()
    ]
    if rows:
        headers = ("setting", "type", "default", "range", "meaning")
        show(Sheet(headers, rows, wide=(1, 3, 4)), sys.stdout)
    else:
        write(sys.stdout, "no settings")
    write(sys.stdout, "")
