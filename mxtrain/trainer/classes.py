"""What the classes of an output are called, wherever they are shown or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxtrain.trainer.saved import SavedModel


def known_classes(model: SavedModel, label: str | None) -> tuple[str, ...]:
    """Return the classes that a model's run found in the rows of a label input, by number.

    None at all for values, and for a model of no run.
    """
    labels = (model.labels or {}).get(label or "")
    return () if labels is None else labels.names


def class_names(known: Sequence[str], count: int) -> tuple[str, ...]:
    """Return a name for each of the `count` classes that an output tells apart.

    They are the `known` ones in order. An output may have room for more classes than the training
    rows had: these are told by their numbers, as are all where none is known.

    >>> class_names(("ash", "elm"), 3)
    ('ash', 'elm', 'class 2')
    >>> class_names((), 2)
    ('0', '1')
    """
    if not known:
        return tuple(map(str, range(count)))
    return (*known, *(_numbered(number, known) for number in range(len(known), count)))


def _numbered(number: int, known: Sequence[str]) -> str:
    name = f"class {number}"
    return f"{name} (unnamed)" if name in known else name
