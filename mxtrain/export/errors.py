"""What can go wrong when a model is exported."""

from __future__ import annotations

from mxtrain.errors import MXNetError


class ExportError(MXNetError):
    """A graph that cannot be written as a model of the other system; the text names the node."""


class FixedBatchError(ExportError):
    """A graph, or a node of it, that works for one batch size only."""


class MissingLibraryError(ExportError):
    """A library that exporting needs is not installed."""


class DifferenceError(ExportError):
    """The exported model does not compute what the executor computes."""
