"""Whole numbers, conversions, copies in any order and more functions, by kernels for a device."""

from __future__ import annotations

import itertools
import platform
from typing import Any

import numpy as np
import pytest
from device_lines import assert_same_bits, both
from host_device import COMPILER, HostDevice

from mxtrain.backend.compiled.lines import read_line as read_compiled
from mxtrain.backend.cuda.numbers import ARITIES, FLOAT_TEXTS, WHOLE, WHOLE_TEXTS
from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.numpy import Line, greater_of, lesser_of, select

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
KERNELS = {"maximum": greater_of, "minimum": lesser_of}
FLOATS = ["float16", "float32", "float64"]
COMPARISONS = {op for op in WHOLE_TEXTS if op.startswith(("great", "less", "eq", "not", "logical"))}


@pytest.fixture(scope="module")
def cupy() -> CupyBackend:
    return CupyBackend(HostDevice())


def wholes(dtype: str) -> np.ndarray:
    """Small numbers and the ends of a type."""
    ends = np.iinfo(dtype)
    small = [n for n in (-7, -3, -1, 0, 1, 2, 3, 7) if n >= ends.min]
    return np.array([ends.min, ends.min + 1, *small, ends.max - 1, ends.max], dtype)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_numpys(cupy: CupyBackend, dtype: str) -> None:
    """Also where they wrap, and where the divisor is 0 or -1."""
    values = wholes(dtype)
    a = cupy.from_host(np.repeat(values, len(values)))
    b = cupy.from_host(np.tile(values, len(values)))
    lines: list[Line] = []
    for op in WHOLE_TEXTS:
        if op in ("copy", "where"):
            continue
        function = KERNELS.get(op) or getattr(np, op)
        operands = (a,) if getattr(function, "nin", 2) == 1 else (a, b)
        out = cupy.zeros(a.shape, bool if op in COMPARISONS else dtype)
        lines.append((function, (*operands, out)))
    chosen, mask = cupy.zeros(a.shape, dtype), cupy.from_host(np.arange(len(a)) % 3 == 0)
    lines.append((select, (mask, a, b, chosen)))
    outs = [arguments[-1] for _, arguments in lines]
    for line, found, wanted in zip(lines, outs, both(cupy, lines, *outs), strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=str(line[0]))


@pytest.mark.parametrize("of", [*WHOLE, *FLOATS, "bool"])
def test_numbers_are_converted(cupy: CupyBackend, of: str) -> None:
    lines: list[Line] = []
    for to in (*WHOLE, *FLOATS):
        values = wholes(of) if of in WHOLE else fractions(to).astype(of)
        lines.append((np.copyto, (cupy.zeros(values.shape, to), cupy.from_host(values), "unsafe")))
    outs = [arguments[0] for _, arguments in lines]
    for out, wanted in zip(outs, both(cupy, lines, *outs), strict=True):
        assert_same_bits(out, wanted, out.dtype.name)


def fractions(to: str) -> np.ndarray:
    """Numbers that lie within the range of a type."""
    most = min(np.iinfo(to).max, 2000) if to in WHOLE else 300
    least = 0 if to == "uint8" else -most
    return np.array([0.0, 0.9, 1.5, 2.5, least, least / 3, most])


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="floats without an equal differ elsewhere"
)
@pytest.mark.parametrize("of", FLOATS)
@pytest.mark.parametrize("to", ["int32", "int64"])
def test_floats_without_an_equal(cupy: CupyBackend, of: str, to: str) -> None:
    beyond = [np.nan, np.inf, -np.inf]
    if of != "float16":
        beyond += [2.0**31, -(2.0**31), 2.0**63, -(2.0**63), 2.0**64, 1e30, -1e30]
    if of == "float64":
        beyond += [2.0**31 - 0.5, -(2.0**31) - 0.5, -(2.0**31) - 1]
    source, out = cupy.from_host(np.array(beyond, of)), cupy.zeros((len(beyond),), to)
    (wanted,) = both(cupy, [(np.copyto, (out, source, "unsafe"))], out)
    np.testing.assert_array_equal(out, wanted)


def test_types_that_meet_become_the_one_numpy_takes(cupy: CupyBackend) -> None:
    kinds = ["int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
    lines: list[Line] = []
    for left, right in itertools.product(kinds, kinds):
        dtype = np.result_type(np.dtype(left), np.dtype(right))
        if dtype.name not in kinds:
            continue  # int16
        a, b = (cupy.from_host(np.arange(5).astype(kind)) for kind in (left, right))
        lines.append((np.multiply, (a, b, cupy.zeros((5,), dtype))))
        lines.append((np.less, (a, b[:1], cupy.zeros((5,), bool))))
    outs = [arguments[-1] for _, arguments in lines]
    for found, wanted in zip(outs, both(cupy, lines, *outs), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_that_only_devices_have(cupy: CupyBackend, dtype: str) -> None:
    values = np.array(
        [0.0, -0.0, 0.3, -0.7, 1.0, -1.0, 2.5, -7.25, 1e3, np.inf, -np.inf, np.nan], dtype
    )
    a = cupy.from_host(np.repeat(values, len(values)))
    b = cupy.from_host(np.tile(values, len(values)))
    assert set(ARITIES) == set(FLOAT_TEXTS)
    lines: list[Line] = [
        (getattr(np, op), (*(a, b)[:arity], cupy.zeros(a.shape, dtype)))
        for op, arity in ARITIES.items()
    ]
    assert all(read_compiled(line) is None for line in lines)
    outs = [arguments[-1] for _, arguments in lines]
    limit = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-14}[dtype]
    for line, found, wanted in zip(lines, outs, both(cupy, lines, *outs), strict=True):
        name = line[0].__name__
        if name == "remainder" and dtype != "float16":
            assert_same_bits(found, wanted, name)
        else:
            np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit, err_msg=name)


# -- copies --------------------------------------------------------------------------------------


def views(x: Any) -> list[np.ndarray]:
    """Views of an array (3, 4, 5) as operators copy them."""
    return [
        x.transpose(2, 0, 1),
        x.transpose(1, 0, 2),
        x[:, 1:3],
        x[::-1, :, ::2],
        x[1, ::-2, 4:0:-1],
        x[..., None],
        np.broadcast_to(x[:, :1], (2, 3, 4, 5)),
        np.broadcast_to(x.reshape(3, 1, 4, 5), (3, 2, 4, 5)),
        x[2, 3, 4, ...],
        x[1:1],
    ]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("number", range(10))
def test_copies_in_any_order(cupy: CupyBackend, dtype: str, number: int) -> None:
    source = cupy.from_host((np.arange(60).reshape(3, 4, 5) * 37 % 101).astype(dtype))
    view = views(source)[number]
    whole = cupy.zeros(view.shape, dtype)
    (wanted,) = both(cupy, [(np.copyto, (whole, view, "unsafe"))], whole)
    np.testing.assert_array_equal(whole, wanted)
    if view.flags.writeable:  # and into gaps: what surrounds them stays
        target = cupy.from_host(np.full((3, 4, 5), 1, dtype))
        (wanted,) = both(cupy, [(np.copyto, (views(target)[number], whole, "unsafe"))], target)
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_copies_where_a_mask_says(cupy: CupyBackend, dtype: str) -> None:
    target = cupy.from_host(np.arange(12).reshape(3, 4).astype(dtype))
    row = cupy.from_host(np.array([[-1], [-2], [-3]], dtype))
    mask = cupy.from_host(np.arange(12).reshape(3, 4) % 5 < 2)
    (wanted,) = both(cupy, [(np.copyto, (target, row, "same_kind", mask))], target)
    np.testing.assert_array_equal(target, wanted)


def test_what_numpy_refuses_is_left_to_it(cupy: CupyBackend) -> None:
    floats, whole = cupy.zeros((3,), "f"), cupy.zeros((3,), "i4")
    assert read_line((np.copyto, (whole, floats))) is None
    assert read_line((np.add, (floats, floats, whole))) is None
    assert read_line((np.divide, (whole, whole, cupy.zeros((3,), "f8")))) is None
    assert read_line((np.add, (whole, whole.astype("u4"), whole))) is None
    assert read_line((np.floor, (floats, floats, floats))) is None
