"""Reads ``compare``: the optimizers to compare, the learning rates to try, the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mxtrain.config.component import read_component
from mxtrain.config.document import Node
from mxtrain.config.section import BAD, Context, read_section
from mxtrain.config.spec import CompareSpec


def read_compare(node: Node, path: str, context: Context, managed: Mapping[str, str]) -> Any:
    """Return the `CompareSpec` of `node`, None where there is none, or `BAD`.

    `managed` are the settings of optimizers that the tool gives itself, with where they belong.
    """
    if node.value is None:
        return None
    return read_section(
        CompareSpec,
        node,
        path,
        context,
        {"optimizers": lambda child, inner: _read_optimizers(child, inner, context, managed)},
    )


def _read_optimizers(node: Node, path: str, context: Context, managed: Mapping[str, str]) -> Any:
    """Return the optimizers of `node`: one, or a list of different ones."""
    from mxtrain.optimizer import registry

    items = node.value if node.is_list else [node]
    found: list[Any] = []
    for number, item in enumerate(items):
        inner = f"{path}[{number}]" if node.is_list else path
        component = read_component(item, inner, context, registry, managed)
        if component is not BAD and component in found:
            text = f"the same as {path}[{found.index(component)}]; keep one"
            component = context.bad(item, inner, text)
        found.append(component)
    return BAD if any(item is BAD for item in found) else tuple(found)
