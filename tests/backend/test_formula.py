"""Formulas: tracing, and the NumPy lowering against plain evaluation of the same function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain.backend.blocks import Segment
from mxtrain.backend.formula import trace
from mxtrain.backend.numpy import Lowering, run

NAMES = ["a", "b", "c"]


def evaluate(steps, returned, values, scalar):
    """Run a random straight-line program with NumPy, each step on earlier results."""
    results = [*values]
    for op, left, right in steps:
        x, y = results[left % len(results)], results[right % len(results)]
        results.append(APPLY[op](x, y, scalar))
    return tuple(results[index % len(results)] for index in returned)


APPLY = {
    "add": lambda x, y, s: x + y,
    "scaled": lambda x, y, s: s * x - y,
    "mul": lambda x, y, s: x * y,
    "square": lambda x, y, s: x**2,
    "literal": lambda x, y, s: (1 - s) * x,
    "mask": lambda x, y, s: x * (y > 0),
}
programs = st.lists(
    st.tuples(st.sampled_from(sorted(APPLY)), st.integers(0, 20), st.integers(0, 20)),
    min_size=1,
    max_size=10,
)


@settings(max_examples=500, deadline=None)
@given(programs, st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)))
def test_in_place_lowering_equals_plain_evaluation(steps, returned):
    """Every output replaces an input, as in an update rule, and none is lost on the way."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, 5).astype(np.float64) for _ in NAMES]
    expected = evaluate(steps, returned, [a.copy() for a in arrays], 0.5)

    def formula(a, b, c, s):
        return evaluate(steps, returned, [a, b, c], s)

    program = trace(formula, NAMES, ["s"])
    lowered = Lowering(program, arrays, arrays, lambda shape, dtype: np.full(shape, 7, dtype))
    lowered.scalars[0][()] = 0.5
    run(lowered.scalar_lines)
    run(lowered.lines)
    for got, want in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(got, want)


def adam(xp):
    def step(weight, grad, mean, var, lr, beta1, beta2, epsilon):
        mean = beta1 * mean + (1 - beta1) * grad
        var = beta2 * var + (1 - beta2) * grad * grad
        return weight - lr * mean / (xp.sqrt(var) + epsilon), mean, var

    return step


ADAM = trace(
    adam,
    ["weight", "grad", "mean", "var"],
    ["lr", "beta1", "beta2", "epsilon"],
    takes_maths=True,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_value_of_another_precision_enters_a_rule(dtype):
    """Every operand of every ufunc call has the weight's dtype, literals and scalars included."""
    arrays = [np.ones(3, dtype) for _ in ADAM.arrays]
    lowered = Lowering(ADAM, arrays, [arrays[0], arrays[2], arrays[3]], np.empty)
    operands = [x for _, arguments in lowered.scalar_lines + lowered.lines for x in arguments]
    assert operands
    assert {operand.dtype for operand in operands} == {np.dtype(dtype)}


def test_hoists_scalars_in_the_arrays_own_precision():
    arrays = [np.full(4, x, np.float32) for x in (1.0, 0.5, 0.25, 0.125)]
    f = np.float32
    mean = f(0.9) * arrays[2] + (f(1) - f(0.9)) * arrays[1]
    Segment(ADAM, arrays, [0, 2, 3]).run((0.1, 0.9, 0.999, 1e-8))
    np.testing.assert_array_equal(arrays[2], mean)


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_do_not_change_results(block):
    rng = np.random.default_rng(1)
    start = [rng.random(1000, np.float32) for _ in ADAM.arrays]
    whole, blocked = [a.copy() for a in start], [a.copy() for a in start]
    one = Segment(ADAM, whole, [0, 2, 3], block=2000)
    many = Segment(ADAM, blocked, [0, 2, 3], block=block)
    for lr in (0.1, 0.1, 0.05):
        one.run((lr, 0.9, 0.999, 1e-8))
        many.run((lr, 0.9, 0.999, 1e-8))
    for a, b in zip(whole, blocked, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("block", [1, 7, 64, 2000])
def test_float16_is_converted_as_it_is_read_and_rounded_at_the_end(block):
    """One gradient in half precision, and weights that take the master's values."""
    rng = np.random.default_rng(1)
    master, mean, var = (rng.random(1000, np.float32) for _ in range(3))
    grad, weight = rng.random(1000).astype(np.float16), np.zeros(1000, np.float16)
    master[0] = 1e6  # more than float16 holds
    plain = [array.copy() for array in (master, grad.astype(np.float32), mean, var)]
    before = grad.copy()
    given = [master, grad, mean, var]
    mixed = Segment(ADAM, given, [0, 2, 3], rounded=(0, weight), block=block)
    for lr in (0.1, 0.1, 0.05):
        mixed.run((lr, 0.9, 0.999, 1e-8))
        Segment(ADAM, plain, [0, 2, 3]).run((lr, 0.9, 0.999, 1e-8))
        for place in (0, 2, 3):
            np.testing.assert_array_equal(given[place], plain[place])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(weight, master.astype(np.float16))
    assert np.isinf(weight[0])
    np.testing.assert_array_equal(grad, before)


def test_zero_scalars_vanish_with_what_they_multiply():
    program = trace(lambda w, g, wd: w - (g + wd * w), ["w", "g"], zero=["wd"])
    assert [instruction.op for instruction in program.instructions] == ["subtract"]


def test_common_parts_are_computed_once():
    program = trace(lambda x: x * x + x * x, ["x"])
    assert [instruction.op for instruction in program.instructions] == ["multiply", "add"]


def test_branching_on_an_array_is_refused_with_advice():
    with pytest.raises(TypeError, match=r"xp\.where"):
        trace(lambda x: x if x > 0 else -x, ["x"])


def test_unknown_function_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"'arctan'.*sqrt"):
        trace(lambda xp: lambda x: xp.arctan(x), ["x"], takes_maths=True)


def test_a_swap_of_inputs_keeps_both():
    a, b = np.array([1.0]), np.array([2.0])
    lowered = Lowering(trace(lambda a, b: (b, a), ["a", "b"]), [a, b], [a, b], np.empty)
    run(lowered.lines)
    assert (a[0], b[0]) == (2.0, 1.0)
