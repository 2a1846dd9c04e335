"""float16 in what surrounds a captured step: rows, losses that are looked at, outputs kept."""

from __future__ import annotations

import numpy as np
import pytest
from host_device import COMPILER, HostDevice

from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.cuda.steps import gather, keep, look
from mxtrain.io.scaling import Scaler

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
VALUES = np.array(
    [0.0, -0.0, 1.0, -1.5, 2.5, 0.1, np.inf, -np.inf, np.nan, 6e-8, 65504, -7.25, 1e-3, 3.0], "e"
)


@pytest.fixture(scope="module")
def device() -> HostDevice:
    return HostDevice()


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("kind", ["e", "f", "d", "B"])
def test_rows_are_gathered_as_halves(device: HostDevice, kind: str) -> None:
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
