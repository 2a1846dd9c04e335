"""onnxruntime on this machine's processor: quiet, in one thread, telling nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mxtrain.export.errors import ExportError
from mxtrain.export.libraries import load

Array = np.ndarray[Any, Any]
_FATAL_ONLY = 4


class Session:
    """A model that onnxruntime has taken, from the bytes of its file.

    ExportError when it does not take it: an operator it has no kernel for, or an operator set that
    is too new for it.
    """

    def __init__(self, content: bytes) -> None:
        runtime = load("onnxruntime")
        runtime.disable_telemetry_events()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        try:
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common class but this
            raise ExportError(
                f"onnxruntime {runtime.__version__} does not take the model: {error}"
            ) from error

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Return the outputs for inputs by name; ExportError where an operator fails."""
        wanted = {one.name: inputs[one.name] for one in self._session.get_inputs()}
        try:
            found: list[Array] = self._session.run(None, wanted)
        except Exception as error:  # its exceptions have no common class but this
            raise ExportError(f"the exported model cannot be run: {error}") from error
        return found
