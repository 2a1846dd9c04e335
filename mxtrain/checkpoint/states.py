"""Optimizer states as safetensors bytes. Nothing is pickled.

A state is None, an array, a plain value, or a collection of states (`packing.py`). The arrays
become tensors; what nests them goes, as JSON, into the file's metadata under the single key
``mxtrain``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.checkpoint.packing import pack, unpack
from mxtrain.errors import FileFormatError

__all__ = ["dump_states", "load_states"]

Key = int | str

_METADATA_KEY = "mxtrain"
_FORMAT = 1


def dump_states(states: dict[Key, Any], metadata: dict[str, Any]) -> bytes:
    """Turn optimizer states by index or name, and free JSON `metadata`, into bytes.

    The same contents always give the same bytes. Raises TypeError for a state or metadata that
    cannot be stored.
    """
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray[Any, Any]] = {}
    entries = []
    for number, (key, state) in enumerate(states.items()):
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise TypeError(f"states are kept by number or name, got {key!r}")
        entries.append([key, pack(state, f"{number}", tensors)])
    header = {"format": _FORMAT, "states": entries, "metadata": metadata}
    data: bytes = save(tensors, {_METADATA_KEY: json.dumps(header, sort_keys=True)})
    return data


def load_states(data: bytes) -> tuple[dict[Key, Any], dict[str, Any]]:
    """Read what `dump_states` wrote: the states, with arrays as `NDArray`, and the metadata.

    Raises FileFormatError for anything else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = {name: nd.view(np.array(tensor)) for name, tensor in load(data).items()}
        header = _header(data)
        states = {_key(key): unpack(node, tensors) for key, node in header["states"]}
        metadata = header["metadata"]
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        if data[:1] == b"\x80" and data[-1:] == b".":
            raise FileFormatError(
                "these are states as MXNet writes them, by pickle, which are not read: such a file "
                "can run any program"
            ) from None
        raise FileFormatError(f"optimizer states are damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise FileFormatError(f"optimizer states are damaged: metadata is {metadata!r}")
    return states, metadata


def _key(key: Any) -> Key:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise ValueError(f"states are kept by number or name, got {key!r}")
    return key


def _header(data: bytes) -> dict[str, Any]:
    """Read our part of the metadata; the frame is checked, but `load` drops it."""
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    if _METADATA_KEY not in metadata:
        raise ValueError("this safetensors file was not written by mxtrain")
    header = json.loads(metadata[_METADATA_KEY])
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(f"unknown format of states, expected {_FORMAT}")
    return header
