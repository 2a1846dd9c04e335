"""Names of files and of arrays: endings, and MXNet's prefixes ``arg:`` and ``aux:``.

Only ``.params`` files have the prefixes. A ``.safetensors`` file that was made from one keeps the
names it had there in its metadata, so that the way back gives the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "AUXILIARY_ENDINGS",
    "FORMATS",
    "mxnet_names",
    "names_metadata",
    "plain_names",
    "with_prefix",
    "without_prefix",
]

FORMATS = (".params", ".safetensors", ".npz")
"""The endings of the files of arrays that are read and written."""

PREFIXES = ("arg:", "aux:")
AUXILIARY_ENDINGS = ("moving_mean", "moving_var", "running_mean", "running_var", "moving_avg")
"""What the names of auxiliary states end in, where no graph says which they are."""

_KEY = "mxnet_names"


def without_prefix(name: str) -> str:
    """Cut off the ``arg:`` or ``aux:`` that the files of a model have.

    >>> without_prefix("arg:fc_weight"), without_prefix("fc:weight")
    ('fc_weight', 'fc:weight')
    """
    return name[4:] if name.startswith(PREFIXES) else name


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Return each name without its prefix, or with it where two would be the same without.

    >>> plain_names(["arg:a", "aux:b", "arg:c", "aux:c"])
    {'arg:a': 'a', 'aux:b': 'b', 'arg:c': 'arg:c', 'aux:c': 'aux:c'}
    """
    given = list(names)
    plain = Counter(map(without_prefix, given))
    taken = set(given)
    return {
        name: cut if plain[cut] == 1 and (cut == name or cut not in taken) else name
        for name, cut in zip(given, map(without_prefix, given), strict=True)
    }


def with_prefix(name: str, auxiliary: Iterable[str] | None = None) -> str:
    """Return the name in a ``.params`` file.

    Parameters
    ----------
    name : one that has a prefix keeps it.
    auxiliary : the auxiliary states of the graph; None when there is no graph, and then those
        with one of `AUXILIARY_ENDINGS` are taken for such.

    >>> with_prefix("bn_moving_var"), with_prefix("fc_weight"), with_prefix("m", ["m"])
    ('aux:bn_moving_var', 'arg:fc_weight', 'aux:m')
    """
    if name.startswith(PREFIXES):
        return name
    if auxiliary is None:
        is_auxiliary = name.endswith(AUXILIARY_ENDINGS)
    else:
        is_auxiliary = name in set(auxiliary)
    return f"{'aux' if is_auxiliary else 'arg'}:{name}"


def names_metadata(names: Sequence[str] | None) -> dict[str, str]:
    """Return the metadata that remembers MXNet's names in their order; None stands for a list."""
    text = json.dumps(None if names is None else list(names), ensure_ascii=False)
    return {_KEY: text}


def mxnet_names(
    names: Sequence[str], metadata: Mapping[str, str]
) -> tuple[dict[str, str] | None, bool]:
    """Return MXNet's names that `metadata` remembers, by the names here, and whether there are any.

    They come in the order they had there. Where the metadata tells of other arrays than there are
    (a tool may have added some, and kept the texts), nothing is known: None.
    """
    try:
        remembered = json.loads(metadata.get(_KEY, "[]"))
    except (ValueError, RecursionError):
        return None, True
    if remembered is None:
        return None, set(names) != {str(i) for i in range(len(names))}
    if not isinstance(remembered, list) or not all(isinstance(name, str) for name in remembered):
        return None, True
    here = {plain: name for name, plain in plain_names(remembered).items()}
    if len(remembered) != len(names) or here.keys() != set(names):
        return None, True
    return here, True
