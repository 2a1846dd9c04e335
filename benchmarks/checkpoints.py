"""What checkpoints cost a small network: epochs of the handwritten digits with and without them.

The network of ``configs/digits_mlp.yaml`` (or another config) is trained for some epochs with a
checkpoint after each epoch, after every tenth batch, and with none but the last, in turns in one
process; the medians of the rounds are compared. The times are those between the ends of
epochs, the checkpoint included.

Run it with: python benchmarks/checkpoints.py [--config FILE] [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EPOCHS = 12  # per round; the first is not counted
KINDS = {
    "none": "{every: 1000}",
    "every epoch": "{every: 1}",
    "every 10 batches": "{every: 1000, every_batches: 10}",
}


class Watch:
    """A reporter that notes when each epoch ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def epoch(self, row: object) -> None:
        self.ends.append(time.perf_counter())

    def start(self, info: object) -> None: ...

    progress = notice = finish = start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "digits_mlp.yaml")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    from mxtrain.config import load
    from mxtrain.trainer.run import fit

    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for number in range(options.rounds + 1):
            for kind in sorted(KINDS, reverse=bool(number % 2)):
                changes = [f"fit.checkpoint={KINDS[kind]}", f"fit.num_epoch={EPOCHS}"]
                watch = Watch()
                fit(load(options.config, changes), watch, Path(folder, "run"), overwrite=True)  # type: ignore[arg-type]  # a Reporter
                if number:  # the first round warms up
                    # the last epoch's checkpoint comes after its report: leave that epoch out
                    times[kind].append((watch.ends[-1] - watch.ends[0]) / (EPOCHS - 1))
    plain = statistics.median(times["none"])
    for kind, values in times.items():
        median = statistics.median(values)
        print(f"{kind:18} {median * 1000:7.2f} ms per epoch, {(median - plain) * 1000:6.2f} more")


if __name__ == "__main__":
    main()
