"""Files of a checkpoint that are not as the run wrote them, and which of them it can do without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mxtrain.checkpoint.digest import sha256_of
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.folder import PREPROCESSING, SYMBOL

_ANEW = {SYMBOL: "from the network of the config", PREPROCESSING: "from the training rows"}


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise SetupError unless the files of a checkpoint are there, and as they were written."""
    for text in _damaged(folder, digests).values():
        raise SetupError(text)


def spared(folder: Path, metadata: Mapping[str, Any], force: bool) -> dict[str, str]:
    """Return which files of a checkpoint are damaged, by name, in words.

    They are files that a run can do without: graph and preprocessing, which are made again, and the
    best weights. SetupError for the weights it goes on from, and without `force` for any file.
    """
    damaged = _damaged(folder, metadata["files"])
    advice = dict.fromkeys(_ANEW, "and writes it anew")
    best = metadata["best_weights"]
    if best != metadata["weights"]:
        advice[best] = "without it: the best weights so far are lost"
    for name, text in damaged.items():
        if name not in advice:
            raise SetupError(text)
    if damaged and not force:
        texts = (f"{text}; --force goes on {advice[name]}" for name, text in damaged.items())
        raise SetupError("\n".join(texts))
    return damaged


def repairs(damaged: Mapping[str, str], best: Mapping[str, Any]) -> list[str]:
    """Say what is lost, or written anew, of files that `spared` found; `best` is the best epoch."""
    found = []
    for name, text in damaged.items():
        if name in _ANEW:
            found.append(f"{text}; it is written anew {_ANEW[name]}")
        else:
            epoch = f"{best['epoch']}, {best['name']} {best['value']:.6g}"
            found.append(
                f"{text}; the weights of the best epoch so far ({epoch}) are lost, and the best "
                "epoch is told anew from here on"
            )
    return found


def _damaged(folder: Path, digests: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with files, by name."""
    found = {}
    for name, digest in digests.items():
        path = folder / Path(name).name
        if not path.is_file():
            found[name] = f"{path} is missing"
        elif sha256_of(path) != digest:
            found[name] = f"{path} is damaged: it is not as the run wrote it (SHA-256)"
    return found
