"""A right config with its data, from which the tests of this folder make wrong ones."""

from __future__ import annotations

from pathlib import Path

BASE = """\
seed: 7
data:
  train: {path: train.csv, label: digit}
  eval: {path: test.csv}
  batch_size: 4
  features: {scale: standard}
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: relu1, act_type: relu}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
initializer: {name: xavier, magnitude: 2}
optimizer:
  name: sgd
  learning_rate: 0.1
lr_scheduler: {name: factor, step: 100, factor: 0.9}
fit:
  num_epoch: 3
  metrics: [accuracy, ce]
  checkpoint: {every: 1, keep: 3}
"""

TRAIN = "x1,x2,x3,digit\n" + "".join(f"{n},{n + 1},{n * n},{n % 3}\n" for n in range(12))
TEST = "x1,x2,x3,digit\n1,2,3,0\n4,5,6,1\n"


def write_config(folder: Path, text: str, name: str = "config.yaml") -> Path:
    """Write a config and the data it may name into `folder`; return the config's path."""
    (folder / "train.csv").write_text(TRAIN)
    (folder / "test.csv").write_text(TEST)
    path = folder / name
    path.write_text(text)
    return path
