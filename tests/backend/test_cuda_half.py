"""float16 in kernels, compiled for the host: NumPy's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType

import numpy as np
import pytest
from host_device import COMPILER, HostDevice

from mxtrain.backend.compiled.expressions import EXPRESSIONS, SLOW
from mxtrain.backend.compiled.lines import GPU, Transposition, read_line
from mxtrain.backend.cuda.device import Launch, Multiply
from mxtrain.backend.cuda.expressions import TEXTS, literal
from mxtrain.backend.cuda.kernel import HALF, over_elements
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.cuda.steps import gather, keep, look
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.numpy import Line, greater_of, lesser_of, run, select
from mxtrain.backend.special import erf
from mxtrain.io.scaling import Scaler

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
C_TYPES = {"e": "half", "f": "float", "d": "double", "?": "truth", "B": "unsigned char"}


@pytest.fixture(scope="module")
def device() -> HostDevice:
    return HostDevice()


def converted(device: HostDevice, array: np.ndarray, kind: str) -> np.ndarray:
    """What a kernel makes of an array that it writes into one of another type."""
    source, target = device.copied(array), device.empty(array.shape, np.dtype(kind))
    of, to = C_TYPES[array.dtype.char], C_TYPES[kind]
    parameters = [f"const {of}* source", f"{to}* target"]
    words = map(address_of, (source, target))
    body = f"        target[i] = {to}(source[i]);\n"
    device.launch(over_elements(array.size, parameters, body, words), address_of(device.zero))()
    return target


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("kind", ["e", "f", "d"])
def test_every_half_is_read_exactly(device: HostDevice, kind: str) -> None:
    assert_same(converted(device, HALVES, kind), HALVES.astype(kind))


def near_halves(kind: str) -> Iterator[np.ndarray]:
    """Numbers at, just below and just above every half, and every tie between two of them."""
    halves = HALVES[np.isfinite(HALVES)].astype(kind)
    ties = (np.sort(halves)[1:] + np.sort(halves)[:-1]) / 2
    beyond = np.array([65519, 65520, 65521, 1e6, 3e38, np.inf, 2.0**-25, 2.0**-26, 1e-40], kind)
    for exact in (halves, ties, beyond, -beyond):
        for direction in (-np.inf, np.inf):
            yield np.nextafter(exact, np.array(direction, kind))
        yield exact
    yield np.array([np.nan, -np.nan, 0.0, -0.0], kind)


@pytest.mark.parametrize("kind", ["f", "d"])
def test_numbers_are_rounded_to_the_nearest_half_and_ties_to_even(
    device: HostDevice, kind: str
) -> None:
    with np.errstate(all="ignore"):
        numbers = np.concatenate(list(near_halves(kind)))
        wanted = numbers.astype("e")
    assert np.isinf(wanted).any() and (wanted == 0).any()
    assert_same(converted(device, numbers, "e"), wanted)


def test_a_double_is_rounded_once(device: HostDevice) -> None:
    """By way of float32 it would become a tie, and the tie an even number."""
    numbers = np.array([1 + 2.0**-11 + 2.0**-40, -(1 + 2.0**-11 + 2.0**-40)])
    assert_same(converted(device, numbers, "e"), np.array([1 + 2.0**-10, -1 - 2.0**-10], "e"))


def test_truth_values_and_bytes_become_halves(device: HostDevice) -> None:
    for array in (np.array([False, True]), np.arange(256, dtype=np.uint8)):
        assert_same(converted(device, array, "e"), array.astype("e"))


def test_only_kernels_with_halves_have_the_type() -> None:
    def source(kind: str) -> str:
        return over_elements(1, [f"{kind}* p"], f"        p[i] = {kind}(0);\n", [1]).source

    assert HALF in source("half") and HALF not in source("float")


# -- lines ---------------------------------------------------------------------------------------

VALUES = np.array(
    [0.0, -0.0, 1.0, -1.5, 2.5, 0.1, np.inf, -np.inf, np.nan, 6e-8, 65504, -7.25, 1e-3, 3.0], "e"
)
KERNELS = {"maximum": greater_of, "minimum": lesser_of, "where": select, "erf": erf}


@pytest.fixture(scope="module")
def cupy(device: HostDevice) -> CupyBackend:
    return CupyBackend(device)


def on_device(cupy: CupyBackend, lines: list[Line], outs: list[np.ndarray]) -> list[np.ndarray]:
    """What NumPy computes; `outs` are left with what the device computes, without the host."""
    with np.errstate(all="ignore"):
        run(lines)
        wanted = [out.copy() for out in outs]
        for out in outs:
            out[...] = 0
        joined, _ = cupy.join(lines)
        assert {type(kernel) for kernel, _ in joined} <= {Launch, Multiply, MethodType}
        run(joined)
    return wanted


def test_every_operation_gives_numpys_halves(cupy: CupyBackend) -> None:
    device, count = cupy.device, len(VALUES)
    a = device.copied(np.repeat(VALUES, count))
    b = device.copied(np.tile(VALUES, count))
    lines: list[Line] = []
    outs = []
    ops = [op for op in sorted(TEXTS) if op not in ("copy", "where")]
    for op in ops:
        kind = np.dtype(bool if EXPRESSIONS[op].truth_valued else "e")
        outs.append(device.empty((count**2,), kind))
        operands = [a, b][: EXPRESSIONS[op].arity]
        lines.append((KERNELS.get(op) or getattr(np, op), (*operands, outs[-1])))
    chosen = device.empty((count**2,), np.dtype("e"))
    lines.append((select, (outs[ops.index("greater")], a, b, chosen)))
    outs.append(chosen)
    for op, out, want in zip([*ops, "where"], outs, on_device(cupy, lines, outs), strict=True):
        if op in SLOW:
            np.testing.assert_allclose(out, want, rtol=2e-3, atol=1e-7, err_msg=op)
            continue
        np.testing.assert_array_equal(out, want, err_msg=op)
        if op not in ("maximum", "minimum"):  # which zero is the greater one NumPy leaves open
            numbers = ~np.isnan(want)
            np.testing.assert_array_equal(
                np.signbit(out[numbers]), np.signbit(want[numbers]), err_msg=op
            )


def test_each_operation_of_a_run_is_rounded(cupy: CupyBackend) -> None:
    """In float32 until the end, the small number would come back."""
    big, small = (cupy.from_host(np.full(3, x, "e")) for x in (2048, 1))
    out = cupy.empty((3,), "e")
    lines: list[Line] = [(np.add, (big, small, out)), (np.subtract, (out, big, out))]
    assert sum(type(kernel) is Launch for kernel, _ in cupy.join(lines)[0]) == 1
    on_device(cupy, lines, [out])
    assert out.tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["e", "f", "d", "?"])
def test_casts(cupy: CupyBackend, kind: str) -> None:
    with np.errstate(all="ignore"):
        numbers = cupy.from_host(np.array([0, 1, 65519, 65520, 1e-8, 0.1, np.nan]).astype(kind))
    halves, back = cupy.empty((7,), "e"), cupy.empty((7,), kind)
    lines: list[Line] = [(np.copyto, (halves, numbers))]
    lines += [] if kind == "?" else [(np.copyto, (back, halves))]
    outs = [halves, back][: len(lines)]
    for out, want in zip(outs, on_device(cupy, lines, outs), strict=True):
        assert_same(out, want)


def test_halves_beside_other_types(cupy: CupyBackend) -> None:
    halves = cupy.from_host(np.array([[1.0, 0.1], [-3, 65504]], "e"))
    singles = cupy.from_host(np.array([1.0001, 3.3], "f"))
    truths = cupy.from_host(np.array([[True, False], [False, True]]))
    half, single, masked, turned = (cupy.empty((2, 2), kind) for kind in "efee")
    lines: list[Line] = [
        (np.multiply, (halves, singles, half)),
        (np.multiply, (halves, singles, single)),
        (np.multiply, (halves, truths, masked)),
        (np.copyto, (turned, halves.T)),
    ]
    outs = [half, single, masked, turned]
    assert isinstance(read_line(lines[-1], GPU), Transposition)
    for out, want in zip(outs, on_device(cupy, lines, outs), strict=True):
        assert_same(out, want)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 2.0**-25, 65520.0, -1e9, np.inf, np.nan, -0.0])
def test_literals_are_numpys_boxes(device: HostDevice, value: float) -> None:
    target = device.empty((1,), np.dtype("e"))
    body = f"        target[i] = {literal(value, 'half')};\n"
    kernel = over_elements(1, ["half* target"], body, [address_of(target)])
    device.launch(kernel, address_of(device.zero))()
    with np.errstate(over="ignore"):
        assert_same(target, np.array([value]).astype("e"))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 7), (17, 33), (3, 3000), (3000, 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_are_rounded_once(cupy: CupyBackend, rows: int, columns: int, axis: int) -> None:
    matrix = cupy.from_host(np.random.default_rng(0).random((rows, columns)).astype("e"))
    length = columns if axis == 0 else rows
    total, most = (cupy.empty((length,), "e") for _ in range(2))
    lines: list[Line] = [
        (np.add.reduce, (matrix, (axis,), None, total)),
        (np.maximum.reduce, (matrix, (axis,), None, most)),
    ]
    _, maxima = on_device(cupy, lines, [total, most])
    exact = matrix.astype("d").sum(axis)
    # Half a unit in the last place, and what is lost in float32 before.
    assert (np.abs(total - exact) <= np.spacing(exact.astype("e")) * 0.501).all()
    assert_same(most, maxima)


@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
def test_products_add_in_float32(cupy: CupyBackend, left_t: bool, right_t: bool) -> None:
    random = np.random.default_rng(0)
    left = cupy.from_host(random.random((700, 5) if left_t else (5, 700)).astype("e"))
    right = cupy.from_host(random.random((3, 700) if right_t else (700, 3)).astype("e"))
    factors = left.T if left_t else left, right.T if right_t else right
    out = cupy.empty((5, 3), "e")
    lines: list[Line] = [(np.dot, (*factors, out))]
    on_device(cupy, lines, [out])
    exact = factors[0].astype("d") @ factors[1].astype("d")
    assert (np.abs(out - exact) <= np.spacing(exact.astype("e")) * 0.51).all()


def test_other_backends_leave_halves_to_numpy() -> None:
    half = np.ones((2, 2), "e")
    for line in [(np.add, (half, half, half)), (np.dot, (half, half, half.copy()))]:
        assert read_line(line) is None
        assert read_line(line, GPU) is not None


# -- what surrounds a step -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["e", "f", "d", "B"])
def test_rows_are_gathered_as_halves(cupy: CupyBackend, kind: str) -> None:
    device = cupy.device
    rows = np.linspace(0, 255, 48).reshape(6, 8).astype(kind)
    numbers, counter = (device.copied(np.array(a, np.int64)) for a in ([4, 0, 5, 1], [1]))
    batch, scaled = (device.empty((2, 8), np.dtype("e")) for _ in range(2))
    places = (address_of(numbers), address_of(counter))
    here = device.copied(rows)
    device.launch(gather(here, batch, *places), address_of(device.zero))()
    assert_same(batch, rows[[5, 1]].astype("e"))
    if kind == "B":
        scaler = Scaler(*(device.copied(np.linspace(a, 3, 8)) for a in (0.5, 0.1)))
        kernel = gather(here, scaled, *places, (scaler.offset, scaler.factor))
        device.launch(kernel, address_of(device.zero))()
        wanted = np.empty((2, 8), "e")
        scaler.apply(rows[[5, 1]], wanted)
        assert_same(scaled, wanted)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, None])
def test_a_half_that_is_not_finite_halts(device: HostDevice, bad: float | None) -> None:
    array = device.copied(np.full(1000, 65504, "e"))
    if bad is not None:
        array[777] = bad
    halt = device.copied(np.zeros(1, np.int64))
    device.launch(look(array, address_of(halt)), address_of(device.zero))()
    assert halt[0] == (bad is not None)


def test_halves_are_kept(device: HostDevice) -> None:
    array, kept = device.copied(VALUES), device.empty((2, len(VALUES)), np.dtype("e"))
    place, counter = (device.copied(np.array([n], np.int64)) for n in (address_of(kept), 1))
    kernel = keep(array, address_of(place), address_of(counter))
    device.launch(kernel, address_of(device.zero))()
    assert kept[1].tobytes() == VALUES.tobytes()
