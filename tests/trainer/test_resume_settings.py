"""Whatever a config says of data, network and training, a run goes on to the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from resume_runs import NETWORK, compare, compare_all, no_disk, resume
from trainer_runs import Notes, write_config

from mxtrain.config import load
from mxtrain.trainer.run import fit

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]


@pytest.mark.parametrize("shuffle", ["true", "false"])
@pytest.mark.parametrize("last", ["keep", "pad", "discard", "roll_over"])
def test_order_and_last_batch(tmp_path: Path, last: str, shuffle: str) -> None:
    """With roll_over the two rows left of each epoch lead the next: 6, 6, 6, 7 batches."""
    changes = (f"data.last_batch={last}", f"data.shuffle={shuffle}", "fit.num_epoch=4")
    assert compare_all(tmp_path, *changes) >= 7


def test_every_batch(tmp_path: Path) -> None:
    """Also right after the first, and before the last; the end of an epoch has one checkpoint."""
    assert compare_all(tmp_path, "fit.checkpoint.every_batches=1", "fit.num_epoch=2") == 13


@pytest.mark.parametrize(
    "change",
    [
        "fit.clip_global_norm=0.05",
        "data.class_weight=balanced",
        "data.features.scale=standard",
        "data.eval={fraction: 0.3}",
        "data.eval=null",
        "fit.metrics=[]",
        "fit.begin_epoch=1",
        "initializer={name: normal, sigma: 0.3}",
        "data.batch_size=50",
        "threads=1",
    ],
)
def test_settings(tmp_path: Path, change: str) -> None:
    assert compare_all(tmp_path, change) >= 2


def test_early_stopping_counts_on_and_restores(tmp_path: Path) -> None:
    stopping = "fit.early_stopping={metric: accuracy, patience: 3}"
    assert compare_all(tmp_path, stopping, "fit.num_epoch=12", "fit.checkpoint.every_batches=9") > 5


def test_weights_of_the_best_epoch_are_found_though_it_has_no_checkpoint(tmp_path: Path) -> None:
    """The best epoch lies between two checkpoints; only its weights are on the disk."""
    stopping = "fit.early_stopping={metric: loss, patience: 4}"
    changes = (stopping, "optimizer.learning_rate=0.9", "fit.num_epoch=11")
    keeping = "fit.checkpoint={every: 100, every_batches: 19, keep: 2}"
    assert compare_all(tmp_path, *changes, keeping) >= 1
    weights = (tmp_path / "whole").glob("*.params")
    assert any(not path.with_suffix(".safetensors").exists() for path in weights)


EMBEDDING = """\
symbol:
  - {op: Embedding, name: embed, input_dim: 11, output_dim: 4, sparse_grad: true}
  - {op: Flatten, name: flat}
  - {op: FullyConnected, name: fc2, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
"""


@pytest.mark.parametrize(
    "optimizer", ["{name: sgd, momentum: 0.9}", "adam", "{name: lbsgd, batch_scale: 3}"]
)
def test_row_sparse_gradients(tmp_path: Path, optimizer: str) -> None:
    """LBSGD remembers which rows its sums have seen."""
    start, end = NETWORK.index("symbol:"), NETWORK.index("optimizer:")
    rows = "".join(f"{i * 7 % 11},{i * 5 % 11},{'ab'[i % 3 == 0]}\n" for i in range(50))
    (tmp_path / "words.csv").write_text("x,y,kind\n" + rows)
    text = (NETWORK[:start] + EMBEDDING + NETWORK[end:]).replace("train.csv", "words.csv")
    text = text.replace("path: test.csv", "path: words.csv")
    assert compare_all(tmp_path, f"optimizer={optimizer}", text=text) == 6


HALF = """\
symbol:
  - {op: Cast, name: half, dtype: float16}
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: Cast, name: single, dtype: float32}
  - {op: SoftmaxOutput, name: softmax}
"""


@pytest.mark.parametrize("optimizer", ["{name: sgd, momentum: 0.9", "{name: lamb", "{name: adam"])
def test_half_precision_with_masters(tmp_path: Path, optimizer: str) -> None:
    """The float32 masters are states; the file of weights has float16."""
    start, end = NETWORK.index("symbol:"), NETWORK.index("optimizer:")
    text = NETWORK[:start] + HALF + NETWORK[end:]
    assert compare_all(tmp_path, f"optimizer={optimizer}, multi_precision: true}}", text=text) == 6


HEADS = """\
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3, inputs: act1}
  - {op: SoftmaxOutput, name: softmax}
  - {op: FullyConnected, name: fc3, num_hidden: 2, inputs: act1}
  - {op: SoftmaxOutput, name: side, grad_scale: 0.5}
"""


def test_several_outputs(tmp_path: Path) -> None:
    start, end = NETWORK.index("symbol:"), NETWORK.index("optimizer:")
    rows = "".join(f"{i * 7 % 11},{i * 5 % 13},{i % 3},{i * 7 % 2}\n" for i in range(50))
    (tmp_path / "two.csv").write_text("x,y,kind,side\n" + rows)
    text = (NETWORK[:start] + HEADS + NETWORK[end:]).replace("label: kind", "label: [kind, side]")
    text = text.replace("train.csv", "two.csv").replace("path: test.csv", "path: two.csv")
    assert compare_all(tmp_path, text=text) == 6


def test_stopped_and_resumed_twice(tmp_path: Path) -> None:
    """A run that is cut short and lengthened is the run that was long from the beginning."""
    config = write_config(tmp_path, NETWORK)
    whole = fit(load(config, ["fit.num_epoch=5"]), Notes(), output=tmp_path / "whole")
    fit(load(config, ["fit.num_epoch=1"]), Notes(), output=tmp_path / "run")
    resume(tmp_path / "run", "fit.num_epoch=3")
    resumed = resume(tmp_path / "run", "fit.num_epoch=5")
    compare(tmp_path / "whole", whole, tmp_path / "run", resumed)


@pytest.mark.parametrize("at", range(1, 8))
def test_stopped_by_hand_at_any_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The checkpoint of a stop is like any other; after the last batch nothing was evaluated."""
    from mxtrain.trainer.loop import Loop

    config = write_config(tmp_path, NETWORK)
    plain = "fit.checkpoint={keep: 1}"
    whole = fit(load(config, [plain]), Notes(), output=tmp_path / "whole")
    original, seen = Loop.train_batch, [0]

    def train_batch(self: Loop, batch: object) -> None:
        original(self, batch)  # type: ignore[arg-type]  # handed on as it is
        seen[0] += 1
        if seen[0] == 7 + at:
            self._stop_requested = lambda: True

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "train_batch", train_batch)
        cut = fit(load(config, [plain]), Notes(), output=tmp_path / "run")
    assert (cut.status, cut.weights) == ("interrupted", f"model-0002-batch-{at:04d}.params")
    compare(tmp_path / "whole", whole, tmp_path / "run", resume(tmp_path / "run"))


def test_a_stop_while_evaluating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout with mode always draws while evaluating: the numbers are drawn once more."""
    from mxtrain.trainer.bound import BoundBatch

    config = write_config(tmp_path, NETWORK.replace("p: 0.2", "p: 0.2, mode: always"))
    plain = "fit.checkpoint={keep: 1}"
    whole = fit(load(config, [plain]), Notes(), output=tmp_path / "whole")
    original, seen = BoundBatch.predict, [0]
    stop = [False]

    def predict(self: BoundBatch) -> None:
        original(self)
        seen[0] += 1
        stop[0] = stop[0] or seen[0] == 5

    with monkeypatch.context() as patch:
        patch.setattr(BoundBatch, "predict", predict)
        patch.setattr("mxtrain.trainer.signals.StopRequest.requested", lambda self: stop[0])
        cut = fit(load(config, [plain]), Notes(), output=tmp_path / "run")
    assert cut.weights == "model-0002-batch-0007.params"
    compare(tmp_path / "whole", whole, tmp_path / "run", resume(tmp_path / "run"))


@pytest.mark.parametrize("clip", ["null", "1.0e+9"])
def test_a_failed_run_stands_before_the_bad_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: str
) -> None:
    """Steps of random numbers and BatchNorm's averages included: without the fault, it goes on."""
    from mxtrain.trainer.bound import BoundBatch

    config = write_config(tmp_path, NETWORK)
    changes = ("fit.checkpoint={keep: 1}", f"fit.clip_global_norm={clip}")
    whole = fit(load(config, changes), Notes(), output=tmp_path / "whole")
    name = "backward" if clip != "null" else "forward"
    original, seen = getattr(BoundBatch, name), [0]

    def spoiled(self: BoundBatch) -> None:
        original(self)
        seen[0] += 1
        if seen[0] == 7 + 3:
            target = self.outputs[0] if name == "forward" else self.executor.grad_dict["fc1_weight"]
            target[0, 0] = np.inf

    with monkeypatch.context() as patch:
        patch.setattr(BoundBatch, name, spoiled)
        failed = fit(load(config, changes), Notes(), output=tmp_path / "run")
    assert (failed.status, failed.weights) == ("failed", "model-0002-batch-0002.params")
    compare(tmp_path / "whole", whole, tmp_path / "run", resume(tmp_path / "run"))


def test_minutes(tmp_path: Path) -> None:
    config = write_config(tmp_path, NETWORK)
    often = "fit.checkpoint={every: 100, every_minutes: 1.0e-9, keep: null}"
    result = fit(load(config, [often, "fit.num_epoch=2"]), Notes(), output=tmp_path / "often")
    assert sum(name.endswith(".safetensors") for name in result.files) == 14
    never = "fit.checkpoint={every: 100, every_minutes: 1000, keep: null}"
    result = fit(load(config, [never, "fit.num_epoch=2"]), Notes(), output=tmp_path / "never")
    assert sum(name.endswith(".safetensors") for name in result.files) == 1


def test_batches_are_counted_over_the_whole_run(tmp_path: Path) -> None:
    """The tenth batch is the third of epoch 2; the 21st ends epoch 3, which then has one."""
    config = write_config(tmp_path, NETWORK)
    sparse = "fit.checkpoint={every: 100, every_batches: 7, keep: null}"
    result = fit(load(config, [sparse, "data.last_batch=discard"]), Notes(), output=tmp_path / "a")
    found = [name for name in result.files if name.endswith(".safetensors")]
    assert found == [
        "model-0002-batch-0001.safetensors",
        "model-0003-batch-0002.safetensors",
        "model-0003.safetensors",
    ]
