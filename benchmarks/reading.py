"""Reading a large file of weights: time and memory of each way, beside NumPy on the same bytes.

    python benchmarks/reading.py [MEBIBYTES] [ROUNDS]

Writes 64 float32 matrices (1024 MiB together) as ``.params`` and, stacked, as ``.npy`` into a
temporary folder, then reads them in fresh processes, in turns, with the files in the system's
cache. "read" is until the arrays are there, "sum" until every value has been looked at once. Memory
is what the process takes beyond that of its imports: its own (anonymous) pages, and pages of
mapped files, which the system can take back.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import facts

from mxtrain.checkpoint.params import save_params

ARRAYS = 64
WAYS = {
    "load_params": "list(load_params(path).values())",
    "load_params, mmap=True": "list(load_params(path, mmap=True).values())",
    "np.load": "[np.load(path)]",
    "np.load, mmap_mode='c'": "[np.load(path, mmap_mode='c')]",
}
PROGRAM = """
import sys, time
import numpy as np
from mxtrain.checkpoint.params import load_params

def memory():
    text = open("/proc/self/status").read()
    return [int(text.split(name + ":")[1].split()[0]) for name in ("RssAnon", "RssFile")]

path = sys.argv[1]
before, begin = memory(), time.perf_counter()
arrays = {way}
read = time.perf_counter() - begin
total = sum(float(array.sum()) for array in arrays)
whole = time.perf_counter() - begin
after = memory()
print(read, whole, (after[0] - before[0]) / 1024, (after[1] - before[1]) / 1024)
"""


def main() -> None:
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(facts(["numpy"]))
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), mebibytes)
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                file = files[".npy" if way.startswith("np") else ".params"]
                found[way].append(measure(WAYS[way], file))
    print(f"{'':24} {'read, ms':>10} {'sum, ms':>10} {'own, MiB':>10} {'mapped, MiB':>12}")
    for way, rows in found.items():
        read, whole, own, mapped = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{way:24} {1000 * read:10.1f} {1000 * whole:10.1f} {own:10.0f} {mapped:12.0f}")


def write(folder: Path, mebibytes: int) -> dict[str, Path]:
    rows = mebibytes * 256 // ARRAYS
    data = np.random.default_rng(0).random((ARRAYS, rows, 1024), np.float32)
    files = {ending: folder / f"weights{ending}" for ending in (".params", ".npy")}
    save_params(files[".params"], {f"arg:w{i}": matrix for i, matrix in enumerate(data)})
    np.save(files[".npy"], data)
    return files


def measure(way: str, file: Path) -> list[float]:
    program = PROGRAM.replace("{way}", way)
    command = [sys.executable, "-c", program, str(file)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(number) for number in text.split()]


if __name__ == "__main__":
    main()
