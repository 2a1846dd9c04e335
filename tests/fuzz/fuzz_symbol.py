"""Random graphs of the registered operators, most of them good."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Literal, get_args, get_origin

from fuzz_mutations import TEXTS

from mxtrain.errors import MXNetError
from mxtrain.op import registry
from mxtrain.op.base import create
from mxtrain.settings import settings

PLAIN = {int: ["1", "2", " 3 "], float: ["0.5", "1e-3"], bool: ["True", "0"], str: ["x"]}
# What the rules of files are about: counts, auxiliary states, initializers, moved attributes.
OFTEN = ["Concat", "stack", "add_n", "SliceChannel", "BatchNorm", "LeakyReLU", "FullyConnected"]
COUNTS = ["0", "-1", "65", "65536", "99999999999"]


def build_symbol(random: Random, data: bytes) -> bytes:
    """Return the file of a graph; what it is given does not matter."""
    wild = random.choice([0.0, 0.0, 0.02, 0.2])
    names = [*sorted(registry.spellings()), *OFTEN * 8]
    nodes: list[dict[str, Any]] = []
    for number in range(random.randint(1, 12)):
        variable = number < 2 or random.random() < 0.3
        op = "null" if variable else random.choice(names)
        attrs = {} if variable else attributes(random, op, wild)
        count = 0 if variable else inputs_of(random, op, attrs, wild)
        inputs = [[random.randrange(number), int(random.random() < wild), 0] for _ in range(count)]
        nodes.append({"op": op, "name": f"n{number}", "attrs": attrs, "inputs": inputs})
    graph: dict[str, Any] = {"nodes": nodes, "arg_nodes": [], "heads": [[len(nodes) - 1, 0, 0]]}
    if random.random() < 0.7:
        graph["attrs"] = {"mxnet_version": ["int", random.choice([10901, 10900, 903, 800, 20000])]}
    return json.dumps(graph).encode()


def attributes(random: Random, op: str, wild: float) -> dict[str, str]:
    attrs = {}
    for setting in settings(registry.get(op)):
        if random.random() < wild:
            attrs[setting.name] = random.choice(COUNTS if "num" in setting.name else TEXTS)
        elif setting.required or random.random() < 0.3:
            attrs[setting.name] = random.choice(fitting(setting.plain_type))
    if random.random() < wild:
        attrs[random.choice(["weight_lr_mult", "__key__", "lr_mult", "zzz"])] = "1"
    return attrs


def fitting(kind: Any) -> list[str]:
    """Texts that are of a type."""
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    if get_origin(kind) is tuple:
        return ["(1, 2)", "[1,2,]", "(0,)"]
    if kind in PLAIN:
        return PLAIN[kind]
    return [text for part in get_args(kind) if part is not type(None) for text in fitting(part)]


def inputs_of(random: Random, op: str, attrs: dict[str, str], wild: float) -> int:
    if random.random() < wild or attrs.get("num_args") in COUNTS:
        return random.choice([1, 2, 3, 5])
    try:
        return len(create(op, attrs).inputs())
    except MXNetError:
        return 2
