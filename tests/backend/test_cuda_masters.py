"""Float16 weights with float32 masters on the stand-in for a CUDA device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, HostDevice

import mxtrain as mx
from mxtrain import backend, optimizer
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.cuda.steps import move_on
from mxtrain.backend.cupy import DeviceSegment
from mxtrain.io import DataBatch, DataDesc
from mxtrain.optimizer.rule import BoundRule, Slot

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")


def bound(name: str, where: str, **settings: Any) -> BoundRule:
    """Return a rule over 700 float16 weights of two parameters, with a gradient of all sizes."""
    random = np.random.default_rng(0)
    weight = random.standard_normal(700).astype("e")
    grad = (random.standard_normal(700) * np.exp2(random.integers(-24, 13, 700))).astype("e")
    here = backend.get(where)
    made = optimizer.create(name, multi_precision=True, wd=0.1, **settings)
    slots = [Slot(0, 0, 500), Slot(1, 512, 700)]
    return BoundRule(made, slots, here.from_host(weight), here.from_host(grad), where)


def arrays_of(rule: BoundRule) -> list[bytes]:
    assert rule.master is not None
    return [array.tobytes() for array in (rule.weight, rule.master, *rule.states.values())]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sgd", {"momentum": 0.9}),
        ("nag", {"momentum": 0.9, "clip_gradient": 0.5}),
        ("adam", {"learning_rate": 0.01}),
        ("dcasgd", {"momentum": 0.9}),
        ("rmsprop", {"centered": True, "clip_weights": 1.0}),
        ("lion", {}),
    ],
)
def test_updates_by_a_table_and_a_counter(
    device: HostDevice, name: str, settings: dict[str, Any]
) -> None:
    """The rows that `ahead` gives, on the device, are the updates that NumPy makes one by one."""
    host, there = bound(name, "numpy", **settings), bound(name, "cupy", **settings)
    told = there.ahead(5)
    assert told is not None
    ((segment, rows),) = told
    assert isinstance(segment, DeviceSegment)
    table = device.copied(np.ascontiguousarray(rows, np.float64))
    counter, halt = (device.copied(np.zeros(1, np.int64)) for _ in range(2))
    update = segment.launch(address_of(table), address_of(counter), address_of(halt))
    count = device.launch(move_on(address_of(counter)), address_of(halt))
    for _ in rows:
        update()
        count()
        host.step()
    there.advance(len(rows))
    assert arrays_of(there) == arrays_of(host)
    halt[0] = 1
    update()
    assert arrays_of(there) == arrays_of(host)
    host.step()
    there.step()
    assert arrays_of(there) == arrays_of(host)


def test_a_module_updates_its_masters_there(device: HostDevice) -> None:
    found = []
    for context in (mx.gpu(), mx.cpu()):
        layer = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
        module = mx.mod.Module(mx.sym.SoftmaxOutput(layer, name="softmax"), context=context)
        data = DataDesc("data", (8, 5), "float16")
        module.bind([data], [DataDesc("softmax_label", (8,), "float16")])
        random = np.random.default_rng(1)
        shapes = {"fc_weight": (3, 5), "fc_bias": (3,)}
        given = {n: mx.nd.array(random.normal(size=shape)) for n, shape in shapes.items()}
        module.init_params(None, given, {})
        settings = {"learning_rate": 0.01, "multi_precision": True}
        module.init_optimizer(optimizer="adam", optimizer_params=settings)
        for _ in range(4):
            rows = mx.nd.array(random.normal(size=(8, 5)), dtype="float16")
            labels = mx.nd.array(np.arange(8) % 3, dtype="float16")
            module.forward_backward(DataBatch([rows], [labels]))
            module.update()
        found.append([array.asnumpy() for array in module.get_params()[0].values()])
        told = module.updates_ahead(1)
        assert told is not None
        assert {isinstance(segment, DeviceSegment) for segment, _ in told} == {context == mx.gpu()}
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-2)
