"""Operators whose operands broadcast, and those that repeat an array along axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.binary import BINARY, Binary, passes
from mxtrain.op.pointwise import Formula, pointwise
from mxtrain.op.shape import Mismatch, Shape, Shapes, axis_of, broadcast, show

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class BroadcastBinary(Operator):
    """Base of the operators of two arrays that broadcast against each other."""

    rule: ClassVar[Binary]
    argument_names: ClassVar[tuple[str, ...]] = ("lhs", "rhs")

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output by NumPy's rule; nothing flows back."""
        return inputs, [broadcast(*inputs)]

    def forward(self, call: Call) -> None:
        """Out = f(x, y)."""
        pointwise(call, self.rule.forward, call.inputs, call.outputs[0], self.rule.fractional)

    def backward(self, call: Call) -> None:
        """DX and dY by the rule's derivatives, summed over the axes that were broadcast."""
        for derivative, grad in zip((self.rule.d_lhs, self.rule.d_rhs), call.grads, strict=True):
            if grad is None or derivative is None:
                continue
            if derivative is passes:
                call.sum_to(call.heads[0], grad)
            else:
                self._reduced(call, derivative, grad)

    def _reduced(self, call: Call, derivative: Formula, grad: Array) -> None:
        head = call.heads[0]
        arrays = [*call.inputs, call.outputs[0], head]
        if grad.shape == head.shape:
            call.formula(derivative, arrays, [grad])
            return
        whole = call.temp(head.shape, grad.dtype)
        call.formula(derivative, arrays, [whole])
        call.sum_to(whole, grad)


_ALIASES = {"add": ("broadcast_plus",), "sub": ("broadcast_minus",)}


def _make(key: str, rule: Binary) -> None:
    name = f"broadcast_{key}"
    zero = rule.d_lhs is None
    note = " Results are 0 or 1; the gradient is zero." if zero else ""
    members = {
        "__doc__": f"Element-wise :math:`{rule.meaning}` of arrays that broadcast.{note}\n\n"
        f"    Source: MXNet operator `{name}`.",
        "__module__": __name__,
        "rule": rule,
        "no_gradient": BroadcastBinary.argument_names if zero else (),
    }
    register(name, _ALIASES.get(key, ()))(type(name, (BroadcastBinary,), members))


for _key, _rule in BINARY.items():
    _make(_key, _rule)


class Expand(Operator):
    """Base of the operators that repeat an array along its axes of size 1."""

    def target(self, inputs: Shapes) -> Shape:
        """Return the wanted shape as far as it is known."""
        raise NotImplementedError

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; only axes of size 1 may change."""
        data, wanted = inputs[0], self.target(inputs)
        if data is not None and wanted is not None:
            if len(data) != len(wanted):
                raise Mismatch(
                    f"{show(data)} has {len(data)} axes, the wanted {show(wanted)} {len(wanted)}"
                )
            for old, new in zip(data, wanted, strict=True):
                if old > 1 and new not in (0, old):
                    raise Mismatch(
                        f"{show(data)} does not become {show(wanted)}: only axes of size 1 repeat"
                    )
        return inputs, [wanted]

    def forward(self, call: Call) -> None:
        """Copy X, repeated."""
        call.copy(call.inputs[0], call.outputs[0])

    def backward(self, call: Call) -> None:
        """DX = sum of G over the repeated axes."""
        if call.grads[0] is not None:
            call.sum_to(call.heads[0], call.grads[0])


@register("broadcast_to")
class BroadcastTo(Expand):
    """Repeat axes of size 1 up to `shape`; 0 keeps an axis as it is.

    Source: MXNet operator `broadcast_to`.
    """

    shape: Annotated[tuple[int, ...], "wanted shape, 0 for an axis to keep"] = ()

    def target(self, inputs: Shapes) -> Shape:
        """Return `shape` with its zeros taken from the input."""
        data = inputs[0]
        if data is None or len(data) != len(self.shape):
            return self.shape if data is not None or 0 not in self.shape else None
        return tuple(new or old for old, new in zip(data, self.shape, strict=True))


@register("broadcast_axis", aliases=("broadcast_axes",))
class BroadcastAxis(Expand):
    """Repeat the axes `axis`, which have size 1, to the sizes `size`.

    Source: MXNet operator `broadcast_axis`.
    """

    axis: Annotated[tuple[int, ...], "axes to repeat"] = ()
    size: Annotated[tuple[int, ...], "their wanted sizes"] = ()

    def target(self, inputs: Shapes) -> Shape:
        """Return the input's shape with the named axes replaced."""
        if len(self.axis) != len(self.size):
            raise Mismatch(f"axis={self.axis} and size={self.size} should have one length")
        if inputs[0] is None:
            return None
        wanted = list(inputs[0])
        for axis, size in zip(self.axis, self.size, strict=True):
            wanted[axis_of(axis, len(wanted))] = size
        return tuple(wanted)


@register("broadcast_like")
class BroadcastLike(Expand):
    """Repeat axes of size 1 of `lhs` up to the shape of `rhs`, or only the axes named.

    Source: MXNet operator `broadcast_like`.
    """

    lhs_axes: Annotated[tuple[int, ...] | None, "axes of lhs to repeat; all when None"] = None
    rhs_axes: Annotated[tuple[int, ...] | None, "axes of rhs that give their sizes"] = None

    argument_names: ClassVar[tuple[str, ...]] = ("lhs", "rhs")
    no_gradient: ClassVar[tuple[str, ...]] = ("rhs",)

    def target(self, inputs: Shapes) -> Shape:
        """Return the shape of `rhs`, or that of `lhs` with the named axes replaced."""
        lhs, rhs = inputs
        if self.lhs_axes is None and self.rhs_axes is None:
            return rhs
        ours, theirs = self.lhs_axes or (), self.rhs_axes or ()
        if len(ours) != len(theirs) or not ours:
            raise Mismatch(
                f"lhs_axes={self.lhs_axes} and rhs_axes={self.rhs_axes} should have one length"
            )
        if lhs is None or rhs is None:
            return None
        wanted = list(lhs)
        for mine, other in zip(ours, theirs, strict=True):
            wanted[axis_of(mine, len(lhs))] = rhs[axis_of(other, len(rhs))]
        return tuple(wanted)
