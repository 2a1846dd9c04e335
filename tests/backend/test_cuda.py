"""The kernels for CUDA devices, compiled for the host: NumPy's numbers, and what runs when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import optimizer
from mxtrain.backend.blocks import Segment
from mxtrain.backend.compiled.expressions import EXPRESSIONS, SLOW
from mxtrain.backend.compiled.lines import Limits, read_line
from mxtrain.backend.cuda.expressions import TEXTS
from mxtrain.backend.cupy import CupyBackend, DeviceSegment
from mxtrain.backend.numpy import greater_of, lesser_of, run, select
from mxtrain.optimizer.tracing import rule_of

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
KERNELS = {"maximum": greater_of, "minimum": lesser_of, "where": select}
VALUES = [0.0, -0.0, 1.0, -1.5, 2.5, 0.1, np.inf, -np.inf, np.nan, 1e-30, 3e38, -7.25]


@pytest.fixture(scope="module")
def device() -> HostDevice:
    return HostDevice()


@pytest.fixture(scope="module")
def cupy(device: HostDevice) -> CupyBackend:
    return CupyBackend(device)


def on(device: HostDevice, array: np.ndarray) -> np.ndarray:
    return device.copied(np.ascontiguousarray(array))


def test_every_operation_is_there() -> None:
    assert set(TEXTS) == set(EXPRESSIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_gives_numpys_numbers(cupy: CupyBackend, dtype: str) -> None:
    device = cupy.device
    a = on(device, np.repeat(VALUES, len(VALUES)).astype(dtype))
    b = on(device, np.tile(VALUES, len(VALUES)).astype(dtype))
    ops = [op for op in sorted(TEXTS) if op not in ("copy", "erf", "where")]
    given_lines, outs = [], []
    for op in ops:
        operands = [a, b][: EXPRESSIONS[op].arity]
        kind = np.dtype(bool if EXPRESSIONS[op].truth_valued else dtype)
        outs.append(device.empty((144,), kind))
        given_lines.append((KERNELS.get(op) or getattr(np, op), (*operands, outs[-1])))
    chosen = device.empty((144,), np.dtype(dtype))
    given_lines.append((select, (outs[ops.index("greater")], a, b, chosen)))
    with np.errstate(all="ignore"):
        run(given_lines)
        wanted = [array.copy() for array in (*outs, chosen)]
        for array in (*outs, chosen):
            array[...] = 0
        joined, _ = cupy.join(given_lines)
        assert not any(isinstance(kernel, np.ufunc) for kernel, _ in joined)
        run(joined)
    for op, array, want in zip([*ops, "where"], (*outs, chosen), wanted, strict=True):
        if op in SLOW:
            limit = 1e-6 if dtype == "float32" else 1e-14
            np.testing.assert_allclose(array, want, rtol=limit, atol=1e-37, err_msg=op)
        else:
            np.testing.assert_array_equal(array, want, err_msg=op)
            if op not in ("maximum", "minimum"):  # which zero is the greater one NumPy leaves open
                np.testing.assert_array_equal(np.signbit(array), np.signbit(want), err_msg=op)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 7), (17, 33), (300, 40), (3, 1000)])
@pytest.mark.parametrize("ufunc", [np.add, np.maximum])
def test_rows_and_columns(cupy: CupyBackend, rows: int, columns: int, ufunc: np.ufunc) -> None:
    device = cupy.device
    matrix = on(device, np.random.default_rng(0).standard_normal((rows, columns)).astype("f"))
    along_row = device.empty((rows,), np.dtype("f"))
    along_column = device.empty((columns,), np.dtype("f"))
    joined, _ = cupy.join(
        [
            (ufunc.reduce, (matrix, (1,), None, along_row)),
            (ufunc.reduce, (matrix, (0,), None, along_column)),
        ]
    )
    run(joined)
    for axis, found in ((1, along_row), (0, along_column)):
        exact = ufunc.reduce(matrix.astype("d"), axis)
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-5)
    if ufunc is np.maximum:
        matrix[rows // 2, columns // 2] = np.nan
        run(joined)
        assert np.isnan(along_row[rows // 2]) and np.isnan(along_column[columns // 2])


@settings(max_examples=15)
@given(data=st.data())
def test_lines_over_broadcast_arrays_in_any_order(cupy: CupyBackend, data: st.DataObject) -> None:
    """Random lines over a few arrays, read and written again and again, give the same bits."""
    shapes = [(2, 4, 6), (4, 1), (2, 1, 6), (6,), (), (2, 4, 6), (2, 4, 6)]
    random = np.random.default_rng(0)
    arrays = [on(cupy.device, random.standard_normal(shape).astype("f")) for shape in shapes]
    names = st.sampled_from(["add", "subtract", "maximum", "copyto"])
    given_lines = []
    for name in data.draw(st.lists(names, min_size=1, max_size=4)):
        target = arrays[data.draw(st.sampled_from([0, 5, 6]))]
        a = arrays[data.draw(st.integers(0, 6))]
        b = arrays[data.draw(st.integers(0, 6))]
        kernel = KERNELS.get(name) or getattr(np, name)
        given_lines.append((kernel, (target, a) if name == "copyto" else (a, b, target)))
    before = [array.copy() for array in arrays]
    run(given_lines)
    wanted = [array.copy() for array in arrays]
    for array, kept in zip(arrays, before, strict=True):
        array[...] = kept
    run(cupy.join(given_lines)[0])
    for array, want in zip(arrays, wanted, strict=True):
        np.testing.assert_array_equal(array, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in optimizer.registry.names() if n != "groupadagrad"])
def test_rules_give_the_bits_of_numpys_blocks(cupy: CupyBackend, name: str, dtype: str) -> None:
    made = optimizer.create(name)
    if not made.has_rule:
        pytest.skip("computed by NumPy on every backend")
    rule = rule_of(made, decays=True)
    random = np.random.default_rng(0)
    arrays = [np.abs(random.standard_normal(300)).astype(dtype) for _ in rule.program.arrays]
    mine = [on(cupy.device, array.copy()) for array in arrays]
    scalars = tuple(0.1 + 0.05 * n for n in range(len(rule.program.scalars)))
    segment = cupy.segment(rule.program, mine, rule.targets)
    assert isinstance(segment, DeviceSegment)
    plain = Segment(rule.program, arrays, rule.targets)
    for factor in (1.0, 0.5):
        values = tuple(factor * value for value in scalars)
        plain.run(values)
        segment.run(values)
    slow = any(instruction.op in SLOW for instruction in rule.program.instructions)
    for array, wanted in zip(mine, arrays, strict=True):
        if slow:
            np.testing.assert_allclose(array, wanted, rtol=1e-5 if dtype == "float32" else 1e-13)
        else:
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("name", optimizer.registry.names())
def test_rules_over_masters_give_the_bits_of_numpys_blocks(cupy: CupyBackend, name: str) -> None:
    """The gradient is float16, and so are the weights that take the masters' values."""
    made = optimizer.create(name)
    if not made.has_rule:
        pytest.skip("computed by NumPy on every backend")
    rule = rule_of(made, decays=True)
    if any(instruction.op in SLOW for instruction in rule.program.instructions):
        pytest.skip("takes functions of another library")
    random = np.random.default_rng(0)
    arrays = [np.abs(random.standard_normal(300)).astype("f") for _ in rule.program.arrays]
    sizes = np.exp2(random.integers(-24, 13, 300))
    arrays[1] = (random.standard_normal(300) * sizes).astype("e")
    weight = np.zeros(300, "e")
    mine = [on(cupy.device, array.copy()) for array in arrays]
    my_weight = on(cupy.device, weight)
    segment = cupy.segment(rule.program, mine, rule.targets, (rule.targets[0], my_weight))
    assert isinstance(segment, DeviceSegment)
    plain = Segment(rule.program, arrays, rule.targets, (rule.targets[0], weight))
    scalars = tuple(0.1 + 0.05 * n for n in range(len(rule.program.scalars)))
    for factor in (1.0, 0.5):
        values = tuple(factor * value for value in scalars)
        plain.run(values)
        segment.run(values)
    assert len(np.unique(weight)) > 2
    for array, wanted in zip([*mine, my_weight], [*arrays, weight], strict=True):
        assert array.dtype == wanted.dtype
        np.testing.assert_array_equal(array, wanted)


def test_what_the_device_does_not_see_stays_with_the_host(cupy: CupyBackend) -> None:
    here, there = on(cupy.device, np.ones(4, "f")), np.ones(4, "f")
    line: Any = (np.add, (here, there, here))
    assert cupy.join([line]) == ([line], [])
    half = on(cupy.device, np.ones(4, "e"))
    assert isinstance(
        cupy.segment(rule_of(optimizer.create("sgd"), False).program, [half, half.copy()], [0]),
        Segment,
    )
    assert read_line((np.exp, (here, here)), Limits()) is not None
