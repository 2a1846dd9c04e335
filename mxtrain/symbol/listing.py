"""A graph as text for people, in the layout of MXNet's ``debug_str``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxtrain.symbol.node import Entry, Node

if TYPE_CHECKING:
    from mxtrain.symbol.symbol import Symbol


def listing(symbol: Symbol) -> str:
    """Return the outputs and then every node: operator, name, inputs, attributes.

    >>> from mxtrain import symbol as sym
    >>> net = sym.Activation(sym.Variable("x"), act_type="relu", name="act")
    >>> print(listing(net).replace(chr(9), "  "), end="")
    Symbol Outputs:
      output[0]=act(0)
    Variable:x
    --------------------
    Op:Activation, Name=act
    Inputs:
      arg[0]=x(0) version=0
    Attrs:
      act_type=relu
    """
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{number}]={_entry(entry)}" for number, entry in enumerate(symbol.entries)]
    for node in symbol.nodes():
        lines += [f"Variable:{node.name}"] if node.is_variable else _operator(node)
    return "\n".join(lines) + "\n"


def _operator(node: Node) -> list[str]:
    lines = ["--------------------", f"Op:{node.op}, Name={node.name}", "Inputs:"]
    changed = {id(entry.node) for entry in node.auxiliary_inputs()}
    for number, entry in enumerate(node.inputs):
        version = f" version={int(id(entry.node) in changed)}" if entry.node.is_variable else ""
        lines.append(f"\targ[{number}]={_entry(entry)}{version}")
    if node.attrs:
        lines.append("Attrs:")
        lines += [f"\t{key}={value}" for key, value in sorted(node.attrs.items())]
    return lines


def _entry(entry: Entry) -> str:
    return f"{entry.node.name}({entry.index})"
