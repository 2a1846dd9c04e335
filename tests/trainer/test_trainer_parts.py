"""Parts of the trainer by themselves: measuring, profiling, words, looking without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_runs import CONFIG, Notes, train, write_config

from mxtrain.config import load
from mxtrain.config.spec import Component
from mxtrain.trainer import describe, loop, measure
from mxtrain.trainer.build import Built, add_optimizer, build
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.measure import Measure
from mxtrain.trainer.metrics import make_metrics
from mxtrain.trainer.preview import initial_weights, rates, summary
from mxtrain.trainer.profile import operations_of


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def built(config: Path) -> Built:
    made = build(load(config))
    add_optimizer(made)
    return made


class Rows:
    """Stands for a bound batch of given outputs and labels."""

    def __init__(self, output: Any, label: Any) -> None:
        self.rows, self.measured, self.empty = len(output), [output, label], np.empty


def measured(built: Built, sizes: list[int], seed: int) -> tuple[dict[str, float], Any, Any]:
    rng = np.random.default_rng(seed)
    total = sum(sizes)
    output = rng.dirichlet(np.ones(3), total).astype(np.float32)
    label = rng.integers(0, 3, total).astype(np.float32)
    full = Rows(np.zeros((8, 3), np.float32), np.zeros(8, np.float32))
    components = [Component("accuracy"), Component("ce")]
    one = Measure(built.heads, make_metrics(components, built.heads), built.labels, full)  # type: ignore[arg-type]  # a stand-in
    start = 0
    for size in sizes:
        batch = Rows(output[start : start + size], label[start : start + size])
        one.add(batch)  # type: ignore[arg-type]  # likewise
        start += size
    one.flush()
    return one.values(), output, label


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=150), st.integers(0, 9))
def test_values_are_means_over_rows(built: Built, sizes: list[int], seed: int) -> None:
    values, output, label = measured(built, sizes, seed)
    chosen = output[np.arange(len(label)), label.astype(int)].astype(np.float64)
    assert values["loss"] == pytest.approx(-np.log(np.maximum(chosen, 1e-12)).mean(), rel=1e-5)
    assert values["accuracy"] == pytest.approx((output.argmax(1) == label).mean())


def test_looking_at_the_values_so_far_changes_nothing(built: Built) -> None:
    def epoch(look: bool) -> tuple[dict[str, float], dict[str, float]]:
        run = Loop(built)
        bound = run.bound(8)
        early: dict[str, float] = {}
        for number in range(70):  # more than a piece
            bound.outputs[0][...] = np.roll(np.array([0.7, 0.2, 0.1], np.float32), number)
            bound.labels[0][...] = np.arange(8) % 3
            run.train_measure.add(bound, pad=3 if number == 69 else 0)
            if look:
                early = run.train_measure.values_so_far()
        run.train_measure.flush()
        return run.train_measure.values(), early

    assert epoch(look=True)[0] == epoch(look=False)[0]
    values, so_far = epoch(look=True)
    assert values == pytest.approx(so_far)


def test_the_first_progress_has_values(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", 0.0)
    notes = Notes()
    train(config, output=config.parent / "progress", notes=notes)
    assert len(notes.running) == 21
    first, last = notes.running[0], notes.running[-1]
    assert (first.epoch, first.batch, first.batches) == (1, 1, 7)
    assert (last.epoch, last.batch, last.batches) == (3, 7, 7)
    assert all(np.isfinite(list(p.train.values())).all() for p in notes.running)
    assert last.train == pytest.approx(notes.rows[-1].train)


def test_an_output_whose_rows_cannot_be_counted(tmp_path: Path) -> None:
    nodes = CONFIG[CONFIG.index("symbol:") : CONFIG.index("optimizer:")]
    own = (
        "symbol:\n"
        "  - {op: FullyConnected, name: fc, num_hidden: 5}\n"
        "  - {op: sum, name: total, axis: [0]}\n"
        "  - {op: MakeLoss, name: loss}\n"
    )
    text = CONFIG.replace(nodes, own).replace("metrics: [accuracy, ce]", "metrics: []")
    config = write_config(tmp_path, text.replace("label: kind}", "label: kind}\n  ignore: [kind]"))
    config.write_text(config.read_text().replace(", label: kind}", "}"))
    with pytest.raises(Exception, match=r"'loss_output' has shape \(5,\) for a batch of 8"):
        train(config)


def test_profile_has_every_phase_and_node(config: Path, each_backend: str) -> None:
    notes = Notes()
    train(config, output=config.parent / each_backend, notes=notes, profile=True)
    assert notes.result is not None
    found = notes.result.profile
    assert found is not None
    phases = {one.phase: one for one in found.phases}
    assert phases["input"].calls == phases["forward"].calls / 4 == 3 * (7 + 3)
    assert phases["update"].calls == 3 * 7
    assert phases["console"].calls >= 1 + 3
    assert phases["files"].calls == 2 * 3
    # A batch is looked at before it is learned from, and added; epochs end with a flush each.
    assert phases["metric"].calls == 3 * (2 * 7 + 1) + 3 * (3 + 1)
    assert sum(one.seconds for one in found.phases) == pytest.approx(found.seconds)
    floors = {name for name, one in phases.items() if one.floor}
    assert floors == {"forward", "backward", "update"}
    nodes = {(one.node, one.phase): one for one in found.nodes}
    assert nodes["fc1", "forward"].calls == 3 * (7 + 3)
    assert nodes["fc1", "backward"].calls == 3 * 7
    assert nodes["fc1", "forward"].floor and not nodes["softmax", "forward"].floor
    seconds = [one.seconds for one in found.nodes]
    assert seconds == sorted(seconds, reverse=True)
    assert phases["backward"].seconds == pytest.approx(
        sum(one.seconds for one in found.nodes if one.phase == "backward")
    )


def test_nothing_is_timed_unless_it_is_asked_for(config: Path) -> None:
    plain = Notes()
    train(config, output=config.parent / "plain", notes=plain)
    assert plain.result is not None
    assert plain.result.profile is None


def test_operations_of_products() -> None:
    left, right = np.ones((3, 5), "f"), np.ones((5, 7), "f")
    lines = [(np.dot, (left, right, np.ones((3, 7), "f"))), (np.add, (left, left, left))]
    assert operations_of(lines) == 2 * 3 * 5 * 7
    stacked = np.ones((4, 3, 5), "f"), np.ones((4, 5, 7), "f"), np.ones((4, 3, 7), "f")
    assert operations_of([(np.matmul, stacked)]) == 4 * operations_of(lines)


def test_bytes_of_an_update(config: Path) -> None:
    found = {}
    for optimizer in ("sgd", "adam"):
        built = build(load(config, [f"optimizer={{name: {optimizer}}}"]))
        add_optimizer(built)
        count = sum(array.size for array in built.module.parameter_arrays())
        found[optimizer] = built.module.update_bytes()
    # Parameters begin at cache lines, so there is a little more than they need.
    assert 4 * 3 * count <= found["sgd"] <= 4 * 3 * (count + 4 * 16)
    assert found["adam"] * 3 == found["sgd"] * 7


def test_rates_are_those_of_the_run(config: Path) -> None:
    changes = ["lr_scheduler={name: factor, step: 4, factor: 0.5}", "data.last_batch=discard"]
    found = rates(load(config, changes))
    notes = Notes()
    train(config, *changes, output=config.parent / "rates", notes=notes)
    assert len(found.rates) == 3 * 6
    assert [found.rates[6 * n + 5] for n in range(3)] == [row.lr for row in notes.rows]
    assert (found.optimizer, found.lr_scheduler) == (
        "sgd(learning_rate=0.1, momentum=0.9)",
        "factor(step=4, factor=0.5)",
    )


def test_rates_without_a_schedule(config: Path) -> None:
    found = rates(load(config, ["optimizer=sgd"]))
    assert set(found.rates) == {0.01}
    assert found.optimizer == "sgd(learning_rate=0.01)"
    assert found.lr_scheduler == "constant"


def test_summary_counts_parameters_and_memory(config: Path) -> None:
    found = summary(load(config))
    assert found.num_parameters == 8 * 2 + 8 + 3 * 8 + 3
    assert [row.name for row in found.layers] == ["fc1", "act1", "fc2", "softmax"]
    assert [row.output_shape for row in found.layers] == [(8, 8), (8, 8), (8, 3), (8, 3)]
    memory = dict(found.memory)
    assert memory["parameters"] == 51 * 4
    assert memory["rows in memory"] == (50 + 20) * 3 * 4
    assert [row.wd_mult for row in found.parameters] == [1, 0, 1, 0]


def test_initial_weights_are_those_of_the_run(config: Path) -> None:
    from trainer_runs import weights

    found = {weight.name: weight for weight in initial_weights(load(config))}
    still = train(config, "optimizer.learning_rate=0", output=config.parent / "still")
    for name, array in weights(still.output, still.weights).items():
        assert np.array_equal(found[name].values, array)
    assert found["fc1_weight"].initializer.startswith("Xavier: uniform")


def test_components_in_words() -> None:
    text = describe.component_text
    assert text(Component("sgd")) == "sgd"
    settings = {"learning_rate": 0.1, "step": (1, 2), "nesterov": True}
    assert text(Component("x", settings)) == "x(learning_rate=0.1, step=[1, 2], nesterov=True)"


def test_a_base_rate_of_its_own_is_shown(config: Path) -> None:
    spec = load(config, ["lr_scheduler={name: factor, step: 4}"])
    assert "base_lr" not in describe.schedule_text(spec)
    assert spec.lr_scheduler is not None
    other = Component("factor", {**spec.lr_scheduler.settings, "base_lr": 0.7})
    assert "base_lr=0.7" in describe.schedule_text(replace(spec, lr_scheduler=other))


def test_pieces_have_a_fixed_length(built: Built) -> None:
    full = Rows(np.zeros((8, 3), np.float32), np.zeros(8, np.float32))
    one = Measure(built.heads, [], built.labels, full)  # type: ignore[arg-type]  # a stand-in
    assert one._capacity == measure.MAX_BATCHES
    wide = Rows(np.zeros((8, 1 << 16), np.float32), np.zeros(8, np.float32))
    assert Measure(built.heads, [], built.labels, wide)._capacity == 1  # type: ignore[arg-type]  # likewise


def test_threads_are_limited_during_the_run_only(config: Path) -> None:
    from threadpoolctl import threadpool_info

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info()}

    class Watch(Notes):
        def start(self, info: Any) -> None:
            self.threads = threads()

    watch, before = Watch(), threads()
    train(config, "threads=1", output=config.parent / "threads", notes=watch)
    assert watch.threads == {1}
    assert threads() == before
