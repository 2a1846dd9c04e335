"""The arena: alignment, order, and results that do not depend on where arrays lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mxtrain as mx
from mxtrain import backend, optimizer
from mxtrain.executor.arena import Arena, Parameter
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.optimizer.updater import get_updater

SHAPES = st.lists(st.integers(1, 40), max_size=3).map(tuple)
TYPES = st.sampled_from(["float16", "float32", "float64"])
ENDINGS = st.sampled_from(["_weight", "_bias", "_gamma", "_beta", ""])


@st.composite
def parameters(draw: st.DrawFn) -> list[Parameter]:
    kinds = draw(st.lists(st.tuples(SHAPES, TYPES, ENDINGS), min_size=1, max_size=8))
    return [
        Parameter(index, f"p{index}{ending}", shape, np.dtype(dtype))
        for index, (shape, dtype, ending) in enumerate(kinds)
    ]


@given(parameters())
def test_every_view_starts_on_a_64_byte_boundary_and_none_overlap(wanted: list[Parameter]) -> None:
    arena = Arena(wanted, backend.get("numpy"))
    for views in (arena.weights, arena.grads):
        assert views.keys() == {parameter.name for parameter in wanted}
        for parameter in wanted:
            view = views[parameter.name]
            assert (view.shape, view.dtype) == (parameter.shape, parameter.dtype)
            assert view.ctypes.data % 64 == 0
            assert view.flags.c_contiguous
            assert not view.any()
    for number, (name, view) in enumerate([*arena.weights.items(), *arena.grads.items()]):
        view[...] = number
        assert name in arena.weights
    for number, view in enumerate([*arena.weights.values(), *arena.grads.values()]):
        assert (view == number).all()


@given(parameters())
def test_parameters_that_decay_lie_together(wanted: list[Parameter]) -> None:
    arena = Arena(wanted, backend.get("numpy"))
    assert len(arena.groups) == len({parameter.dtype for parameter in wanted})
    for group in arena.groups:
        decays = [place.name.endswith(("_weight", "_gamma")) for place in group.places]
        assert decays == sorted(decays, reverse=True)
        starts = [place.start for place in group.places]
        assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("sgd", {"momentum": 0.9}), ("nag", {"momentum": 0.9}), ("adam", {}), ("sgd", {})],
)
@given(order=st.permutations(range(6)))
def test_bits_do_not_depend_on_the_layout(name: str, settings: dict, order: list[int]) -> None:
    sizes = [1, 33, 64, 1000, 7, 5000]
    rng = np.random.default_rng(0)
    start = [rng.normal(size=size).astype(np.float32) for size in sizes]
    grads = [[rng.normal(size=size).astype(np.float32) for size in sizes] for _ in range(3)]
    names = ["a_weight", "b_bias", "c_weight", "d_gamma", "e_beta", "f_weight"]

    def made() -> optimizer.Optimizer:
        return mx.opt.create(
            name, learning_rate=0.1, wd=0.01, param_idx2name=dict(enumerate(names)), **settings
        )

    # Laid out in any order, with gaps of any size.
    bounds, end = {}, 5
    for index in order:
        bounds[index] = (end, end + sizes[index])
        end += sizes[index] + index
    weight, grad = np.zeros(end, np.float32), np.zeros(end, np.float32)
    for index, (first, last) in bounds.items():
        weight[first:last] = start[index]
    rule = BoundRule(made(), [Slot(i, *bounds[i]) for i in order], weight, grad)
    loose = [array.copy() for array in start]
    updater = get_updater(made())
    for step in grads:
        for index, (first, last) in bounds.items():
            grad[first:last] = step[index]
        rule.step()
        updater(list(range(6)), [array.copy() for array in step], loose)
    for index, (first, last) in bounds.items():
        np.testing.assert_array_equal(weight[first:last], loose[index])
