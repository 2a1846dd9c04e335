"""Making operator nodes: names, attributes, missing inputs, and the functions of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mxtrain.attribute import AttrScope
from mxtrain.errors import CallError, MXNetError
from mxtrain.name import NameManager
from mxtrain.op import Operator, registry
from mxtrain.op.attribute import to_text
from mxtrain.symbol.given import checked_texts
from mxtrain.symbol.node import Entry, Node, hide, is_free_key
from mxtrain.symbol.symbol import Symbol


def create(
    operator: str,
    *inputs: Any,
    name: str | None = None,
    attr: dict[str, str] | None = None,
    hint: str | None = None,
    **arguments: Any,
) -> Symbol:
    """Apply an operator to symbols and return the new symbol.

    Parameters
    ----------
    operator : a registered name or alias, e.g. ``"FullyConnected"``.
    inputs : the inputs in order, None for a missing one; further positional values are
        attributes in declared order.
    name : the node's name; an automatic one when None.
    attr : free attributes (keys with two underscores on both sides, or hidden keys).
    arguments : inputs (symbols) and attributes (anything else) by name.

    Missing inputs become variables ``<name>_<input>``.
    """
    cls = registry.get(operator)
    attributes = {k: v for k, v in arguments.items() if not isinstance(v, Symbol)}
    named = {k: v for k, v in arguments.items() if isinstance(v, Symbol)}
    positional = list(inputs)
    if not cls.variadic:
        limit = len(cls.argument_names) + len(cls.auxiliary_names)
        attributes |= _positional_attributes(cls, operator, positional[limit:], attributes)
        positional = positional[:limit]
        for key in [k for k, v in attributes.items() if v is None and k in cls.argument_names]:
            del attributes[key]
    for value in positional:
        if not isinstance(value, Symbol) and (value is not None or cls.variadic):
            raise CallError(
                f"{operator}: inputs are symbols, not {type(value).__name__} ({value!r}); "
                "give attributes by name"
            )
    if cls.variadic and "num_args" not in attributes:
        attributes["num_args"] = len(positional) + len(named)
    texts = {hide(k): v for k, v in AttrScope.current().get(checked_texts(attr)).items()}
    texts |= {hide(key): to_text(value) for key, value in attributes.items()}
    node_name = NameManager.current().get(name, hint or operator.lower())
    node = Node(cls.op_name, node_name, texts)
    node.inputs = _connect(node, positional, named)
    return Symbol([Entry(node, index) for index in range(node.operator.count_outputs())])


def _positional_attributes(
    cls: type[Operator], operator: str, values: Sequence[Any], given: dict[str, Any]
) -> dict[str, Any]:
    names = list(cls._fields)
    if len(values) > len(names):
        raise TypeError(
            f"{operator} takes {len(cls.argument_names)} inputs and {len(names)} attributes; "
            f"{len(values) - len(names)} positional values too many were given"
        )
    found = dict(zip(names, values, strict=False))
    for name in found:
        if name in given:
            raise TypeError(f"{operator} got two values for '{name}'")
    return found


def _connect(node: Node, positional: list[Symbol | None], named: dict[str, Symbol]) -> list[Entry]:
    wanted = node.operator.inputs()
    while len(positional) > len(wanted) and positional[-1] is None:
        positional.pop()
    if len(positional) > len(wanted):
        raise MXNetError(
            f"{node.described} takes {len(wanted)} inputs ({', '.join(wanted)}), "
            f"{len(positional)} were given"
        )
    unknown = [key for key in named if key not in wanted]
    if unknown:
        raise MXNetError(
            f"{node.described} has no input '{unknown[0]}'; its inputs are: {', '.join(wanted)}"
        )
    inits = node.operator.input_inits()
    entries = []
    for number, name in enumerate(wanted):
        given = positional[number] if number < len(positional) else None
        if given is not None:
            if name in named:
                raise TypeError(f"{node.described} got two symbols for '{name}'")
            entry = _single(given, node, name)
        elif name in named:
            entry = _single(named[name], node, name)
        else:
            entry = Entry(Node(None, f"{node.name}_{name}", dict(node.attrs)), 0)
        if name in inits and entry.node.is_variable:
            entry.node.attrs.setdefault("__init__", inits[name])
        entries.append(entry)
    return entries


def _single(symbol: Symbol, node: Node, name: str) -> Entry:
    if len(symbol) != 1:
        raise MXNetError(
            f"{node.described}: input '{name}' is one symbol, but {symbol!r} has "
            f"{len(symbol)} outputs; choose one with [i]"
        )
    return symbol.entries[0]


def variable(
    name: str,
    attr: dict[str, str] | None = None,
    shape: tuple[int, ...] | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **free: Any,
) -> Symbol:
    """Make an input of the graph (MXNet's ``Variable``).

    Parameters
    ----------
    name : the variable's name; TypeError unless it is text.
    attr : further attributes, as texts.
    shape : its shape, 0 for an axis yet unknown.
    lr_mult, wd_mult : factors on the learning rate and weight decay.
    dtype : element type.
    init : an initializer, its JSON text, or its registered name.
    stype : storage type: ``default`` or ``row_sparse``.
    free : attributes with two underscores on both sides.
    """
    if not isinstance(name, str):
        raise TypeError(f"a variable's name is text, not {type(name).__name__} ({name!r})")
    texts = AttrScope.current().get(checked_texts(attr))
    attrs = {hide(key): value for key, value in texts.items()}
    if shape is not None:
        attrs["__shape__"] = to_text(tuple(shape))
    if lr_mult is not None:
        attrs["__lr_mult__"] = to_text(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = to_text(wd_mult)
    if dtype is not None:
        attrs["__dtype__"] = str(_dtype_code(dtype))
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        attrs["__storage_type__"] = str(_storage_code(stype))
    for key, value in free.items():
        if not is_free_key(key):
            raise ValueError(
                f"Variable has no argument '{key}'; free attributes have two underscores on both "
                f"sides, like __{key}__"
            )
        attrs[key] = str(value)
    return Symbol([Entry(Node(None, name, attrs), 0)])


def _dtype_code(dtype: Any) -> int:
    from mxtrain.op.attribute import DTYPES

    text = dtype if isinstance(dtype, str) else to_text(dtype)
    if text not in DTYPES:
        raise MXNetError(f"unknown element type '{text}'; known: {', '.join(DTYPES)}")
    return DTYPES.index(text)


def _storage_code(stype: str) -> int:
    codes = {"default": 0, "row_sparse": 1, "csr": 2}
    if stype not in codes:
        raise MXNetError(f"unknown storage type '{stype}'; known: {', '.join(codes)}")
    return codes[stype]


def function(operator: str) -> Callable[..., Symbol]:
    """Return the function of the API that makes nodes of `operator`."""

    def make(*inputs: Any, name: str | None = None, attr: Any = None, **arguments: Any) -> Symbol:
        return create(operator, *inputs, name=name, attr=attr, **arguments)

    make.__name__ = make.__qualname__ = operator
    make.__doc__ = registry.get(operator).__doc__
    return make
