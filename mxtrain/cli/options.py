"""Arguments and options that several commands share, and what they mean together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mxtrain.cli.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_CONFIG = "config.yaml"

_DECORATORS: dict[str, Callable[[Any], Any]] = {
    "config": click.argument("config", required=False, type=click.Path(path_type=Path)),
    "overrides": click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Give a value of the config anew, e.g. optimizer.learning_rate=0.05; repeatable.",
    ),
    "backend": click.option(
        "--backend", type=click.Choice(["numpy", "numba", "cupy"]), help="Where kernels run."
    ),
    "device": click.option(
        "--device", type=click.IntRange(min=0), help="Number of the GPU, with --backend cupy."
    ),
    "math": click.option(
        "--math",
        type=click.Choice(["float32", "tf32"]),
        help="What float32 products are computed in, with --backend cupy.",
    ),
    "seed": click.option(
        "--seed", type=click.IntRange(min=0), help="Decides every random number of the run."
    ),
    "output": click.option(
        "--output",
        "-o",
        metavar="FOLDER",
        type=click.Path(path_type=Path),
        help="The run's folder; without it a new numbered one is made under runs/.",
    ),
    "quiet": click.option(
        "--quiet", "-q", is_flag=True, help="Show nothing unless something goes wrong."
    ),
    "plugins": click.option(
        "--plugin",
        "plugins",
        metavar="FILE",
        multiple=True,
        help="Load this Python file (or module) first, as a config's plugins; repeatable.",
    ),
    "as_json": click.option("--json", "as_json", is_flag=True, help="Write JSON."),
}

CONFIG_OPTIONS = ("config", "overrides", "backend", "device", "math", "seed")


def shared(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds the shared arguments and options called `names`, in order."""

    def add(function: F) -> F:
        for name in reversed(names):
            function = _DECORATORS[name](function)
        return function

    return add


def load_plugins(entries: tuple[str, ...]) -> None:
    """Load what ``--plugin`` names, relative to the current folder (UserError when it fails)."""
    if not entries:
        return  # the config room need not be imported
    from mxtrain.config.plugins import load
    from mxtrain.errors import PluginError

    for entry in entries:
        try:
            load(entry, Path.cwd())
        except PluginError as error:
            raise UserError(f"plugin '{entry}': {error}") from error


def load_spec(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    graph: Path | None = None,
) -> Any:
    """Return the checked `RunSpec` of the command line (ConfigErrors, UserError).

    `graph` is taken where the file of the network has gone.
    """
    path = find_config(config)
    given = list(overrides)
    if backend is not None:
        given.append(f"backend={backend}")
    if device is not None:
        given.append(f"device={device}")
    if math is not None:
        given.append(f"math={math}")
    if seed is not None:
        given.append(f"seed={seed}")
    from mxtrain.config import load

    return load(path, given, graph=graph)


def find_config(given: Path | None) -> Path:
    """Return the config to use: the file given, that in the folder given, or ./config.yaml."""
    path = Path(DEFAULT_CONFIG) if given is None else given
    if path.is_dir():
        path = path / DEFAULT_CONFIG
    if path.exists():
        return path
    if given is None:
        raise UserError(
            f"There is no {DEFAULT_CONFIG} here. Name a config, or make a starter with: mxtrain new"
        )
    from mxtrain.errors import closest

    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = closest(path.name, names)
    hint = f" Did you mean '{folder / near}'?" if near else " A starter is made by: mxtrain new"
    raise UserError(f"There is no file '{path}'.{hint}")
