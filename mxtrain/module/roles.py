"""What each argument of a graph is to a module: data, label, state, fixed or learned."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mxtrain.errors import unknown_name
from mxtrain.executor.binding import grad_reqs
from mxtrain.symbol import Symbol


class Roles:
    """Names of a module's arguments by what they are for.

    Parameters
    ----------
    symbol : the graph.
    data, labels : inputs that come with every batch.
    states : inputs that neither come with a batch nor learn.
    fixed : parameters that do not learn.

    Attributes
    ----------
    parameters : all arguments that are none of the inputs, in argument order.
    auxiliary : the auxiliary states.

    Raises ValueError for a data, state or fixed name that is no argument; for a label it is a
    UserWarning, since a graph may be cut before its loss.
    """

    def __init__(
        self,
        symbol: Symbol,
        data: Sequence[str],
        labels: Sequence[str],
        states: Sequence[str],
        fixed: Sequence[str],
    ) -> None:
        self.arguments = symbol.list_arguments()
        self.auxiliary = symbol.list_auxiliary_states()
        self.data, self.labels = list(data), list(labels)
        self.states, self.fixed = list(states), list(fixed)
        for kind, names in (("data", data), ("state", states), ("fixed_param", fixed)):
            for name in names:
                if name not in self.arguments:
                    raise ValueError(self._unknown(kind, name))
        for name in labels:
            if name not in self.arguments:
                warnings.warn(self._unknown("label", name), UserWarning, stacklevel=3)
        inputs = {*data, *labels, *states}
        self.parameters = [name for name in self.arguments if name not in inputs]

    def _unknown(self, kind: str, name: str) -> str:
        return f"{kind}_names: " + unknown_name("argument", name, self.arguments)

    def grad_reqs(self, grad_req: Any, inputs_need_grad: bool) -> dict[str, str]:
        """Return write, add or null for every argument.

        A word goes for all that learn, and for the data if `inputs_need_grad`; labels, states and
        fixed parameters get null. A mapping replaces the words of its names, all others being as
        for ``"write"``; a list has a word for every argument. Raises MXNetError for other words
        and ValueError for names that are no argument.
        """
        if not isinstance(grad_req, str | Mapping):
            return dict(zip(self.arguments, grad_reqs(self.arguments, grad_req), strict=True))
        word = grad_req if isinstance(grad_req, str) else "write"
        moving = {*self.parameters} - {*self.fixed}
        if inputs_need_grad:
            moving |= {*self.data}
        words = {name: word if name in moving else "null" for name in self.arguments}
        if isinstance(grad_req, Mapping):
            for name in grad_req:
                if name not in words:
                    raise ValueError("grad_req: " + unknown_name("argument", name, words))
            words |= grad_req
        return dict(zip(words, grad_reqs(list(words), words), strict=True))
