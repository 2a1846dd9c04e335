"""`Symbol`: one or more outputs of a graph, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mxtrain.errors import MXNetError, closest, unknown_name
from mxtrain.op import registry
from mxtrain.op.shape import is_complete
from mxtrain.symbol.arithmetic import Arithmetic
from mxtrain.symbol.given import checked_texts, dtype_name, given_shape
from mxtrain.symbol.infer import entry_key, fill_types, infer_shapes, infer_types
from mxtrain.symbol.node import Entry, Node, hide, topological_order, with_hidden_spellings

if TYPE_CHECKING:
    from mxtrain.executor import Executor
    from mxtrain.nd import NDArray

ShapeLists = tuple[list[Any] | None, list[Any] | None, list[Any] | None]


class Symbol(Arithmetic):
    """A description of a computation: entries of a graph of nodes.

    Symbols are combined with the functions of `mxtrain.symbol` and with Python's operators; any
    operator that takes ``data`` first is a method too: ``x.reshape(shape=(0, -1)).sum()``.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    # -- structure ---------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The name of the node, or None for a group of several nodes."""
        nodes = {id(entry.node) for entry in self.entries}
        return self.entries[0].node.name if len(nodes) == 1 else None

    def nodes(self) -> list[Node]:
        """Return all nodes, inputs before users."""
        return topological_order(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol([entry]) for entry in self.entries)

    def __getitem__(self, key: int | str | slice) -> Symbol:
        if isinstance(key, str):
            return Symbol([self.entries[self._number_of_output(key)]])
        if isinstance(key, slice):
            if not self.entries[key]:
                raise IndexError(f"{key} takes none of the {len(self.entries)} outputs")
            return Symbol(self.entries[key])
        if not isinstance(key, int):
            raise TypeError(f"an output is chosen by name or number, not by {type(key).__name__}")
        if not -len(self.entries) <= key < len(self.entries):
            raise IndexError(f"output {key} of a symbol with {len(self.entries)} outputs")
        return Symbol([self.entries[key]])

    def _number_of_output(self, name: str) -> int:
        names = self.list_outputs()
        if name not in names:
            raise ValueError(unknown_name("output", name, names))
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} outputs are called '{name}'; choose by number")
        return names.index(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"Symbol has no attribute '{name}'")
        if name not in registry:
            near = closest(name, [*dir(type(self)), *registry.spellings()])
            hint = f"; did you mean '{near}'?" if near else ""
            raise AttributeError(f"Symbol has no attribute or operator '{name}'{hint}")
        from mxtrain.symbol.compose import create

        return lambda *args, **kwargs: create(name, self, *args, **kwargs)

    def __repr__(self) -> str:
        if self.name is not None:
            return f"<Symbol {self.name}>"
        return f"<Symbol group [{', '.join(str(symbol.name) for symbol in self)}]>"

    def get_internals(self) -> Symbol:
        """Return a symbol with every output of every node."""
        return Symbol(
            [
                Entry(node, index)
                for node in self.nodes()
                for index in range(len(node.output_names()))
            ]
        )

    def get_children(self) -> Symbol | None:
        """Return the inputs of the node (None for a variable)."""
        entries = [entry for head in self._head_nodes() for entry in head.inputs]
        return Symbol(entries) if entries else None

    def _head_nodes(self) -> list[Node]:
        return list({id(entry.node): entry.node for entry in self.entries}.values())

    # -- names -------------------------------------------------------------------------------

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs."""
        # Once for each node: asking for one of many outputs makes the names of all.
        names = {id(node): node.output_names() for node in self._head_nodes()}
        return [names[id(entry.node)][entry.index] for entry in self.entries]

    def list_arguments(self) -> list[str]:
        """Return the names of the inputs that are given or learned, depth first."""
        auxiliary = self._auxiliary_ids()
        return [n.name for n in self.nodes() if n.is_variable and id(n) not in auxiliary]

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the inputs that operators change, such as moving averages."""
        auxiliary = self._auxiliary_ids()
        return [node.name for node in self.nodes() if id(node) in auxiliary]

    def list_inputs(self) -> list[str]:
        """Return the names of all inputs."""
        return [node.name for node in self.nodes() if node.is_variable]

    def _auxiliary_ids(self) -> set[int]:
        return {
            id(entry.node)
            for node in self.nodes()
            if not node.is_variable
            for entry in node.auxiliary_inputs()
        }

    # -- attributes --------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """Return an attribute of the node, or None."""
        nodes = self._head_nodes()
        return nodes[0].attrs.get(hide(key)) if len(nodes) == 1 else None

    def list_attr(self) -> dict[str, str]:
        """Return all attributes of the node."""
        nodes = self._head_nodes()
        return with_hidden_spellings(nodes[0].attrs) if len(nodes) == 1 else {}

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Return the attributes of every node that has any, by node name."""
        return {n.name: with_hidden_spellings(n.attrs) for n in self.nodes() if n.attrs}

    def _set_attr(self, **attributes: str) -> None:
        """Set attributes of the node; a bad one for its operator is an MXNetError."""
        added = {hide(key): value for key, value in checked_texts(attributes).items()}
        for node in self._head_nodes():
            node.set_attrs({**node.attrs, **added})

    # -- inference ---------------------------------------------------------------------------

    def infer_shape(self, *args: Any, **kwargs: Any) -> ShapeLists:
        """Return (argument, output, auxiliary shapes) from the shapes of some arguments.

        Given by name, or in argument order. (None, None, None), with a warning, when anything
        stays unknown. Raises MXNetError for a contradiction or an unknown name.
        """
        arg_shapes, out_shapes, aux_shapes = self.infer_shape_partial(*args, **kwargs)
        unknown = [
            name
            for name, shape in zip(self.list_arguments(), arg_shapes, strict=True)
            if not shape or 0 in shape
        ]
        if unknown or not all(is_complete(s) and s != () for s in [*out_shapes, *aux_shapes]):
            import warnings

            warnings.warn(
                f"shapes cannot be inferred; unknown: {', '.join(unknown) or 'some outputs'}",
                UserWarning,
                stacklevel=2,
            )
            return None, None, None
        return arg_shapes, out_shapes, aux_shapes

    def infer_shape_partial(
        self, *args: Any, **kwargs: Any
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Return what is known of all shapes: ``()`` for an unknown rank, 0 for an unknown axis."""
        named = {k: given_shape(k, v) for k, v in self._by_name(args, kwargs).items()}
        known = infer_shapes(self.nodes(), self._by_node(named))
        return self._listed(known, unknown=())

    def infer_type(self, *args: Any, **kwargs: Any) -> ShapeLists:
        """Return (argument, output, auxiliary) element types, as NumPy dtypes' names.

        (None, None, None) when nothing is given or known.
        """
        named = {
            name: None if dtype is None else dtype_name(dtype)
            for name, dtype in self._by_name(args, kwargs).items()
        }
        known = infer_types(self.nodes(), self._by_node(named))
        if not any(known.values()):
            return None, None, None
        import numpy as np

        lists = self._listed(fill_types(self.nodes(), known), unknown=None)
        arguments, outputs, auxiliary = ([np.dtype(t).type for t in group] for group in lists)
        return arguments, outputs, auxiliary

    def _by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = self.list_arguments()
        if args and kwargs:
            raise ValueError("give shapes or types either by position or by name, not both")
        if len(args) > len(names):
            raise MXNetError(f"{len(names)} arguments ({', '.join(names)}), {len(args)} given")
        if args:
            return dict(zip(names, args, strict=False))
        known = [*names, *self.list_auxiliary_states()]
        for name in kwargs:
            if name not in known:
                raise MXNetError(unknown_name("argument", name, known))
        return dict(kwargs)

    def _by_node(self, named: Mapping[str, Any]) -> dict[int, Any]:
        """Key values of variables by node, since two variables may share a name."""
        return {id(n): named[n.name] for n in self.nodes() if n.is_variable and n.name in named}

    def _listed(self, known: Any, unknown: Any) -> tuple[list[Any], list[Any], list[Any]]:
        def value(key: tuple[int, int]) -> Any:
            return unknown if known[key] is None else known[key]

        auxiliary = self._auxiliary_ids()
        variables = [node for node in self.nodes() if node.is_variable]
        return (
            [value((id(n), 0)) for n in variables if id(n) not in auxiliary],
            [value(entry_key(entry)) for entry in self.entries],
            [value((id(n), 0)) for n in variables if id(n) in auxiliary],
        )

    # -- composition -------------------------------------------------------------------------

    def __call__(self, *args: Symbol, name: str | None = None, **kwargs: Symbol) -> Symbol:
        """Return a copy in which variables are replaced by other symbols."""
        if args and kwargs:
            raise TypeError("compose either by position or by name, not both")
        replacements = self._replacements(args, kwargs)
        copied = self._copy({key: symbol.entries[0] for key, symbol in replacements.items()})
        if name is not None and not self.entries[0].node.is_variable:
            copied.entries[0].node.name = name
        return copied

    def _replacements(
        self, args: tuple[Symbol, ...], kwargs: Mapping[str, Symbol]
    ) -> Mapping[str, Symbol]:
        names, inputs = self.list_arguments(), self.list_inputs()
        if len(args) > len(names):
            raise MXNetError(
                f"composition: {len(names)} arguments ({', '.join(names)}), {len(args)} symbols"
            )
        found = dict(zip(names, args, strict=False)) if args else kwargs
        for key, value in found.items():
            if key not in inputs:
                raise MXNetError(unknown_name("input", key, inputs))
            if not isinstance(value, Symbol):
                raise TypeError(f"composition takes symbols, not {type(value).__name__}")
            if len(value) != 1:
                raise MXNetError(
                    f"composition: '{key}' is one output, {value!r} has {len(value)}; "
                    "choose one with [i]"
                )
        return found

    def _copy(self, replacing: Mapping[str, Entry]) -> Symbol:
        twins: dict[int, Node] = {}
        for node in self.nodes():
            if node.is_variable and node.name in replacing:
                twins[id(node)] = replacing[node.name].node
                continue
            twins[id(node)] = Node(
                node.op,
                node.name,
                dict(node.attrs),
                [self._twin(entry, twins, replacing) for entry in node.inputs],
            )
        return Symbol([self._twin(entry, twins, replacing) for entry in self.entries])

    @staticmethod
    def _twin(entry: Entry, twins: dict[int, Node], replacing: Mapping[str, Entry]) -> Entry:
        if entry.node.is_variable and entry.node.name in replacing:
            return replacing[entry.node.name]
        return Entry(twins[id(entry.node)], entry.index)

    def __copy__(self) -> Symbol:
        return self._copy({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Symbol:
        return self._copy({})

    # -- files -------------------------------------------------------------------------------

    def tojson(self) -> str:
        """Return the graph as MXNet's JSON text."""
        from mxtrain.symbol.json import to_json

        return to_json(self)

    def save(self, fname: str) -> None:
        """Write the graph as an MXNet ``-symbol.json`` file."""
        from mxtrain.checkpoint.atomic import atomic_write

        atomic_write(fname, self.tojson().encode())

    def __getstate__(self) -> dict[str, Any]:
        return {"json": self.tojson()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from mxtrain.symbol.json import from_json

        self.entries = from_json(state["json"]).entries

    def debug_str(self) -> str:
        """Return a listing of the graph, one node at a time."""
        from mxtrain.symbol.listing import listing

        return listing(self)

    # -- execution ---------------------------------------------------------------------------

    def simple_bind(
        self, ctx: Any = None, grad_req: Any = "write", type_dict: Any = None, **shapes: Any
    ) -> Executor:
        """Infer shapes, allocate every array (zeros) and return an executor.

        Raises RuntimeError when shapes are missing or contradict each other.
        """
        from mxtrain.executor import simple_bind

        return simple_bind(self, ctx, grad_req, type_dict, shapes)

    def bind(
        self,
        ctx: Any,
        args: Any,
        args_grad: Any = None,
        grad_req: Any = "write",
        aux_states: Any = None,
    ) -> Executor:
        """Return an executor over given arrays (a list in order, or a dict by name)."""
        from mxtrain.executor import bind

        return bind(self, ctx, args, args_grad, grad_req, aux_states)

    def eval(self, ctx: Any = None, **arrays: Any) -> list[NDArray]:
        """Compute the outputs for given arrays, once."""
        return self.bind(ctx, arrays, grad_req="null").forward()
