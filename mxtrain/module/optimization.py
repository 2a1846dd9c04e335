"""A module's optimizer: bound to the arena where it can be, one by one elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import optimizer as optimizers
from mxtrain.backend.numpy import Array, RunnableRule
from mxtrain.checkpoint.atomic import atomic_write
from mxtrain.checkpoint.states import load_states
from mxtrain.errors import CallError, FileFormatError, MXNetError
from mxtrain.executor.arena import Place
from mxtrain.module.memory import Memory
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.optimizer.together import takes_masters
from mxtrain.optimizer.updater import get_updater
from mxtrain.symbol import Symbol


def make_optimizer(
    given: Any, params: Mapping[str, Any], symbol: Symbol, names: Sequence[str], rows: int
) -> Any:
    """Return an optimizer for the parameters `names` and batches of `rows` rows.

    A name is created with `params` and, unless given, ``rescale_grad = 1 / rows``. An object is
    returned as it is, told the names unless it knows some; another `rescale_grad` is a
    UserWarning. CallError for anything else.
    """
    rescale_grad = 1.0 / rows
    idx2name = dict(enumerate(names))
    if isinstance(given, str):
        settings = {"rescale_grad": rescale_grad, **params}
        return optimizers.create(given, sym=symbol, param_idx2name=idx2name, **settings)
    if isinstance(given, type):
        raise CallError(f"optimizer is the class {given.__name__}; make one: {given.__name__}()")
    if not isinstance(given, optimizers.Optimizer):
        raise CallError(f"optimizer is a name or an Optimizer, not a {type(given).__name__}")
    if given.rescale_grad != rescale_grad:
        warnings.warn(
            f"the optimizer's rescale_grad is {given.rescale_grad}, not 1/batch size "
            f"({rescale_grad}); is this intended?",
            UserWarning,
            stacklevel=3,
        )
    if not given.idx2name:
        given.idx2name = idx2name
    return given


class Optimization:
    """An optimizer with the states of a module's parameters.

    A formula optimizer is bound to each dtype of the arena. Parameters it cannot take there (those
    of half precision without a master, gradients outside the arena) and optimizers with an
    `update` of their own go through the updater, one by one.

    Parameters
    ----------
    optimizer : whose algorithm it is.
    names : all parameters; a parameter's index is its place here.
    backend : where kernels run.
    memory : the arrays to update; `attach` moves on to other ones.
    """

    def __init__(self, optimizer: Any, names: Sequence[str], backend: str, memory: Memory) -> None:
        self.optimizer = optimizer
        self._names, self._backend = list(names), backend
        self._updater = get_updater(optimizer)
        self.attach(memory)

    def attach(self, memory: Memory) -> None:
        """Update the arrays of `memory` from now on; states there are move along."""
        kept = self._updater.states
        self._memory = memory
        self._rules: list[BoundRule] = []
        may_bind = self.optimizer.has_rule and not self.optimizer.makes_own_states
        bound = self._bind_rules(memory) if may_bind else {}
        self._bound = set(bound)
        self._loose = [
            (index, name)
            for index, name in enumerate(self._names)
            if index not in bound and memory.grad_reqs[name] != "null"
        ]
        self._updater.states = bound
        self._take_states(kept)

    def _bind_rules(self, memory: Memory) -> dict[Any, Any]:
        """Make the rules of the arena's groups and return the states, views into theirs."""
        index_of = {name: index for index, name in enumerate(self._names)}
        states: dict[Any, Any] = {}
        # Float16 comes last: were it left to the updater, it would.
        for group in sorted(memory.arena.groups, key=lambda group: _is_half(group.weight)):
            if _is_half(group.weight) and not takes_masters(self.optimizer, group.weight):
                continue
            for places in _runs(group.places, index_of, memory.grad_reqs):
                first, end = places[0].start, places[-1].stop
                slots = [Slot(index_of[p.name], p.start - first, p.stop - first) for p in places]
                weight, grad = group.weight[first:end], group.grad[first:end]
                rule = BoundRule(self.optimizer, slots, weight, grad, self._backend)
                self._rules.append(rule)
                for slot, place in zip(slots, places, strict=True):
                    states[slot.index] = rule.state_of(slot, place.shape)
        return states

    def update(self) -> None:
        """Apply the optimizer to every parameter that has a gradient."""
        for rule in self._rules:
            rule.step()
        if self._loose:
            executor = self._memory.executor
            self._updater(
                [index for index, _ in self._loose],
                [executor.grad_dict[name] for _, name in self._loose],
                [executor.arg_dict[name] for _, name in self._loose],
            )

    def ahead(self, count: int) -> list[tuple[RunnableRule, Array]] | None:
        """Return the rules with the scalars of their next updates, `count` at most.

        See `BoundRule.ahead`.
        None where not every parameter is updated by such a rule.
        """
        if self._loose:
            return None
        found: list[tuple[RunnableRule, Array]] = []
        for rule in self._rules:
            ahead = rule.ahead(count)
            if ahead is None:
                return None
            found += ahead
        return found

    def advance(self, count: int) -> None:
        """Take note that `count` of these updates were made."""
        for rule in self._rules:
            rule.advance(count)

    def nbytes(self) -> int:
        """Return the bytes of all states made so far."""
        return self._loose_nbytes() + sum(rule.nbytes for rule in self._rules)

    def _loose_nbytes(self) -> int:
        loose = [s for index, s in self._updater.states.items() if index not in self._bound]
        return sum(int(array.nbytes) for state in loose for array in _arrays(state))

    def update_bytes(self) -> int:
        """Return the bytes that an update reads and writes: gradients once, the rest twice."""
        executor = self._memory.executor
        loose = sum(3 * int(executor.arg_dict[name].nbytes) for _, name in self._loose)
        bound = sum(rule.update_bytes() for rule in self._rules)
        return loose + 2 * self._loose_nbytes() + bound

    def scratch_bytes(self) -> int:
        """Return the bytes that updates have needed beside the states."""
        return sum(rule.scratch_bytes() for rule in self._rules)

    def state(self) -> dict[str, Any]:
        """Return states and counters; arrays are those in use, not copies."""
        optimizer = self.optimizer
        return {
            "optimizer": type(optimizer).__name__.lower(),
            "num_update": optimizer.num_update,
            "counts": dict(optimizer._index_update_count),
            "states": dict(self._updater.states),
        }

    def set_state(self, values: Mapping[str, Any], source: str) -> None:
        """Take over what `state` returned.

        Raises MXNetError, naming the `source`, for states of another optimizer or other shapes;
        nothing has changed then.
        """
        mine = type(self.optimizer).__name__.lower()
        if values["optimizer"] != mine:
            raise MXNetError(f"{source} has states of {values['optimizer']}, not of {mine}")
        self._check_fit(source, values["states"])
        self.optimizer.num_update = int(values["num_update"])
        counts = self.optimizer._index_update_count
        counts.clear()
        counts.update(values["counts"])
        self._take_states(values["states"])

    def save_states(self, fname: str) -> None:
        """Write states and counters as a safetensors file."""
        atomic_write(fname, self._updater.get_states(dump_optimizer=True))

    def load_states(self, fname: str) -> None:
        """Replace states and counters by those of a file that `save_states` wrote.

        Raises MXNetError for a file that cannot be read, is of another optimizer or does not fit;
        nothing has changed then.
        """
        try:
            blob = Path(fname).read_bytes()
        except OSError as error:
            raise MXNetError(f"cannot read {fname}: {error.strerror}") from None
        try:
            loaded, _ = load_states(blob)
        except FileFormatError as error:
            raise FileFormatError(f"{fname}: {error}") from error
        self._check_fit(fname, loaded)
        bound = {index: self._updater.states[index] for index in self._bound}
        self._updater.set_states(blob)
        self._updater.states = bound
        for rule in self._rules:
            for slot in rule.slots:
                if slot.index not in loaded:
                    rule.restart(slot)
        self._take_states(loaded)

    def _check_fit(self, fname: str, loaded: Mapping[Any, Any]) -> None:
        for index in loaded:
            if not isinstance(index, int) or not 0 <= index < len(self._names):
                raise MXNetError(
                    f"{fname} has states of parameter {index!r}, this module has "
                    f"{len(self._names)} parameters"
                )
        masters = [rule for rule in self._rules if rule.master is not None]
        late = {slot.index for rule in masters for slot in rule.slots}
        # What was stored before the first update may have no masters: they begin in the next one.
        needed = self._bound - (late - set(loaded))
        # A user's own are compared with those in use: to make new ones may draw random numbers.
        known = {index for index, _ in self._loose} & set(loaded) & set(self._updater.states)
        for index in sorted(needed | known):
            mine, theirs = _shapes(self._updater.states[index]), _shapes(loaded.get(index))
            if mine != theirs:
                raise MXNetError(
                    f"{fname}: the states of '{self._names[index]}' do not fit: shapes {theirs} "
                    f"stored, {mine} needed; were they saved with other settings of the optimizer?"
                )

    def _take_states(self, states: Mapping[Any, Any]) -> None:
        """Copy states into the arena's; those of other parameters are kept as they are."""
        for index, state in states.items():
            if index not in self._bound:
                self._updater.states[index] = state
                continue
            for target, array in zip(
                _arrays(self._updater.states[index]), _arrays(state), strict=True
            ):
                target[...] = array
        for rule in self._rules:
            rule.copies.look_again()


def _is_half(array: Array) -> bool:
    return bool(array.dtype == np.float16)


def _runs(
    places: Sequence[Place], index_of: Mapping[str, int], grad_reqs: Mapping[str, str]
) -> list[list[Place]]:
    """Return the neighbours that learn here, together.

    An arena shared with another module may have parameters that are not ours or do not learn here;
    a rule must not reach over them.
    """
    runs: list[list[Place]] = [[]]
    for place in places:
        if place.name in index_of and grad_reqs[place.name] != "null":
            runs[-1].append(place)
        else:
            runs.append([])
    return [run for run in runs if run]


def _arrays(state: Any) -> list[Any]:
    """Return the arrays of a state, which may be nested; a user's may hold plain values too."""
    if isinstance(state, Mapping):
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        return [array for member in state for array in _arrays(member)]
    return [state] if isinstance(state, np.ndarray) else []


def _shapes(state: Any) -> list[tuple[int, ...]]:
    return [array.shape for array in _arrays(state)]
