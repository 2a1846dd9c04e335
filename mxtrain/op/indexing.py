"""Operators that choose elements by number: Embedding, take, pick, one_hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from mxtrain.backend.indexed import add_rows, put_distinct
from mxtrain.errors import MXNetError
from mxtrain.op.attribute import DType
from mxtrain.op.base import DTypes, Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, axis_of, is_complete, merge, show, size

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


def refuse_outside(index: Any, length: int, node: str) -> None:
    """Raise MXNetError for a number outside an axis."""
    if index.size and (index.min() < 0 or index.max() >= length):
        raise MXNetError(
            f"node '{node}': an index is outside the axis of {length}; the indices go from "
            f"{index.min()} to {index.max()}. mode='clip' would move them to the ends"
        )


def index_lines(call: Call, source: Array, length: int, mode: str) -> Array:
    """Add the lines that turn `source` into whole numbers within an axis; return their buffer.

    Fractions are truncated. `mode` says what becomes of numbers outside: `clip` takes the nearest
    end, `wrap` counts on from the other end, `raise` is an error.
    """
    index = call.scratch("index", (source.size,), "int64")
    call.copy(source.reshape(-1), index)
    if mode == "raise":
        call.emit(refuse_outside, index, length, call.node)
    elif mode == "wrap":
        call.emit(call.xp.remainder, index, call.constant(length, "int64"), index)
    else:
        call.formula(_within, [index], [index], last=length - 1)
    return index


def _within(xp: Any) -> Any:
    return lambda index, last: xp.minimum(xp.maximum(index, 0), last)


def gather_lines(call: Call, data: Array, index: Array, out: Array) -> None:
    """Add ``out[a, i, b] = data[a, index[i], b]``."""
    call.emit(call.xp.take, data, index, 1, out, "clip")


def scatter_lines(call: Call, index: Array, head: Array, grad: Array) -> None:
    """Add ``grad[a, index[i], b] += head[a, i, b]``, from zero."""
    xp = call.xp
    lead, length, tail = grad.shape
    rows, columns = xp.arange(lead) * length * tail, xp.arange(tail)
    start = call.constant((rows[:, None] + columns).reshape(lead, 1, tail), "int64")
    place = call.temp(index.shape, "int64")
    places = call.temp(head.shape, "int64")
    call.fill(grad, 0)
    call.emit(add_rows, index, head, grad, start, place, places)


@register()
class Embedding(Operator):
    """Rows of a table: ``out[..., :] = weight[data[...], :]``.

    Indices of any type are truncated to integers and clipped to the table. The gradients of rows
    that are used several times add up; the indices have none. With `sparse_grad` the gradient of a
    table that no other operator reads is row-sparse: the rows used, and their numbers.

    Shapes: data any, weight `(input_dim, output_dim)`, output `data.shape + (output_dim,)`.

    Source: MXNet operator `Embedding`.
    """

    input_dim: Annotated[int, Ge(1), "number of rows"]
    output_dim: Annotated[int, Ge(1), "length of a row"]
    dtype: Annotated[DType, "element type of the table"] = "float32"
    sparse_grad: Annotated[bool, "keep the gradient of the table as a few rows"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("data", "weight")
    no_gradient: ClassVar[tuple[str, ...]] = ("data",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the table from the attributes and the output from the indices."""
        data, out = inputs[0], outputs[0]
        if data is None and out is not None:
            data = out[:-1]
        result = None if data is None else (*data, self.output_dim)
        return [data, (self.input_dim, self.output_dim)], [result]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """The table has its own type: a given one, else `dtype`."""
        kind = inputs[1] or outputs[0] or self.dtype
        return [inputs[0], kind], [kind]

    def forward(self, call: Call) -> None:
        """Copy rows."""
        data, weight = call.inputs
        index = index_lines(call, data, self.input_dim, "clip")
        out = call.outputs[0].reshape(1, -1, self.output_dim)
        gather_lines(call, weight.reshape(1, *weight.shape), index, out)

    def backward(self, call: Call) -> None:
        """DW = the rows of G added up."""
        grad = call.grads[1]
        if grad is None:
            return
        index = call.scratch("index", (call.inputs[0].size,), "int64")
        head = call.heads[0].reshape(-1, self.output_dim)
        if getattr(grad, "stype", "default") == "row_sparse":
            from mxtrain.sparse import sum_rows

            call.emit(sum_rows, index, head, grad)
        else:
            scatter_lines(call, index, head.reshape(1, *head.shape), grad.reshape(1, *grad.shape))


@register("take")
class Take(Operator):
    """Elements of `a` along an axis, by number.

    Shapes: the axis is replaced by the shape of `indices`. Indices have no gradient.

    Source: MXNet operator `take`.
    """

    axis: Annotated[int, "axis to choose from"] = 0
    mode: Annotated[
        Literal["clip", "wrap", "raise"],
        "numbers outside: nearest end, from the other end, or an error",
    ] = "clip"

    argument_names: ClassVar[tuple[str, ...]] = ("a", "indices")
    no_gradient: ClassVar[tuple[str, ...]] = ("indices",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from both inputs."""
        a, indices = inputs
        if a is None or indices is None:
            return inputs, outputs
        axis = axis_of(self.axis, len(a))
        return inputs, [(*a[:axis], *indices, *a[axis + 1 :])]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """The indices have their own type."""
        kind = inputs[0] or outputs[0]
        return [kind, inputs[1]], [kind]

    def forward(self, call: Call) -> None:
        """Copy the chosen elements."""
        a, indices = call.inputs
        data = a.reshape(self._canonical(a.shape))
        index = index_lines(call, indices, data.shape[1], self.mode)
        lead, _, tail = data.shape
        gather_lines(call, data, index, call.outputs[0].reshape(lead, -1, tail))

    def _canonical(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return (size before the axis, its length, size after it)."""
        axis = axis_of(self.axis, len(shape))
        return size(shape[:axis]), shape[axis], size(shape[axis + 1 :])

    def backward(self, call: Call) -> None:
        """DA = G added up at the chosen places."""
        grad = call.grads[0]
        if grad is not None:
            lead, length, tail = self._canonical(grad.shape)
            index = call.scratch("index", (call.inputs[1].size,), "int64")
            head = call.heads[0].reshape(lead, -1, tail)
            scatter_lines(call, index, head, grad.reshape(lead, length, tail))


@register("pick", aliases=("choose_element_0index",))
class Pick(Operator):
    """One element along an axis for every position of the others.

    Shapes: `index` has the data's shape without the axis, or with size 1 there. The output is the
    same, with the axis only with `keepdims`. The index has no gradient.

    Source: MXNet operator `pick`.
    """

    axis: Annotated[int, "axis to choose from"] = -1
    keepdims: Annotated[bool, "keep the axis with size 1"] = False
    mode: Annotated[
        Literal["clip", "wrap"], "numbers outside: nearest end, or from the other end"
    ] = "clip"

    argument_names: ClassVar[tuple[str, ...]] = ("data", "index")
    no_gradient: ClassVar[tuple[str, ...]] = ("index",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer index and output from data."""
        data, index = inputs
        if data is None:
            return inputs, outputs
        axis = axis_of(self.axis, len(data))
        without = (*data[:axis], *data[axis + 1 :]) or (1,)
        kept = (*data[:axis], 1, *data[axis + 1 :])
        if index is not None and len(index) == len(data):
            index = merge(index, kept)
        elif index is None or is_complete(index):
            index = self._checked(index, without)
        return [data, index], [kept if self.keepdims else without]

    def _checked(self, index: Shape, wanted: tuple[int, ...]) -> Shape:
        if index is not None and is_complete(wanted) and index != wanted:
            raise Mismatch(f"index should be {show(wanted)}, it is {show(index)}")
        return wanted

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """The index has its own type."""
        kind = inputs[0] or outputs[0]
        return [kind, inputs[1]], [kind]

    def forward(self, call: Call) -> None:
        """Copy the chosen elements."""
        data, source = call.inputs
        shape = data.shape
        axis = axis_of(self.axis, len(shape))
        lead, tail = size(shape[:axis]), size(shape[axis + 1 :])
        index = index_lines(call, source, shape[axis], self.mode)
        xp = call.xp
        rows = xp.arange(lead)[:, None] * (shape[axis] * tail) + xp.arange(tail)
        call.emit(xp.multiply, index, call.constant(tail, "int64"), index)
        call.emit(xp.add, index, call.constant(rows.reshape(-1), "int64"), index)
        call.emit(xp.take, data.reshape(-1), index, 0, call.outputs[0].reshape(-1), "clip")

    def backward(self, call: Call) -> None:
        """DX = G at the chosen places, 0 elsewhere."""
        grad = call.grads[0]
        if grad is not None:
            index = call.scratch("index", (call.inputs[1].size,), "int64")
            call.fill(grad, 0)
            call.emit(put_distinct, grad.reshape(-1), index, call.heads[0].reshape(-1))


@register("one_hot")
class OneHot(Operator):
    """Vectors with `on_value` at the place the index names and `off_value` elsewhere.

    Indices are truncated; one outside 0 to depth - 1 gives `off_value` everywhere. The gradient is
    zero.

    Source: MXNet operator `one_hot`.
    """

    depth: Annotated[int, Ge(1), "length of a vector"]
    on_value: Annotated[float, "value at the named place"] = 1.0
    off_value: Annotated[float, "value elsewhere"] = 0.0
    dtype: Annotated[DType, "element type of the output"] = "float32"

    argument_names: ClassVar[tuple[str, ...]] = ("indices",)
    no_gradient: ClassVar[tuple[str, ...]] = ("indices",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Append an axis of `depth`."""
        indices = inputs[0]
        return inputs, [None if indices is None else (*indices, self.depth)]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """The output has `dtype`."""
        return inputs, [self.dtype]

    def forward(self, call: Call) -> None:
        """Compare the indices with 0 to depth - 1."""
        xp, out = call.xp, call.outputs[0]
        index = call.temp((*call.inputs[0].shape, 1), "int64")
        hit = call.temp(out.shape, bool)
        call.copy(call.inputs[0], index.reshape(call.inputs[0].shape))
        call.emit(xp.equal, index, call.constant(range(self.depth), "int64"), hit)
        call.fill(out, self.off_value)
        on_value = call.constant(self.on_value, out.dtype)
        call.emit(xp.copyto, out, on_value, "same_kind", hit)
