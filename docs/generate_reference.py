"""Writes the pages of ``docs/reference`` from what is registered and declared.

python docs/generate_reference.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mxtrain.cli.catalog import Entry, entries
from mxtrain.cli.docstring import blocks, plain
from mxtrain.cli.example import example
from mxtrain.cli.origin import states
from mxtrain.cli.setting_text import default_text, kind_text, range_text
from mxtrain.config import spec
from mxtrain.config.check import OPTIMIZER_MANAGED
from mxtrain.config.fit import METRIC_MANAGED
from mxtrain.config.inputs import Variable
from mxtrain.settings import REQUIRED, Setting, settings

FOLDER = Path(__file__).with_name("reference")
NOTICE = "<!-- Written by: python docs/generate_reference.py -->"

KINDS = {
    "optimizer": (
        "optimizers",
        "Optimizers",
        "How weights move: the key `optimizer`. States per weight are numbers of the weight's own "
        "type: 4 bytes each for float32, and with `multi_precision` float32 for float16 weights, "
        "which then have a float32 master too.",
    ),
    "initializer": (
        "initializers",
        "Initializers",
        "How weights start: the key `initializer`, or `init` of a node for one parameter.",
    ),
    "lr-scheduler": (
        "lr-schedulers",
        "Learning-rate schedulers",
        "How the learning rate moves: the key `lr_scheduler`. `base_lr` is left out in a config: "
        "it is the optimizer's `learning_rate`. What counts updates may be stated in epochs: "
        "`3 epochs`, `0.5 epochs`.",
    ),
    "operator": (
        "operators",
        "Operators",
        "What a network is made of: the key `op` of a node, with the settings beside it.",
    ),
    "metric": ("metrics", "Metrics", "What is measured beside the loss: the key `fit.metrics`."),
}
"""For each kind its page, title and introduction."""

MANAGED = {"optimizer": OPTIMIZER_MANAGED, "metric": METRIC_MANAGED}
"""Settings that a config cannot give, since the run gives them."""

SECTIONS = (
    ("", spec.RunSpec, ""),
    ("data", spec.DataSpec, ""),
    ("data.train", spec.SourceSpec, "`data.eval` takes the same keys."),
    ("data.eval", spec.FractionSpec, "The other form of `data.eval`: rows taken from `train`."),
    ("data.features", spec.FeaturesSpec, ""),
    ("symbol", spec.NodeSpec, "One node. Its other keys are settings of its operator."),
    ("symbol", Variable, "A node with `op: Variable`: a parameter that other nodes name."),
    ("symbol", spec.FileSymbol, "The network from a file."),
    ("symbol", spec.PythonSymbol, "The network from Python. Other keys are the arguments."),
    ("weights", spec.WeightsSpec, ""),
    ("fit", spec.FitSpec, ""),
    ("fit.checkpoint", spec.CheckpointSpec, ""),
    ("fit.early_stopping", spec.EarlyStoppingSpec, ""),
)
"""For each mapping of a config its path, the class that declares its keys, and what to know."""

NESTED: dict[tuple[type[Any], str], str] = {
    (spec.RunSpec, "data"): "[data](#data)",
    (spec.RunSpec, "symbol"): "[list of nodes](#symbol), or a mapping",
    (spec.RunSpec, "initializer"): "[initializer](initializers.md)",
    (spec.RunSpec, "weights"): "[weights](#weights) or null",
    (spec.RunSpec, "optimizer"): "[optimizer](optimizers.md)",
    (spec.RunSpec, "lr_scheduler"): "[scheduler](lr-schedulers.md) or null",
    (spec.RunSpec, "fit"): "[fit](#fit)",
    (spec.DataSpec, "train"): "[source](#datatrain)",
    (spec.DataSpec, "eval"): "[source](#datatrain), [fraction](#dataeval) or null",
    (spec.DataSpec, "features"): "[features](#datafeatures)",
    (spec.DataSpec, "class_weight"): "mapping from class to float, balanced, or null",
    (spec.NodeSpec, "op"): "[operator](operators.md), or Variable",
    (spec.NodeSpec, "inputs"): "text, list of text, or mapping",
    (spec.NodeSpec, "init"): "mapping from argument to [initializer](initializers.md)",
    (spec.FitSpec, "metrics"): "[metric](metrics.md), or list of them",
    (spec.FitSpec, "checkpoint"): "[checkpoint](#fitcheckpoint)",
    (spec.FitSpec, "early_stopping"): "[early_stopping](#fitearly_stopping) or null",
}
"""Types of keys that hold more than a value, as a link to what they hold."""

FILLED_IN = {(spec.NodeSpec, "name")}
"""Keys that may be left out though a spec always has them."""

NO_KEYS = {(spec.NodeSpec, "attrs"), (spec.PythonSymbol, "arguments")}
"""Fields that collect the other keys of a mapping."""

_LITERAL = re.compile(r"(:\w+:`[^`]*`)|``([^`]+)``|`([^`]+)`")
_KEPT = re.compile("⟦([^⟧]*)⟧")


def pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    found = {"config.md": _config_page(), "README.md": _index()}
    for kind, (name, title, introduction) in KINDS.items():
        found[f"{name}.md"] = _kind_page(kind, title, introduction)
    return found


def _index() -> str:
    about = "Written from the code. The same in a terminal: `mxtrain show NAME`."
    rows = ["- [config](config.md): every key of a config"]
    for kind, (name, title, _) in KINDS.items():
        listed = ", ".join(entry.name for entry in _listed(kind)[:6])
        rows.append(f"- [{title.lower()}]({name}.md): {listed}, ...")
    return _joined(["# Reference", NOTICE, about, "\n".join(rows)])


def _kind_page(kind: str, title: str, introduction: str) -> str:
    found = _listed(kind)
    listed = ", ".join(f"[{entry.name}](#{_anchor(entry.name)})" for entry in found)
    parts = [f"# {title}", NOTICE, introduction, listed]
    for entry in found:
        parts += _entry(entry)
    return _joined(parts)


def _listed(kind: str) -> list[Entry]:
    """Return what is registered, the names that scripts hardly write (``_plus_scalar``) last."""
    return sorted(entries(kind), key=lambda entry: entry.name.startswith("_"))


def _entry(entry: Entry) -> list[str]:
    parts = [f"## {entry.name}"]
    if entry.aliases:
        parts.append(f"Also {', '.join(f'`{alias}`' for alias in entry.aliases)}.")
    parts += _docstring(entry.docstring)
    if entry.kind == "operator":
        parts += _ports(entry)
    managed = MANAGED.get(entry.kind, {})
    own = [setting for setting in entry.settings() if setting.name not in managed]
    parts.append(_table(_setting_row(setting, kind_text(setting)) for setting in own))
    if entry.kind == "optimizer":
        parts.append(f"States per weight: {_prose(states(entry))}.")
    line = example(entry)
    if line:
        parts.append(f"```yaml\n{line}\n```")
    config = FOLDER.parents[1] / "configs" / "optimizers" / f"{entry.name}.yaml"
    if entry.kind == "optimizer" and config.exists():
        parts.append(
            f"Explained in a whole config: [{config.name}](../../configs/optimizers/{config.name})"
        )
    return parts


def _docstring(text: str) -> list[str]:
    """Return a docstring as paragraphs of Markdown; formulas are shown as in a terminal."""
    parts = []
    for block in blocks(_LITERAL.sub(_marked, text)):
        if block.kind == "text":
            parts.append(_prose(block.text))
        elif block.kind == "heading":
            parts.append(f"**{block.text}**")
        else:
            parts.append(f"```text\n{_bare(block.text)}\n```")
    return parts


def _marked(found: re.Match[str]) -> str:
    """Put marks around a literal, which a formula or other role is not."""
    return found[1] or f"⟦{found[2] or found[3]}⟧"


def _bare(text: str) -> str:
    """Return text with the marks around literals taken off."""
    return _KEPT.sub(lambda found: found[1], text)


def _prose(text: str) -> str:
    """Escape what Markdown would take for markup; literals become code."""
    parts = _KEPT.split(text)
    parts[::2] = [re.sub(r"([*_<|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return "".join(parts)


def _ports(entry: Entry) -> list[str]:
    """Return the inputs and outputs of an operator."""
    lines = []
    for label, attribute in (
        ("Inputs", "argument_names"),
        ("Auxiliary states", "auxiliary_names"),
        ("Outputs", "output_names"),
    ):
        names = getattr(entry.cls, attribute, ())
        if isinstance(names, tuple) and names:
            many = ", ..." if label == "Inputs" and getattr(entry.cls, "variadic", False) else ""
            lines.append(f"{label}: {', '.join(f'`{name}`' for name in names)}{many}.")
    return [" ".join(lines)] if lines else []


def _config_page() -> str:
    parts = [
        "# Config",
        NOTICE,
        "Every key of a config, with what it takes, its default and its meaning. How they work "
        "together is told in the [guide](../guide.md).",
    ]
    for path, cls, note in SECTIONS:
        title = f"## {path or 'Top level'}"
        if title not in parts:
            parts.append(title)
        if note:
            parts.append(note)
        keys = [setting for setting in settings(cls) if (cls, setting.name) not in NO_KEYS]
        parts.append(_table(_key_row(cls, setting) for setting in keys))
    return _joined(parts)


def _key_row(cls: type[Any], setting: Setting) -> Sequence[str]:
    kind = NESTED.get((cls, setting.name)) or kind_text(setting)
    name, kind, default, bounds, meaning = _setting_row(setting, kind)
    return name, kind, "" if (cls, setting.name) in FILLED_IN else default, bounds, meaning


def _setting_row(setting: Setting, kind: str) -> Sequence[str]:
    kind = kind if "](" in kind else kind.replace("|", "\\|")
    meaning = plain(setting.meaning).replace("|", "\\|")
    return f"`{setting.name}`", kind, _default(setting), range_text(setting), meaning


def _default(setting: Setting) -> str:
    """Return a default as YAML has it; what is a section of its own has none but its keys'."""
    if setting.default is REQUIRED:
        return "required"
    if isinstance(setting.default, spec.Component):
        return f"`{setting.default.name}`"
    if not isinstance(setting.default, bool | int | float | str | None) or setting.default == ():
        return ""
    return f"`{default_text(setting)}`"


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return "No settings."
    head = ["| setting | type | default | range | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _joined(parts: Iterable[str]) -> str:
    text = "\n\n".join(part for part in parts if part) + "\n"
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def write() -> None:
    """Write every page, and remove pages of kinds that are no more."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for stale in set(FOLDER.glob("*.md")) - {FOLDER / name for name in made}:
        stale.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
