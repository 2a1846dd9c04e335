"""Which settings of a run that goes on are others than before, and whether that is harmless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mxtrain.config.document import parse
from mxtrain.config.problem import Mark, Problems
from mxtrain.errors import FileFormatError

# Settings that cannot change a bit of the weights. `threads` can: sums are split among them.
# The rows and the network are compared themselves, so it does not matter where their files lie.
_HARMLESS = (
    "fit.num_epoch",
    "fit.checkpoint",
    "fit.early_stopping.patience",
    "compare",
    *(
        f"data.{side}.{name}"
        for side in ("train", "eval")
        for name in ("path", "images", "labels", "kind")
    ),
    "symbol.file",
    "symbol.python",
)
_COMPONENTS = ("initializer", "optimizer", "lr_scheduler")
NOTHING = "nothing"


@dataclass(frozen=True)
class Change:
    """A setting by its path, with its values before and now as they are shown."""

    path: str
    before: str
    now: str

    @property
    def is_harmless(self) -> bool:
        """Whether the weights of the run come out the same."""
        return self.is_of(*_HARMLESS)

    def is_of(self, *names: str) -> bool:
        """Whether it is one of these settings, or within one."""
        return any(
            self.path == name or self.path.startswith((f"{name}.", f"{name}[")) for name in names
        )

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.now}"


def changes(before: str, now: str) -> list[Change]:
    """Return what differs between two resolved configs: what there was before, then what is new.

    Raises FileFormatError when one of them is no YAML.

    >>> [str(change) for change in changes("fit: {num_epoch: 3}", "fit: {num_epoch: 5}")]
    ['fit.num_epoch: 3 -> 5']
    """
    old, new = _settings(before), _settings(now)
    return [
        Change(path, old.get(path, NOTHING), new.get(path, NOTHING))
        for path in dict.fromkeys((*old, *new))
        if old.get(path) != new.get(path)
    ]


def _settings(text: str) -> dict[str, str]:
    problems = Problems()
    root = parse(text, Mark("config"), problems)
    if root is None or not root.is_mapping:
        raise FileFormatError("the stored config of the run cannot be read")
    tree = root.plain()
    for name in _COMPONENTS:
        if isinstance(tree.get(name), str):
            tree[name] = {"name": tree[name]}
    found: dict[str, str] = {}
    _flatten(tree, "", found)
    return found


def _flatten(value: Any, path: str, found: dict[str, str]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{path}.{key}" if path else str(key), found)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for number, item in enumerate(value):
            _flatten(item, f"{path}[{number}]", found)
    else:
        found[path] = _shown(value)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value) if value != {} else "{}"
