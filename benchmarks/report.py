"""Files of results: JSON with every round, Markdown tables, plots where matplotlib is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aims
from options import Table
from topics import KEYS, topic

THREADS = (
    "Every side runs with its own default number of threads, in a process of its own, while the "
    "others wait. Sides are measured in turns, in every round once, in alternating order."
)


def write(folder: Path, name: str, results: dict[str, Any]) -> list[Path]:
    """Write the files of a run and return their paths: the figures first, then what shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(as_json(results), encoding="utf-8")
    return [path, *write_pages(folder, name, results)]


def write_pages(folder: Path, name: str, results: dict[str, Any]) -> list[Path]:
    """Write tables and plots and return their paths."""
    pictures = _pictures(folder, name, results)
    text = markdown(results, [picture.name for picture in pictures])
    page = folder / f"{name}.md"
    page.write_text(text, encoding="utf-8")
    return [page, *pictures]


def as_json(results: dict[str, Any]) -> str:
    """Return results as JSON, a list of numbers to a line."""
    text = json.dumps(rounded(results), indent=1)
    joined = re.sub(r"\[[\s\d.,e+-]*\]", lambda found: " ".join(found[0].split()), text)
    return joined + "\n"


def rounded(value: Any) -> Any:
    """Return nested values with floats of six digits: more would be noise."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def markdown(results: dict[str, Any], pictures: Iterable[str] = ()) -> str:
    """Return the whole report."""
    lines = [f"# Benchmarks of {results['machine']['date']}", "", *_machine(results["machine"])]
    how_long = f"{results['rounds']} rounds, {results['block']:g} s and more of each side in each."
    lines += ["", f"{THREADS} {how_long}"]
    if results["quick"]:
        lines += ["", "**A quick run, for trying the command out: its figures mean nothing.**"]
    for heading, items in (("Left out", results["notices"]), ("Failures", results["failures"])):
        if items:
            lines += ["", f"{heading}:", "", *(f"- {item}" for item in items)]
    overview = aims.table(results["topics"])
    if overview.rows:
        lines += ["", *_table(overview, "##")]
    for key in KEYS:
        if results["topics"].get(key):
            lines += ["", f"## {topic(key).title}"]
            for table in topic(key).tables(results["topics"][key]):
                lines += ["", *_table(table, "###")]
    lines += [part for name in pictures for part in ("", f"![{name}]({name})")]
    return "\n".join(lines) + "\n"


def _machine(machine: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    memory = f", {machine['memory_gib']} GiB" if machine["memory_gib"] else ""
    rows = {
        "machine": f"{machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}",
        "versions": f"Python {machine['python']}, {versions}",
        "BLAS of NumPy": machine["blas"],
        "load before": "" if machine["load"] is None else f"{machine['load']:.2f}",
        "thread variables": ", ".join(f"{k}={v}" for k, v in machine["threads"].items()) or "none",
    }
    return ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items() if text)]


def _table(table: Table, level: str) -> list[str]:
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    note = ["", table.note] if table.note else []
    return [f"{level} {table.title}", "", *("| " + " | ".join(row) + " |" for row in rows), *note]


def _pictures(folder: Path, name: str, results: dict[str, Any]) -> list[Path]:
    if find_spec("matplotlib") is None:
        return []
    from plots import draw

    found = []
    for key in KEYS:
        if key in results["topics"]:
            for plot in topic(key).plots(results["topics"][key]):
                path = folder / f"{name}-{plot.name}.svg"
                draw(plot, path)
                found.append(path)
    return found
