"""Fuzz the readers: ``python tests/fuzz/fuzz_run.py --inputs 100000 --seed 0`` (or ``make fuzz``).

Input i of a seed is always the same, so that a finding can be looked at again:
``--seed 0 --only symbol:1234``. Findings are written to ``fuzz-findings/``, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz_targets import Finding, Outcome, Target, examine, targets

from mxtrain.errors import MXNetError, closest

HANG = 120  # seconds after which a reader counts as hanging


@dataclass
class Tally:
    """What became of the inputs of one kind.

    `times` is the largest peak of memory as a multiple of the input, of those from 1 KiB on.
    """

    accepted: int = 0
    refused: int = 0
    found: int = 0
    seconds: float = 0.0
    memory: int = 0
    times: float = 0.0

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused + self.found

    def add(self, outcome: Outcome, size: int) -> None:
        self.accepted += outcome.accepted
        self.refused += not outcome.accepted
        self.seconds = max(self.seconds, outcome.seconds)
        self.memory = max(self.memory, outcome.memory)
        if size >= 1024:
            self.times = max(self.times, outcome.memory / size)

    def join(self, other: Tally) -> None:
        self.accepted += other.accepted
        self.refused += other.refused
        self.found += other.found
        self.seconds = max(self.seconds, other.seconds)
        self.memory = max(self.memory, other.memory)
        self.times = max(self.times, other.times)


@dataclass
class Report:
    """Tallies by target and kind, and what was found: (target, number, kind, bytes, text)."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    findings: list[tuple[str, int, str, bytes, str]] = field(default_factory=list)


def inputs(target: Target, seed: int, count: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield `count` inputs: (number, kind, bytes). Small files are cut at every byte first."""
    cuts = [data[:end] for data in sorted(target.seeds, key=len) for end in range(len(data))]
    cuts = cuts[: count // 8]
    for number, data in enumerate(cuts):
        yield number, "cut at every byte", data
    for number in range(len(cuts), count):
        yield number, *one(target, seed, number)


def one(target: Target, seed: int, number: int) -> tuple[str, bytes]:
    random = Random(f"{seed} {target.name} {number}")
    kind = random.choice(list(target.mutations))
    data = target.mutations[kind](random, random.choice(target.seeds))
    if random.random() < 0.1:
        again = random.choice(["bits flipped", "pieces repeated", "truncated"])
        data = target.mutations[again](random, data)
    return kind, data


def fuzz(chosen: list[Target], seed: int, count: int, folder: Path) -> Report:
    """Let each target read its share of `count` inputs."""
    report = Report()
    whole = sum(target.share for target in chosen)
    tracemalloc.start()
    try:
        for target in chosen:
            warm_up(target, folder)
            for number, kind, data in inputs(target, seed, count * target.share // whole):
                look(target, number, kind, data, folder, report)
    finally:
        tracemalloc.stop()
    return report


def warm_up(target: Target, folder: Path) -> None:
    """Read every whole file: what only the first one pays for, such as imports, is not measured."""
    for data in target.seeds:
        (folder / "input").write_bytes(data)
        with suppress(MXNetError):
            target.check(folder / "input", data)
    closest("a", ["b"])


def look(target: Target, number: int, kind: str, data: bytes, folder: Path, report: Report) -> None:
    tally = report.tallies.setdefault((target.name, kind), Tally())
    faulthandler.dump_traceback_later(HANG, exit=True)
    try:
        tally.add(examine(target, data, folder), len(data))
    except Finding as finding:
        tally.found += 1
        report.findings.append((target.name, number, kind, data, str(finding)))
    finally:
        faulthandler.cancel_dump_traceback_later()


def table(report: Report) -> str:
    """Return the tallies as a Markdown table."""
    head = ["reader", "kind", "inputs", "accepted", "refused", "findings"]
    head += ["longest, ms", "memory, KiB", "times its size"]
    lines = [cells(head), cells(["---"] * len(head))]
    total = Tally()
    for (target, kind), tally in sorted(report.tallies.items()):
        lines.append(row(target, kind, tally))
        total.join(tally)
    return "\n".join([*lines, row("all", "", total)])


def row(target: str, kind: str, tally: Tally) -> str:
    counts: list[object] = [tally.inputs, tally.accepted, tally.refused, tally.found]
    most = [f"{1000 * tally.seconds:.1f}", f"{tally.memory / 1024:.0f}", f"{tally.times:.1f}"]
    return cells([target, kind, *counts, *most])


def cells(values: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, values))} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Let the readers of files read damaged ones.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a reader, or reader:number for one input")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen = targets(Path(folder))
        if arguments.only:
            name, _, number = arguments.only.partition(":")
            chosen = [target for target in chosen if target.name == name]
            if number and chosen:
                return again(chosen[0], arguments.seed, int(number), Path(folder))
        if not chosen:
            parser.error(f"no reader is called {arguments.only}")
        begin = time.perf_counter()
        report = fuzz(chosen, arguments.seed, arguments.inputs, Path(folder))
    print(table(report))
    print(f"seed {arguments.seed}, {time.perf_counter() - begin:.0f} s")
    for number, (text, count) in enumerate(
        Counter(finding[4][:100] for finding in report.findings).most_common()
    ):
        print(f"finding {number}: {count} times: {text}", file=sys.stderr)
    save(report)
    return int(bool(report.findings))


def again(target: Target, seed: int, number: int, folder: Path) -> int:
    """Read one input again, with the whole traceback."""
    warm_up(target, folder)
    _, data = one(target, seed, number)
    tracemalloc.start()
    (folder / "input").write_bytes(data)
    print(examine(target, data, folder))
    return 0


def save(report: Report) -> None:
    for target, number, kind, data, text in report.findings[:200]:
        folder = Path("fuzz-findings")
        folder.mkdir(exist_ok=True)
        (folder / f"{target}-{number}.bin").write_bytes(data)
        (folder / f"{target}-{number}.txt").write_text(f"{kind}: {text}\n", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
