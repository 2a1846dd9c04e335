"""Checks of what users hand to symbols: shapes, element types, texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.op.attribute import DTYPES
from mxtrain.op.shape import Shape


def given_shape(name: str, value: Any) -> Shape:
    """Return the shape given for an argument; None for one that says nothing (None or ``()``).

    TypeError unless it is a tuple or list of integers.
    """
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or not all(hasattr(n, "__index__") for n in value):
        raise TypeError(f"the shape of '{name}' should be a tuple of integers, not {value!r}")
    return tuple(int(n) for n in value) or None


def dtype_name(dtype: Any) -> str:
    """Return the name of an element type given as a text, a NumPy type or a dtype.

    TypeError for what is no type at all, MXNetError for one that graphs do not have.
    """
    import numpy as np

    name: str = np.dtype(dtype).name
    if name not in DTYPES:
        raise MXNetError(f"'{name}' is no element type of a graph; known: {', '.join(DTYPES)}")
    return name


def checked_texts(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """Return attributes as a dict; ValueError unless all values are texts."""
    for key, value in (attributes or {}).items():
        if not isinstance(value, str):
            raise ValueError(
                f"attributes are texts: {key}={value!r} is a {type(value).__name__}; "
                f"write {key}={str(value)!r}"
            )
    return dict(attributes or {})
