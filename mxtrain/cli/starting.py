"""Options of commands that start from saved weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--weights",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Start from saved weights: a file of them, a run, or MXNet's prefix.",
    ),
    click.option(
        "--allow-missing", is_flag=True, help="Initialize parameters that the weights lack."
    ),
    click.option(
        "--ignore-extra", is_flag=True, help="Leave out weights that are not of this network."
    ),
)


def weights_options(function: F) -> F:
    """Add ``--weights``, ``--allow-missing`` and ``--ignore-extra``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def weights_overrides(
    weights: Path | None, allow_missing: bool, ignore_extra: bool
) -> tuple[str, ...]:
    """Return what these options mean for the config, as ``--set`` would say it.

    >>> weights_overrides(None, True, False)
    ('weights.allow_missing=true',)
    """
    found = []
    if weights is not None:
        # A path on the command line is relative to the current folder, not to that of the config.
        full = weights if weights.is_absolute() else weights.resolve()
        found.append(f"weights.file={json.dumps(str(full), ensure_ascii=False)}")
    flags = (("allow_missing", allow_missing), ("ignore_extra", ignore_extra))
    return (*found, *(f"weights.{name}=true" for name, given in flags if given))


def saved_as_given(spec: RunSpec, weights: Path | None) -> RunSpec:
    """Return the spec with ``--weights`` relative in the run's config where they were given so."""
    if weights is None or weights.is_absolute() or spec.weights is None:
        return spec
    return replace(spec, weights=replace(spec.weights, file=str(spec.weights.file)))
