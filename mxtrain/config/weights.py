"""Reads ``weights``, and checks ``fit.fixed_params``: what a network starts from and what stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.config.document import Node
from mxtrain.config.inputs import DATA
from mxtrain.config.paths import absolute
from mxtrain.config.problem import near_files
from mxtrain.config.section import BAD, Context, joined, read_section
from mxtrain.config.spec import FitSpec, WeightsSpec
from mxtrain.errors import closest

if TYPE_CHECKING:
    from mxtrain.symbol import Symbol

_MOST_NAMED = 8


def read_weights(node: Node, path: str, context: Context) -> Any:
    """Return the `WeightsSpec` of `node`, None where there is none, or `BAD`."""
    if node.value is None:
        return None
    spec = read_section(WeightsSpec, node, path, context, {})
    if spec is BAD:
        return BAD
    at, where = node.value["file"], joined(path, "file")
    full = context.folder / spec.file
    try:
        if context.looks_at_files and not (full.exists() or _is_prefix(full)):
            text = f"no such file, run or model '{spec.file}'{near_files(full, spec.file)}"
            return context.bad(at, where, text)
    except (OSError, ValueError) as error:
        return context.bad(at, where, f"not a usable path: {error}")
    return replace(spec, file=absolute(spec.file, context.folder))


def _is_prefix(path: Path) -> bool:
    """Whether `path` is MXNet's prefix of a model."""
    return path.with_name(f"{path.name}-symbol.json").exists()


def fixed_parameters(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those of the parameters `names` that a pattern means.

    Raises ValueError for the first pattern that means none.

    >>> fixed_parameters(["fc1_*"], ["fc1_weight", "fc1_bias", "fc2_weight"])
    ['fc1_weight', 'fc1_bias']
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = closest(pattern.strip("*?"), names)
            more = ", ..." if len(names) > _MOST_NAMED else ""
            listed = f"they are: {', '.join(names[:_MOST_NAMED])}{more}"
            hint = f"did you mean '{near}'?" if near else listed
            raise ValueError(f"'{pattern}' matches no parameter of the network ({hint})")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def check_fixed(fit: FitSpec, node: Node, symbol: Symbol, context: Context) -> None:
    """Note each pattern of ``fit.fixed_params`` that means no parameter of the network."""
    names = [n for n in symbol.list_arguments() if n != DATA and not n.endswith("label")]
    for number, pattern in enumerate(fit.fixed_params):
        try:
            fixed_parameters([pattern], names)
        except ValueError as error:
            at = node.value["fixed_params"].value[number]
            context.problems.add(at.mark, f"fit.fixed_params[{number}]", str(error))
