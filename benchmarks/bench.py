"""All benchmarks in one command: mxtrain's backends beside peers and floors.

    python benchmarks/bench.py [TOPIC ...] [--quick] [--rounds N] [--output FOLDER]
    python benchmarks/bench.py --again RESULTS.json

Writes ``<date>-<machine>.json`` with every round, ``.md`` with tables and aims, and plots into
``benchmarks/results``. A peer whose package is not installed is skipped with a notice. With
`--again` tables and plots are made anew from figures measured before. Ends with status 1 where a
side failed or did not train the same thing; what else was measured is written all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import report
from machine import described, short_name
from options import Bench, Options
from topics import KEYS, topic
from workers import Workers

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("mxtrain", "numpy", "numba", "torch", "jax", "scikit-learn", "thinc", "polars")
QUICK = Options(rounds=3, block=0.02, quick=True)


def main() -> int:
    """Measure the topics that are asked for and write the files; return the status."""
    given = arguments()
    if given.again is not None:
        return write_again(given.again)
    results = measured(given.topics or list(KEYS), options_of(given))
    name = f"{results['machine']['date']}-{short_name()}{'-quick' if given.quick else ''}"
    print(*report.write(given.output, name, results), sep="\n")
    return 1 if results["failures"] else 0


def write_again(path: Path) -> int:
    """Write tables and plots of figures measured before; return the status."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        paths = report.write_pages(path.parent, path.stem, results)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{path} has no results of this command: {error!r}", file=sys.stderr)
        return 2
    print(*paths, sep="\n")
    return 0


def arguments() -> argparse.Namespace:
    """Return what stands on the command line."""
    parser = argparse.ArgumentParser(description="Measure mxtrain beside peers and floors.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(KEYS)}; all")
    parser.add_argument("--rounds", type=positive, help="how often every side is measured; 15")
    parser.add_argument("--block", type=seconds, help="seconds of one measurement; 0.1")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="few small cases, to try it out")
    parser.add_argument("--again", type=Path, metavar="JSON", help="only write tables and plots")
    given = parser.parse_args()
    unknown = [key for key in given.topics if key not in KEYS]
    if unknown:
        parser.error(f"no topic '{unknown[0]}'; the topics are {', '.join(KEYS)}")
    return given


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {value}")
    return value


def seconds(text: str) -> float:
    """Return a number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"above 0, not {value}")
    return value


def options_of(given: argparse.Namespace) -> Options:
    """Return how long to measure."""
    usual = QUICK if given.quick else Options()
    return Options(given.rounds or usual.rounds, given.block or usual.block, usual.quick)


def measured(keys: list[str], options: Options) -> dict[str, Any]:
    """Return the results of the topics, with the machine."""
    machine = described(PACKAGES)
    with Workers() as workers:
        bench = Bench(options, workers)
        topics = {}
        for key in (key for key in KEYS if key in keys):
            bench.progress(topic(key).title)
            topics[key] = topic(key).measure(bench)
    return {
        "machine": machine,
        "rounds": options.rounds,
        "block": options.block,
        "quick": options.quick,
        "notices": bench.notices,
        "failures": bench.failures,
        "topics": topics,
    }


if __name__ == "__main__":
    sys.exit(main())
