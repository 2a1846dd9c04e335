"""The parameters users see: dictionaries beside the memory that trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mxtrain import nd
from mxtrain.errors import CallError, MXNetError, unknown_name
from mxtrain.executor.arrays import check_shape, copy_checked
from mxtrain.initializer import InitDesc
from mxtrain.module.memory import Memory
from mxtrain.nd import NDArray


class ParameterStore:
    """Parameters and auxiliary states as `get_params` hands them out.

    Writing into them does not reach the memory a module trains in; `push` does that, and `pull`
    brings them up to date.

    Attributes
    ----------
    arg_params, aux_params : arrays by name; the dictionaries stay the same objects.
    stale : whether the memory has changed since the latest `pull` or `push`.
    """

    def __init__(self) -> None:
        self.arg_params: dict[str, NDArray] = {}
        self.aux_params: dict[str, NDArray] = {}
        self.stale = False

    def fit(self, memory: Memory) -> None:
        """Have an array for each one of `memory`, keeping values there are, else zeros.

        Raises ValueError for a name the memory has not and MXNetError where shapes differ.
        """
        fitted = [
            _fitted(kind, store, arrays)
            for kind, store, arrays in (
                ("parameter", self.arg_params, memory.parameters),
                ("auxiliary state", self.aux_params, memory.auxiliary),
            )
        ]
        for store, values in zip((self.arg_params, self.aux_params), fitted, strict=True):
            store.clear()
            store.update(values)

    def initialize(
        self,
        attributes: Mapping[str, Mapping[str, str]],
        initializer: Any,
        arg_params: Mapping[str, Any] | None,
        aux_params: Mapping[str, Any] | None,
        allow_missing: bool,
    ) -> None:
        """Give each array a value, in alphabetical order: a given one, or the initializer's.

        CallError for the class of an initializer: many of them can be called with an array too.
        """
        if isinstance(initializer, type):
            name = initializer.__name__
            raise CallError(f"initializer is the class {name}; make one: {name}()")
        pairs = ((self.arg_params, arg_params), (self.aux_params, aux_params))
        for store, given in pairs:  # before anything is changed
            for name, array in sorted(store.items()):
                if given is not None and name in given:
                    check_shape(name, given[name], array)
                elif given is not None and not allow_missing:
                    raise MXNetError(
                        f"no value for the parameter '{name}'; "
                        "allow_missing=True takes the initializer's"
                    )
        for store, given in pairs:
            for name, array in sorted(store.items()):
                if given is not None and name in given:
                    if given[name] is not array:
                        copy_checked(name, given[name], array)
                elif initializer is not None:
                    initializer(InitDesc(name, attributes.get(name)), array)

    def pull(self, memory: Memory) -> None:
        """Fetch the values of `memory` if they have changed."""
        if self.stale:
            _copy_all(memory.parameters, self.arg_params)
            _copy_all(memory.auxiliary, self.aux_params)
            self.stale = False

    def push(self, memory: Memory) -> None:
        """Write all values into `memory`."""
        _copy_all(self.arg_params, memory.parameters)
        _copy_all(self.aux_params, memory.auxiliary)
        self.stale = False


def _fitted(kind: str, store: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, NDArray]:
    for name in store:
        if name not in arrays:
            raise ValueError(unknown_name(kind, name, arrays))
    fitted = {name: nd.zeros(array.shape, dtype=array.dtype) for name, array in arrays.items()}
    for name, value in store.items():
        copy_checked(name, value, fitted[name])
    return fitted


def _copy_all(source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    for name, array in source.items():
        target[name][...] = array
