"""float16 weights with float32 masters: the same bits bound to an arena as one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mxtrain import optimizer
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.optimizer.updater import Updater

SHAPES = [(7, 5), (11,), (3, 4)]
HALF = np.dtype(np.float16)


def made(name: str, **settings: Any) -> Any:
    names = dict(enumerate(["a_weight", "a_bias", "b_weight"]))
    return optimizer.create(
        name, multi_precision=True, rescale_grad=0.25, wd=1e-2, param_idx2name=names, **settings
    )


def arena() -> tuple[list[Slot], np.ndarray, np.ndarray]:
    slots, end = [], 0
    for index, shape in enumerate(SHAPES):
        size = int(np.prod(shape))
        slots.append(Slot(index, end, end + size))
        end += -(-size // 32) * 32
    return slots, np.zeros(end, HALF), np.zeros(end, HALF)


def parts_of(buffer: np.ndarray, slots: list[Slot]) -> list[np.ndarray]:
    pairs = zip(slots, SHAPES, strict=True)
    return [buffer[slot.start : slot.stop].reshape(shape) for slot, shape in pairs]


def gradients(steps: int, size: int) -> np.ndarray:
    """Usual ones, zeros, subnormal and large ones."""
    random = np.random.default_rng(1)
    grads = random.normal(0, 1, (steps, size)) * 10.0 ** random.integers(-8, 3, (steps, size))
    grads[random.uniform(size=grads.shape) < 0.2] = 0
    return grads.astype(HALF)


def flat(state: Any) -> list[np.ndarray]:
    if state is None:
        return []
    if isinstance(state, (list, tuple)):
        return [array for member in state for array in flat(member)]
    return [np.asarray(state)]


def rules() -> list[str]:
    return [name for name in optimizer.registry.names() if made(name).has_rule]


@pytest.mark.parametrize("name", rules())
@pytest.mark.filterwarnings("error")
def test_the_bits_are_those_of_one_update_after_the_other(name: str) -> None:
    slots, weight, grad = arena()
    bound, loose = made(name), made(name)
    random = np.random.default_rng(0)
    for slot in slots:
        weight[slot.start : slot.stop] = random.normal(size=slot.stop - slot.start)
    apart = [
        weight[s.start : s.stop].reshape(shape).copy()
        for s, shape in zip(slots, SHAPES, strict=True)
    ]
    rule, updater = BoundRule(bound, slots, weight, grad), Updater(loose)
    assert rule.master is not None
    for given in gradients(20, len(weight)):
        grad[:] = given
        rule.step()
        parts = [
            grad[s.start : s.stop].reshape(shape) for s, shape in zip(slots, SHAPES, strict=True)
        ]
        updater([0, 1, 2], parts, apart)
    for slot, mine, theirs in zip(slots, parts_of(weight, slots), apart, strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert not np.isnan(mine).all()
        pairs = flat(rule.state_of(slot, mine.shape)), flat(updater.states[slot.index])
        for state, wanted in zip(*pairs, strict=True):
            assert state.dtype == wanted.dtype
            np.testing.assert_array_equal(state, wanted)


def test_the_master_is_never_read_from_the_weight_again() -> None:
    slots, weight, grad = arena()
    weight[:] = 1
    rule = BoundRule(made("sgd", learning_rate=0.0), slots, weight, grad)
    rule.step()
    weight[:] = 5
    rule.step()
    np.testing.assert_array_equal(weight[slots[0].start : slots[0].stop], 1)


def test_bytes() -> None:
    slots, weight, grad = arena()
    rule = BoundRule(made("adam"), slots, weight, grad)
    assert rule.state_bytes() == 3 * 4 * weight.size
    # Gradient and new weight in float16; master, mean and variance there and back.
    assert rule.update_bytes() == (2 + 2) * weight.size + 2 * 3 * 4 * weight.size


def test_updates_can_be_told_ahead() -> None:
    slots, weight, grad = arena()
    rule = BoundRule(made("adam"), slots, weight, grad)
    told = rule.ahead(4)
    assert told is not None
    assert [len(rows) for _, rows in told] == [4] * len(told)
    assert rule.master is not None
    assert not np.isnan(rule.master[slots[0].start : slots[0].stop]).any()
