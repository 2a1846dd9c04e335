"""Python's operators and the functions of two operands, against NumPy."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.errors import NotImplementedForSymbol

A = np.array([[1.5, -2.0, 0.5], [3.0, 2.0, -0.7]])
B = np.array([[0.5, 3.0, 0.5], [-1.0, 2.0, 1.3]])
OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.mod),
    *(operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne),
]
FUNCTIONS = {"maximum": np.maximum, "minimum": np.minimum, "hypot": np.hypot, "modulo": np.mod}


def value(net: sym.Symbol, **arrays: Any) -> np.ndarray:
    return net.eval(**{name: arrays[name].copy() for name in net.list_arguments()})[0].asnumpy()


@pytest.mark.parametrize("function", OPERATORS, ids=lambda f: f.__name__)
def test_operators_of_symbols_and_numbers(function: Any) -> None:
    a, b = sym.Variable("a"), sym.Variable("b")
    np.testing.assert_allclose(value(function(a, b), a=A, b=B), function(A, B), rtol=1e-14)
    np.testing.assert_allclose(value(function(a, 0.5), a=A), function(A, 0.5), rtol=1e-14)
    np.testing.assert_allclose(value(function(0.5, a), a=A), function(0.5, A), rtol=1e-14)
    # A NumPy number on the left must not take the symbol for an array.
    reflected = function(np.float64(0.5), a)
    assert isinstance(reflected, sym.Symbol)
    np.testing.assert_allclose(value(reflected, a=A), function(0.5, A), rtol=1e-14)


def test_powers() -> None:
    a, b = sym.Variable("a"), sym.Variable("b")
    positive = np.abs(A)
    np.testing.assert_allclose(value(a**b, a=positive, b=B), positive**B)
    np.testing.assert_allclose(value(a**3, a=A), A**3)
    np.testing.assert_allclose(value(2**a, a=A), 2**A)
    np.testing.assert_allclose(value(sym.pow(2, a), a=A), 2**A)
    np.testing.assert_allclose(value(sym.power(a, b), a=positive, b=B), positive**B)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_symbols_and_numbers(name: str) -> None:
    function, expected = getattr(sym, name), FUNCTIONS[name]
    a, b = sym.Variable("a"), sym.Variable("b")
    np.testing.assert_allclose(value(function(a, b), a=A, b=B), expected(A, B))
    np.testing.assert_allclose(value(function(a, 0.7), a=A), expected(A, 0.7))
    np.testing.assert_allclose(value(function(0.7, a), a=A), expected(0.7, A))
    assert function(5.0, 3.0) == expected(5.0, 3.0)


def test_unary_operators() -> None:
    a = sym.Variable("a")
    np.testing.assert_array_equal(value(-a, a=A), -A)
    np.testing.assert_array_equal(value(abs(a), a=A), np.abs(A))


def test_modulo_zero_is_zero() -> None:
    a = sym.Variable("a")
    np.testing.assert_array_equal(value(a % 0, a=A), np.zeros_like(A))
    np.testing.assert_array_equal(value(a % (a * 0), a=A), np.zeros_like(A))


@pytest.mark.parametrize(
    "other", ["text", None, [1], object()], ids=["text", "none", "list", "object"]
)
def test_other_operands_are_refused(other: Any) -> None:
    with pytest.raises(TypeError, match="cannot combine"):
        sym.Variable("a") + other


def test_a_symbol_has_no_truth_value_and_a_hash() -> None:
    a = sym.Variable("a")
    with pytest.raises(NotImplementedForSymbol, match="no truth value"):
        bool(a == a)
    assert {a: 1}[a] == 1


def test_augmented_assignment_makes_a_new_symbol() -> None:
    a = sym.Variable("a")
    b = a
    b += 1
    assert a.list_outputs() == ["a"]
    np.testing.assert_array_equal(value(b, a=A), A + 1)


def test_fluent_methods_are_the_operators() -> None:
    data = sym.Variable("data")
    net = data.reshape((2, -1)).transpose().slice_axis(axis=0, begin=0, end=2).sum(axis=1).exp()
    x = np.arange(6.0).reshape(3, 2) / 10
    expected = np.exp(x.reshape(2, 3).T[:2].sum(1))
    np.testing.assert_allclose(value(net, data=x), expected)
    assert [len(data.split(num_outputs=2)), data.relu().name[:4]] == [2, "relu"]
