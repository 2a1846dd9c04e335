"""YAML text to a tree of values that know where they stand.

The tree is built from the parser's events, so that every key and value keeps its line and
column, a repeated key is an error instead of a silent loss, and nesting and aliases are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from mxtrain.config import syntax
from mxtrain.config.problem import Mark, Problems, near_files
from mxtrain.config.scalar import resolve

MAX_DEPTH = 50
MAX_NODES = 50_000
MAX_BYTES = 2_000_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """A value of the file: a scalar, a list of nodes or a mapping from words to nodes.

    `text` is a scalar as written, `quoted` whether it stood in quotes; `keys` says where each
    key of a mapping stands.
    """

    value: Any
    mark: Mark
    text: str = ""
    quoted: bool = False
    keys: dict[str, Mark] = field(default_factory=dict)

    @property
    def is_mapping(self) -> bool:
        """Whether the node maps words to nodes."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the node is a list of nodes."""
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """Return the value without positions: scalars, lists and dicts."""
        if self.is_mapping:
            return {key: child.plain() for key, child in self.value.items()}
        if self.is_list:
            return [child.plain() for child in self.value]
        return self.value

    def shown(self) -> str:
        """Return the value as a message shows it: short, text in quotes.

        >>> Node(0.001, Mark("a"), "1e-3").shown(), Node("sgd", Mark("a"), "sgd").shown()
        ('1e-3', "'sgd'")
        """
        if self.value is None:
            return "nothing"
        if self.is_mapping:
            return _shortened("{" + ", ".join(self.value) + "}")
        if self.is_list:
            return _shortened("[" + ", ".join(child.shown() for child in self.value[:20]) + "]")
        if isinstance(self.value, str):
            return _shortened(repr(self.value))
        return _shortened(self.text)


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def read(path: Path, shown: str, problems: Problems) -> Node | None:
    """Read the file `path`, called `shown` in messages; None when it cannot be read or parsed."""
    whole = Mark(shown)
    try:
        if path.is_dir():
            problems.add(whole, "", "this is a folder; give the name of a YAML file in it")
            return None
        if path.stat().st_size > MAX_BYTES:
            problems.add(whole, "", f"larger than {MAX_BYTES:,} bytes; a config is a short text")
            return None
        content = path.read_bytes()
    except FileNotFoundError:
        problems.add(whole, "", f"no such file{near_files(path)}")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.add(whole, "", f"cannot be read: {reason}")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        byte = content[error.start]
        problems.add(Mark(shown, line, column), "", f"not UTF-8 text (byte 0x{byte:02x})")
        return None
    return parse(text, whole, problems)


def parse(text: str, source: Mark, problems: Problems, path: str = "") -> Node | None:
    """Parse YAML `text` into a tree; None after a syntax error.

    Nodes carry positions when `source` is a file, and `source` itself when it is ``--set ...``
    (a source with a space in front of its path). `path` is where the value stands.
    """
    composer = _Composer(source, problems)
    try:
        loader = _Loader(text)
        try:
            return composer.document(loader, path)
        finally:
            loader.dispose()
    except _StopError:
        return None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        line, column, message = syntax.explain(error, text)
        problems.add(composer.mark(line, column), path, message)
        return None


class _StopError(Exception):
    """The document cannot be read further; the reason has been noted."""


class _Composer:
    """Builds the tree of one document."""

    def __init__(self, source: Mark, problems: Problems) -> None:
        self._source = source
        self._with_positions = not source.source.startswith("--set ")
        self._problems = problems
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._count = 0

    def mark(self, line: int, column: int) -> Mark:
        """Return the mark of a position counted from 1."""
        return Mark(self._source.source, line, column) if self._with_positions else self._source

    def document(self, loader: Any, path: str) -> Node | None:
        """Compose the only document of `loader`; None when there is none."""
        loader.get_event()
        event = loader.get_event()
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, self.mark(1, 1))
        node = self._node(loader, loader.get_event(), path, 1)[0]
        loader.get_event()
        event = loader.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, path, "a second document starts here ('---'); a config is one")
        return node

    def _node(self, loader: Any, event: Any, path: str, depth: int) -> tuple[Node, int]:
        """Compose the node that starts with `event`; return it and its height."""
        self._count += 1
        if depth > MAX_DEPTH:
            self._stop(event, "", f"nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_NODES:
            self._stop(event, path, f"more than {MAX_NODES:,} values (aliases count in full)")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        self._check_tag(event, path)
        if event.anchor:
            self._anchors[event.anchor] = None
        before = self._count
        if isinstance(event, yaml.ScalarEvent):
            node, height = self._scalar(event), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, height = self._sequence(loader, event, path, depth)
        else:
            node, height = self._mapping(loader, event, path, depth)
        if event.anchor:
            self._anchors[event.anchor] = node, height, self._count - before + 1
        return node, height

    def _alias(self, event: Any, path: str, depth: int) -> tuple[Node, int]:
        name = event.anchor
        if name not in self._anchors:
            self._stop(event, path, f"alias *{name} has no anchor &{name} before it")
        entry = self._anchors[name]
        if entry is None:
            self._stop(event, path, f"alias *{name} stands inside its own anchor")
        node, height, size = entry
        self._count += size
        if depth + height > MAX_DEPTH:
            self._stop(event, "", f"nested deeper than {MAX_DEPTH} levels")
        return node, height

    def _scalar(self, event: Any) -> Node:
        plain = event.implicit[0]
        value = resolve(event.value) if plain else event.value
        return Node(value, self._at(event), event.value, quoted=not plain)

    def _sequence(self, loader: Any, start: Any, path: str, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        height = 0
        while not isinstance(event := loader.get_event(), yaml.SequenceEndEvent):
            item, below = self._node(loader, event, f"{path}[{len(items)}]", depth + 1)
            items.append(item)
            height = max(height, below)
        return Node(items, self._at(start)), height + 1

    def _mapping(self, loader: Any, start: Any, path: str, depth: int) -> tuple[Node, int]:
        node = Node({}, self._at(start))
        merged: list[Node] = []
        height = 0
        while not isinstance(event := loader.get_event(), yaml.MappingEndEvent):
            key = self._node(loader, event, path, depth + 1)[0]
            if key.is_mapping or key.is_list:
                self._stop(event, path, "a key must be a word, not a list or mapping")
            inner = f"{path}.{key.text}" if path else key.text
            value, below = self._node(loader, loader.get_event(), inner, depth + 1)
            height = max(height, below)
            if key.text == "<<" and not key.quoted:
                merged += self._merged(value, event, path)
            elif key.text in node.value:
                first = node.keys[key.text]
                where = f" (first at {first.line}:{first.column})" if first.line else ""
                self._problems.add(self._at(event), inner, f"given twice{where}; keep one")
            else:
                node.value[key.text] = value
                node.keys[key.text] = self._at(event)
        for other in merged:
            for name in [name for name in other.value if name not in node.value]:
                node.value[name] = other.value[name]
                node.keys[name] = other.keys[name]
        return node, height + 1

    def _merged(self, value: Node, event: Any, path: str) -> list[Node]:
        sources: list[Node] = value.value if value.is_list else [value]
        if not all(source.is_mapping for source in sources):
            self._stop(event, path, "'<<' merges mappings; give an alias of one, as in '<<: *base'")
        return sources

    def _check_tag(self, event: Any, path: str) -> None:
        tag = event.tag
        if tag not in (None, "!", "tag:yaml.org,2002:str"):
            written = tag.replace("tag:yaml.org,2002:", "!!")
            self._stop(event, path, f"tag '{written}' is not understood; write the value plainly")

    def _at(self, event: Any) -> Mark:
        return self.mark(event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop(self, event: Any, path: str, text: str) -> NoReturn:
        self._problems.add(self._at(event), path, text)
        raise _StopError
