"""Which files a saved model consists of: a graph, weights, and the folder of the run they are of.

A model is named by the folder of a run, by one file of a checkpoint, or as MXNet does, by a prefix
(``prefix-symbol.json``, ``prefix-0003.params``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.digest import sha256_of
from mxtrain.checkpoint.naming import FORMATS
from mxtrain.errors import FileFormatError, MXNetError, closest
from mxtrain.trainer.folder import CONFIG, PREFIX, PREPROCESSING

SYMBOL_ENDING = "-symbol.json"
WHICH = ("best", "last")
_WEIGHTS = re.compile(r"(?P<prefix>.+?)-(?P<epoch>\d{4,})(-batch-(?P<batch>\d{4,}))?")
_MOST_LISTED = 8


@dataclass(frozen=True)
class SavedFiles:
    """The files of a model.

    Attributes
    ----------
    symbol, weights : the graph, and the arrays that belong to it.
    epoch : after how many epochs the weights were saved, as far as their name tells.
    folder : of the run that made them; None for a model that is not one of a run.
    """

    symbol: Path
    weights: Path
    epoch: int | None
    folder: Path | None


class _Numbered(NamedTuple):
    """A file of weights that is named after its place in a run; later ones are larger."""

    epochs_done: int
    batch: int
    path: Path


def find(path: str | Path, epoch: int | None = None, which: str | None = None) -> SavedFiles:
    """Return the files of the model called `path`.

    Parameters
    ----------
    path : the folder of a run, one file of a checkpoint, or MXNet's prefix.
    epoch : the weights after so many epochs.
    which : ``best`` or ``last``, of a run. Without either it is what the run ended with: the best
        weights where it restores them, else the newest.

    Raises MXNetError, with what was looked for, where there is no such model; FileFormatError for
    a file of a run that is not the one it wrote.
    """
    if epoch is not None and which is not None:
        raise MXNetError(f"epoch {epoch} and '{which}' were both asked for; choose one of them")
    if which is not None and which not in WHICH:
        raise MXNetError(f"which weights is one of {', '.join(WHICH)}, got '{which}'")
    given = Path(path)
    if given.is_dir():
        return _by_prefix(_prefix_in(given), epoch, which)
    if given.name.endswith(SYMBOL_ENDING) and given.is_file():
        return _by_prefix(_cut(given), epoch, which)
    if given.is_file():
        if epoch is not None or which is not None:
            wanted = f"epoch {epoch}" if which is None else f"'{which}'"
            raise MXNetError(
                f"'{path}' is one checkpoint; to choose {wanted}, name its run or its prefix"
            )
        return _by_file(given)
    if _with_ending(given, SYMBOL_ENDING).is_file():
        return _by_prefix(given, epoch, which)
    raise MXNetError(_not_there(given))


def find_weights(path: str | Path) -> Path:
    """Return the file of weights that `path` means; other than for `find`, it needs no graph.

    Raises as `find` does.
    """
    given = Path(path)
    if given.is_file() and not given.name.endswith(SYMBOL_ENDING):
        name = _WEIGHTS.fullmatch(given.stem)
        if not name or _run_of(given.with_name(name["prefix"])) is None:
            return given
    return find(given).weights


def _with_ending(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)


def _cut(symbol: Path) -> Path:
    return symbol.with_name(symbol.name.removesuffix(SYMBOL_ENDING))


def _prefix_in(folder: Path) -> Path:
    """Return the prefix of the model in a folder: a run's, or the only one there is."""
    if (folder / CONFIG).exists() or (folder / f"{PREFIX}{SYMBOL_ENDING}").exists():
        return folder / PREFIX
    symbols = _symbols(folder)
    if not symbols:
        raise MXNetError(
            f"the folder '{folder}' holds no model: neither a run's {CONFIG} nor a "
            f"'*{SYMBOL_ENDING}'"
        )
    if len(symbols) > 1:
        listed = _listed([str(_cut(symbol)) for symbol in symbols])
        raise MXNetError(f"the folder '{folder}' holds several models; name one: {listed}")
    return _cut(symbols[0])


def _symbols(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SYMBOL_ENDING}"))


def _by_prefix(prefix: Path, epoch: int | None, which: str | None) -> SavedFiles:
    folder = _run_of(prefix)
    found = _numbered(prefix)
    if not found:
        raise MXNetError(
            f"there are no weights of '{prefix}': looked for "
            f"'{_with_ending(prefix, '-NNNN.params')}'"
            + (f"; the run in '{folder}' has saved none yet" if folder else "")
        )
    if epoch is not None:
        whole = {one.epochs_done: one.path for one in found if not one.batch}
        if epoch not in whole:
            listed = _listed([str(number) for number in sorted(whole)])
            raise MXNetError(
                f"there are no weights of '{prefix}' after epoch {epoch}; there are those after "
                f"{listed or 'no whole epoch'}"
            )
        return _checked(prefix, whole[epoch], folder)
    chosen = None if folder is None else _chosen_by_state(prefix, which)
    if chosen is None and which == "best":
        raise MXNetError(
            f"which weights of '{prefix}' are the best is not known: there is no state of a run "
            "that tells; choose an epoch instead"
        )
    return _checked(prefix, chosen or found[-1].path, folder)


def _numbered(prefix: Path, ending: str = ".params") -> list[_Numbered]:
    """Return the files of weights (or states) with a prefix, the newest last."""
    found = []
    folder = prefix.parent
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _WEIGHTS.fullmatch(path.stem)
        if path.suffix == ending and name and name["prefix"] == prefix.name:
            epoch, batch = int(name["epoch"]), int(name["batch"] or 0)
            found.append(_Numbered(epoch - 1 if batch else epoch, batch, path))
    return sorted(found)


def _chosen_by_state(prefix: Path, which: str | None) -> Path | None:
    """Return the weights that the newest state of a run names; None without a state."""
    states = _numbered(prefix, ".safetensors")
    if not states:
        return None
    metadata = run_state.load_metadata(states[-1].path)
    best = metadata.get("best_weights")
    if which == "best" or (which is None and metadata.get("restores_best")):
        if best:
            return _named(states[-1].path, best)
        if which == "best":
            raise MXNetError(f"the run in '{prefix.parent}' has no best epoch yet")
    return _named(states[-1].path, metadata.get("weights"))


def _named(state: Path, name: Any) -> Path:
    """Return the file beside a state that it names."""
    if not isinstance(name, str) or Path(name).name != name:
        raise FileFormatError(f"{state} names no file of weights beside it, but {name!r:.60}")
    path = state.with_name(name)
    if not path.is_file():
        raise MXNetError(f"'{path}' is missing: {state.name} says the weights are there")
    return path


def _by_file(path: Path) -> SavedFiles:
    if path.suffix not in FORMATS:
        raise MXNetError(
            f"'{path}' is no saved model: give the folder of a run, weights "
            f"({', '.join(FORMATS)}) or a '*{SYMBOL_ENDING}'"
        )
    name = _WEIGHTS.fullmatch(path.stem)
    prefix = path.with_name(name["prefix"] if name else path.stem)
    folder = _run_of(prefix)
    weights = path.with_suffix(".params")
    if folder is not None and path.suffix == ".safetensors" and weights.exists():
        path = _named(path, run_state.load_metadata(path).get("weights"))
    return _checked(prefix, path, folder)


def _checked(prefix: Path, weights: Path, folder: Path | None) -> SavedFiles:
    """Return the files, after a look whether they are those that a run has written."""
    symbol = _symbol_of(prefix, weights)
    if folder is not None:
        _check_digests(prefix, weights, [weights, symbol, folder / PREPROCESSING])
    name = _WEIGHTS.fullmatch(weights.stem)
    epoch = int(name["epoch"]) if name and not name["batch"] else None
    return SavedFiles(symbol, weights, epoch, folder)


def _symbol_of(prefix: Path, weights: Path) -> Path:
    symbol = _with_ending(prefix, SYMBOL_ENDING)
    if symbol.is_file():
        return symbol
    others = _symbols(weights.parent)
    if len(others) == 1:
        return others[0]
    hint = f"; which of {_listed([p.name for p in others])} belongs to it?" if others else ""
    raise MXNetError(f"there is no graph for '{weights}': looked for '{symbol}'{hint}")


def _run_of(prefix: Path) -> Path | None:
    """Return the folder of the run whose model has this prefix, None where it is of no run.

    What it learned from its rows makes it one too: without that its predictions would be others.
    """
    folder = prefix.parent
    is_run = any((folder / name).is_file() for name in (CONFIG, PREPROCESSING))
    return folder if is_run and prefix.name == PREFIX else None


def _check_digests(prefix: Path, weights: Path, files: Iterable[Path]) -> None:
    """Refuse files other than those of the run (FileFormatError), as far as its state tells.

    That is the state of the same checkpoint. The best weights may have none of their own; then it
    is the newest.
    """
    states = [one.path for one in _numbered(prefix, ".safetensors")]
    own = weights.with_suffix(".safetensors")
    state = own if own in states else states[-1] if states else None
    known = {} if state is None else run_state.load_metadata(state).get("files", {})
    for path in files:
        if path.is_file() and known.get(path.name, digest := sha256_of(path)) != digest:
            advice = (
                "take another checkpoint of the run, or copy graph and weights out of its folder"
                if path == weights
                else f"put it back, or let the run write it anew: mxtrain fit --resume "
                f"{path.parent} --force"
            )
            raise FileFormatError(
                f"{path} is not the file that the run wrote (its SHA-256 is another); {advice}"
            )


def _not_there(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no model '{path}': there is no folder '{folder}'"
    names = [entry.name for entry in folder.iterdir()]
    prefixes = [name.removesuffix(SYMBOL_ENDING) for name in names if name.endswith(SYMBOL_ENDING)]
    near = closest(path.name, [*names, *prefixes])
    hint = f"; did you mean '{folder / near}'?" if near else ""
    symbol = _with_ending(path, SYMBOL_ENDING)
    return f"there is no model '{path}': neither a folder, nor a file, nor '{symbol}'{hint}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
