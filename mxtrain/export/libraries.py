"""The two libraries that exporting needs and nothing else does."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mxtrain.export.errors import MissingLibraryError


def load(name: str) -> Any:
    """Import `onnx`, `onnxruntime` or a part of one (MissingLibraryError if it is not there)."""
    try:
        return import_module(name)
    except ImportError as error:
        library = name.partition(".")[0]
        raise MissingLibraryError(
            f"exporting to ONNX needs the library {library}, which cannot be imported ({error}); "
            "install it with: pip install 'mxtrain[onnx]'"
        ) from error
