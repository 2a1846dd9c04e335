"""The readers that are fuzzed: their files, the damage done to them, and what must hold.

A target's `check` reads the bytes of a file and returns True when they were accepted, False when
they were refused by an error of the package. Anything else is a `Finding`: another exception, a
warning, an answer that differs from what the bytes say, too much time or memory.
"""

from __future__ import annotations

import json
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import fuzz_mutations as mutations
import fuzz_params
import numpy as np
from fuzz_symbol import build_symbol

import mxtrain as mx
from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.arrays import read_arrays
from mxtrain.checkpoint.params import load_frombuffer, load_params
from mxtrain.checkpoint.states import dump_states, load_states
from mxtrain.errors import MXNetError
from mxtrain.op import registry

GOLDEN = Path(__file__).parents[1] / "golden"
SECONDS = 1.0
# An array of one number takes 28 bytes in a file and some 300 as a Python object.
MEMORY_PER_BYTE, MEMORY = 60, 64 * 1024


class Finding(Exception):
    """A reader did something it must not do."""


Mutation = Callable[[Random, bytes], bytes]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes
    ----------
    name : for the table.
    seeds : whole files.
    mutations : by kind; a kind ``built`` ignores the file it is given.
    check : reads a file whose bytes are given too; see above.
    share : of the inputs of a run.
    buffer : bytes of memory that any file takes, however small.
    """

    name: str
    seeds: list[bytes]
    mutations: dict[str, Mutation]
    check: Callable[[Path, bytes], bool]
    share: int
    buffer: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one input led to: `memory` is the peak in bytes, without the target's buffer."""

    accepted: bool
    seconds: float
    memory: int


def examine(target: Target, data: bytes, folder: Path) -> Outcome:
    """Let a target read `data`; raises `Finding`. tracemalloc must be running."""
    file = folder / "input"
    file.write_bytes(data)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            accepted = target.check(file, data)
    except MXNetError as error:
        accepted = False
        if not str(error) or len(str(error)) > 20_000:
            raise Finding(f"an error of {len(str(error))} characters") from error
    except Finding:
        raise
    except BaseException as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:300]}") from error
    seconds = time.process_time() - begin
    memory = max(0, tracemalloc.get_traced_memory()[1] - before - target.buffer)
    if seconds > SECONDS:
        raise Finding(f"{seconds:.2f} s for {len(data)} bytes")
    if memory > MEMORY_PER_BYTE * len(data) + MEMORY:
        raise Finding(f"{memory} bytes of memory for {len(data)} bytes")
    return Outcome(accepted, seconds, memory)


def agree(what: str, found: Any, said: Any) -> None:
    if found != said:
        raise Finding(f"{what}: read {str(found)[:200]}, the bytes say {str(said)[:200]}")


# -- .params -----------------------------------------------------------------------------------


def check_params(file: Path, data: bytes) -> bool:
    try:
        said = fuzz_params.parse(data)
    except fuzz_params.Bad:
        said = None
    try:
        if len(data) % 4 == 3:
            loaded = load_frombuffer(data)
        else:
            loaded = load_params(file, mmap=len(data) % 4 == 1)
    except MXNetError as error:
        if said is not None:
            raise Finding(f"refused, though the bytes are good: {error}") from error
        raise
    if said is None:
        raise Finding("accepted, though the bytes are bad")
    agree("container", isinstance(loaded, dict), said.named)
    names = list(loaded) if isinstance(loaded, dict) else [None] * len(loaded)
    agree("names", names, [array.name for array in said.arrays])
    arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
    for array, expected in zip(arrays, said.arrays, strict=True):
        agree("storage", array.stype, expected.stype)
        agree("shape", array.shape, expected.shape)
        agree("type", array.dtype.name, expected.dtype)
        for part, content in expected.parts.items():
            values = array if array.stype == "default" else getattr(array, part)
            agree(part, np.asarray(values).tobytes(), content)
    return True


def params_seeds() -> list[bytes]:
    files = [*GOLDEN.glob("files/*.params"), GOLDEN / "files/legacy_ndarray.v0"]
    return [file.read_bytes() for file in sorted(files)]


def at_fields(mutation: Callable[..., bytes]) -> Mutation:
    """Let a mutation know where the integers of a ``.params`` file stand."""

    def mutate(random: Random, data: bytes) -> bytes:
        cursor = fuzz_params.Cursor(data)
        with suppress(fuzz_params.Bad):
            fuzz_params.parse(data, cursor)
        return mutation(random, data, cursor.fields)

    return mutate


# -- symbols -----------------------------------------------------------------------------------


def check_symbol(file: Path, data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "this graph was written by MXNet", UserWarning)
        net = mx.sym.load(str(file))
    stored = json.loads(data.decode("utf-8-sig"), strict=False)
    version = stored.get("attrs", {}).get("mxnet_version", ["int", 800])[1]
    nodes = net.nodes()
    order = reachable(stored)
    if version >= 10901:
        agree("nodes", len(nodes), len(order))
    by_place = {node.name: node for node in nodes}
    for number in order:
        node = stored["nodes"][number]
        if node["name"] not in by_place:
            raise Finding(f"node {node['name']!r:.80} is lost")
    if version >= 10901:
        for node, number in zip(nodes, order, strict=True):
            agree_node(
                node,
                stored["nodes"][number],
                [order.index(i[0]) for i in node_inputs(stored, number)],
                nodes,
            )
    for node in nodes:
        if not node.is_variable:
            agree("number of inputs", len(node.inputs), len(node.operator.inputs()))
    agree("heads", len(net), len(stored["heads"]))
    text = net.tojson()
    text.encode()
    again = mx.sym.load_json(text)
    agree("text written again", again.tojson(), text)
    agree("arguments", again.list_arguments(), net.list_arguments())
    # The names of 65536 outputs are more than a file of one node.
    heads = [entry.node for entry in net.entries]
    if all(node.is_variable or node.operator.count_outputs() < 99 for node in heads):
        agree("outputs", again.list_outputs(), net.list_outputs())
    return True


def node_inputs(stored: Any, number: int) -> list[Any]:
    inputs: list[Any] = stored["nodes"][number]["inputs"]
    return inputs


def agree_node(node: Any, said: dict[str, Any], inputs: list[int], nodes: list[Any]) -> None:
    agree("name", node.name, said["name"])
    op = None if said["op"] == "null" else registry.get(said["op"]).op_name
    agree("operator", node.op, op)
    attrs = {k: v for part in ("param", "attr", "attrs") for k, v in said.get(part, {}).items()}
    agree("attributes", node.attrs, attrs)
    agree("inputs", [nodes.index(entry.node) for entry in node.inputs], inputs)
    agree("outputs", [entry.index for entry in node.inputs], [i[1] for i in said["inputs"]])


def reachable(stored: Any) -> list[int]:
    """Numbers of the nodes below the heads, inputs first, from left to right."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(head[0], False) for head in reversed(stored["heads"])]
    while stack:
        number, done = stack.pop()
        if done:
            order.append(number)
        elif number not in seen:
            seen.add(number)
            stack.append((number, True))
            # A node seen again before its turn comes is left out then.
            stack += [(i[0], False) for i in reversed(node_inputs(stored, number))]
    return order


def symbol_seeds() -> list[bytes]:
    files = sorted(f for f in GOLDEN.glob("files/*.json") if f.name != "manifest.json")
    graphs = json.loads((GOLDEN / "symbols/graphs.json").read_text())["graphs"]
    seeds = [json.dumps(graph["json"]).encode() for graph in graphs if "json" in graph]
    return [file.read_bytes() for file in files] + seeds


def on_text(mutation: Callable[[Random, str], str]) -> Mutation:
    def mutate(random: Random, data: bytes) -> bytes:
        # Lone surrogates cannot be encoded; as three bytes they are no UTF-8 text.
        return mutation(random, data.decode()).encode(errors="surrogatepass")

    return mutate


# -- states ------------------------------------------------------------------------------------


def check_states(file: Path, data: bytes) -> bool:
    states, metadata = load_states(data)
    said = stored_tensors(data)
    table = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    header = json.loads(table["__metadata__"]["mxtrain"])
    agree("metadata", json.dumps(metadata), json.dumps(header["metadata"]))
    agree_value(states, {"dict": [[{"value": k}, v] for k, v in header["states"]]}, said)
    return True


def check_safetensors(file: Path, data: bytes) -> bool:
    found = read_arrays(file)
    said = stored_tensors(data)
    if "mxtrain" not in str(data[:200]):
        agree("names", list(found), list(said))
    for name, (dtype, shape, content) in said.items():
        agree("type", found[name].dtype.name, dtype)
        agree("shape", found[name].shape, shape)
        agree("values", np.asarray(found[name]).tobytes(), content)
    return True


TENSOR_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "BF16": "float32",
}


def stored_tensors(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """What the table of a safetensors file says."""
    size = int.from_bytes(data[:8], "little")
    values = data[8 + size :]
    said = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            content = values[begin:end]
            if entry["dtype"] == "BOOL":
                content = bytes(int(byte != 0) for byte in content)
            if entry["dtype"] == "BF16":
                content = b"".join(b"\0\0" + content[i : i + 2] for i in range(0, len(content), 2))
            said[name] = (TENSOR_TYPES[entry["dtype"]], tuple(entry["shape"]), content)
    return said


def agree_value(found: Any, node: Any, tensors: dict[str, Any]) -> None:
    """Compare a value that was read with the JSON it was read from."""
    ((kind, content),) = node.items()
    if kind in ("tensor", "array", "scalar"):
        dtype, shape, data = tensors[content]
        agree("type", found.dtype.name, dtype)
        agree("shape", found.shape, shape if kind != "scalar" else ())
        agree("values", np.asarray(found).tobytes(), data)
    elif kind in ("tuple", "list"):
        agree("kind", type(found).__name__, kind)
        for item, inner in zip(found, content, strict=True):
            agree_value(item, inner, tensors)
    elif kind == "dict":
        keys = [pair[0] for pair in content]
        if len({json.dumps(key) for key in keys}) == len(found) == len(keys):
            for item, pair in zip(found.items(), content, strict=True):
                agree_value(item[0], pair[0], tensors)
                agree_value(item[1], pair[1], tensors)
    elif kind == "value":
        agree("value", (type(found), found), (type(content), content))


def states_seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    mean = mx.nd.array(rng.normal(size=(3, 2)))
    return [
        dump_states({0: None, 1: (mean, mean.copy()), "w": [mean, 3, "text"]}, {"count": 4}),
        dump_states({0: mean.astype("float16"), 5: (mean.astype("float64"), None)}, {}),
        dump_states({}, {"a": [1, 2.5, None]}),
    ]


# -- the state of a run ------------------------------------------------------------------------


def run_states(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    values = {
        "optimizer": {0: (rng.normal(size=(4, 3)), None), 1: np.float32(2)},
        "random": rng,
        "best": [1, 0.5, float("nan"), "acc"],
    }
    whole = []
    for number, chosen in enumerate((values, {}, {"a": np.zeros((2, 0), np.int8)})):
        run_state.save(folder / f"seed{number}", {"epoch": number}, chosen)
        whole.append((folder / f"seed{number}").read_bytes())
    return whole


def check_run_state(seeds: list[bytes], file: Path, data: bytes) -> bool:
    run_state.load(file)
    if data not in seeds:
        raise Finding("a state that was changed is taken for whole")
    return True


# -- all ---------------------------------------------------------------------------------------


def built_params(random: Random, data: bytes) -> bytes:
    return fuzz_params.build(random)


def built_and_damaged(random: Random, data: bytes) -> bytes:
    damage = random.choice([*mutations.BYTES.values(), *map(at_fields, mutations.SIZES.values())])
    return damage(random, fuzz_params.build(random))


def targets(folder: Path) -> list[Target]:
    """Return every target; seeds that must be written first go to `folder`."""
    sizes = {kind: at_fields(mutation) for kind, mutation in mutations.SIZES.items()}
    built = {"built": built_params, "built, damaged": built_and_damaged}
    text = {kind: on_text(mutation) for kind, mutation in mutations.JSON.items()}
    table = {kind: mutations.in_table(mutation) for kind, mutation in mutations.JSON.items()}
    nested = {
        f"{kind} in metadata": mutations.in_table(mutations.in_metadata(mutation))
        for kind, mutation in mutations.JSON.items()
    }
    blob = mutations.BYTES | mutations.SIZES | table | nested
    whole = run_states(folder)
    blobs = states_seeds()
    graph = mutations.BYTES | text | {"built": build_symbol}
    return [
        Target("params", params_seeds(), mutations.BYTES | sizes | built, check_params, 45),
        Target("symbol", symbol_seeds(), graph, check_symbol, 30),
        Target("states", blobs, blob, check_states, 10),
        Target("safetensors", blobs, blob, check_safetensors, 8),
        # hashlib reads a file in pieces of 256 KiB.
        Target("run state", whole, blob, partial(check_run_state, whole), 7, buffer=256 * 1024),
    ]
