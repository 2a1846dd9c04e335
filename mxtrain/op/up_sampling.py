"""UpSampling: images enlarged by a whole factor, by repetition or by a learned kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from mxtrain.op.base import register
from mxtrain.op.joining import Variadic
from mxtrain.op.shape import Mismatch, Shapes, merge_axis, show

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

BILINEAR = '["bilinear", {}]'


@register()
class UpSampling(Variadic):
    r"""Enlarge images `scale` times in height and width.

    * nearest: every pixel is repeated. The output is `scale` times as large as the first input;
      every further input is enlarged to the same size, and `multi_input_mode` says whether they are
      joined along the channels or added up.
    * bilinear: a transposed convolution of each channel with a kernel of its own,
      :math:`y_{mn} = \sum_{ij} x_{ij} w_{m + p - s i, n + p - s j}`, where s is the scale,
      :math:`p = \lceil (s - 1) / 2 \rceil` and w has as many rows and columns k as twice the
      scale, less one if that is odd. It interpolates with the weights it starts from (initializer
      `Bilinear`), and may learn others. Its inputs are data and weight, whatever `num_args` says.

    Shapes: inputs `(N, C, H, W)`, output `(N, C, scale * H, scale * W)`, weight `(C, 1, k, k)`.

    Source: MXNet operator `UpSampling`.
    """

    scale: Annotated[int, Ge(1), "how many times larger the output is"]
    num_filter: Annotated[int, Ge(0), "number of channels of data; bilinear needs it"] = 0
    sample_type: Annotated[Literal["nearest", "bilinear"], "how pixels in between are found"]
    multi_input_mode: Annotated[
        Literal["concat", "sum"], "nearest: join several inputs along the channels, or add them"
    ] = "concat"
    num_args: Annotated[int, Ge(1), "number of inputs"]
    workspace: Annotated[
        int, Ge(0), "accepted for MXNet's files; memory is planned when binding"
    ] = 512

    @property
    def _is_nearest(self) -> bool:
        return self.sample_type == "nearest"

    def arguments(self) -> tuple[str, ...]:
        """Return `arg0`, `arg1`, ... in nearest mode, `data` and `weight` in bilinear mode."""
        return super().arguments() if self._is_nearest else ("data", "weight")

    def input_inits(self) -> Mapping[str, str]:
        """Return the initializer of input 1, which MXNet sets in nearest mode too."""
        return dict.fromkeys(self.arguments()[1:2], BILINEAR)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output and the weight from data."""
        for name, shape in zip(self.arguments(), inputs, strict=True):
            if shape is not None and len(shape) != 4:
                raise Mismatch(f"{name} should be (N, C, H, W), it is {show(shape)}")
        return self._nearest_shapes(inputs) if self._is_nearest else self._bilinear_shapes(inputs)

    def _nearest_shapes(self, inputs: Shapes) -> tuple[Shapes, Shapes]:
        known = [shape for shape in inputs if shape is not None]
        if inputs[0] is None:
            return inputs, [None]
        size = tuple(self.scale * n for n in inputs[0][2:])
        batch = 0
        for shape in known:
            batch = merge_axis(batch, shape[0])
            _check_divides(shape, size)
        channels = {shape[1] for shape in known if shape[1]}
        if self.multi_input_mode == "sum":
            if len(channels) > 1:
                raise Mismatch(
                    "multi_input_mode='sum' adds inputs with one number of channels, these have "
                    f"{' and '.join(map(str, sorted(channels)))}; 'concat' joins any"
                )
            count = max(channels, default=0)
        else:
            counts = [0 if shape is None else shape[1] for shape in inputs]
            count = sum(counts) if all(counts) else 0
        found: Shapes = [None if shape is None else (batch, *shape[1:]) for shape in inputs]
        return found, [(batch, count, *size)]

    def _bilinear_shapes(self, inputs: Shapes) -> tuple[Shapes, Shapes]:
        data, channels = inputs[0], self.num_filter
        if not channels or (data is not None and data[1] not in (0, channels)):
            has = f", {data[1]}" if data is not None and data[1] else ""
            raise Mismatch(
                "with sample_type='bilinear' num_filter is the number of channels of data"
                f"{has}; it is {channels}"
            )
        length = 2 * self.scale - self.scale % 2
        weight = (channels, 1, length, length)
        if data is None:
            return [None, weight], [None]
        size = tuple(self.scale * n for n in data[2:])
        return [(data[0], channels, *data[2:]), weight], [(data[0], channels, *size)]

    def forward(self, call: Call) -> None:
        """Y from X: see the class."""
        if not self._is_nearest:
            self._interpolate(call)
            return
        parts = self._parts(call.outputs[0], call.inputs)
        for number, (data, part) in enumerate(zip(call.inputs, parts, strict=True)):
            adds = number > 0 and self.multi_input_mode == "sum"
            _repeat(call, data, part, adds)

    def backward(self, call: Call) -> None:
        """DX = sum of G over the block of each pixel, or the gradients of the convolution."""
        if not self._is_nearest:
            self._differentiate(call)
            return
        for grad, part in zip(call.grads, self._parts(call.heads[0], call.inputs), strict=True):
            if grad is not None:
                _sum_blocks(call, part, grad)

    def _parts(self, whole: Array, inputs: list[Array]) -> Iterator[Array]:
        """Yield the channels of `whole` that belong to each input."""
        end = 0
        for data in inputs:
            if self.multi_input_mode == "sum":
                yield whole
            else:
                end += data.shape[1]
                yield whole[:, end - data.shape[1] : end]

    # With u = a s + r, v = b s + q and a, b in (0, 1), row s I + r - p and column s J + q - p of
    # the output get x[I - a, J - b] w[a s + r, b s + q] for the four (a, b). Per channel that is
    # the product of the kernel as a matrix (s s, 4) and the four shifted images (4, N (H+1) (W+1)).

    def _interpolate(self, call: Call) -> None:
        data, weight = call.inputs
        blocks = self._blocks(call, data)
        kernels = self._kernels(call, weight).swapaxes(1, 2)
        call.emit(call.xp.matmul, kernels, _shifted(call, data), _flat(blocks))
        for block, pixels in self._pairs(blocks, call.outputs[0]):
            call.copy(block, pixels)

    def _differentiate(self, call: Call) -> None:
        data, weight = call.inputs
        d_data, d_weight = call.grads
        blocks = self._blocks(call, data)
        call.fill(blocks, 0)
        for block, pixels in self._pairs(blocks, call.heads[0]):
            call.copy(pixels, block)
        if d_data is not None:
            images = _temp_of_shifts(call, data)
            call.emit(call.xp.matmul, self._kernels(call, weight), _flat(blocks), _flat(images))
            _add_shifts(call, images, d_data)
        if d_weight is not None:
            kernels = call.temp((data.shape[1], 4, self.scale**2))
            call.emit(call.xp.matmul, _shifted(call, data), _flat(blocks).swapaxes(1, 2), kernels)
            self._write_kernels(call, kernels, d_weight)

    def _blocks(self, call: Call, data: Array) -> Array:
        """Return a buffer (C, r, q, N, I, J) for the output with its uncut border."""
        n, c, h, w = data.shape
        return call.temp((c, self.scale, self.scale, n, h + 1, w + 1))

    def _pairs(self, blocks: Array, image: Array) -> Iterator[tuple[Array, Array]]:
        """Yield views of the same pixels in `blocks` and in an array of the output's shape.

        Both are (C, rows of a block, N, H, W). One column of a block at a time, so that the
        copies run along whole rows of the image.
        """
        s, pad = self.scale, self.scale // 2
        n, c, _, _, h1, w1 = (blocks.shape[i] for i in (3, 0, 1, 2, 4, 5))
        h, w = h1 - 1, w1 - 1
        pixels = image.reshape(n, c, h, s, w, s).transpose(1, 3, 5, 0, 2, 4)
        cut = (slice(pad), slice(s - pad, s), slice(1, h1))
        kept = (slice(pad, s), slice(s - pad), slice(h))
        for rows, target, i in (cut, kept) if pad else (kept,):
            for q in range(s):
                j = slice(1, w1) if q < pad else slice(w)
                yield blocks[:, rows, q, :, i, j], pixels[:, target, (q - pad) % s]

    def _kernels(self, call: Call, weight: Array) -> Array:
        """Return the kernels as matrices (C, 4, s s): rows (a, b), columns (r, q)."""
        s, channels = self.scale, weight.shape[0]
        whole = weight
        if s % 2:
            whole = call.temp((channels, 2 * s, 2 * s))
            call.fill(whole, 0)
            call.copy(weight[:, 0], whole[:, :-1, :-1])
        kernels = call.temp((channels, 2, 2, s, s))
        call.copy(whole.reshape(channels, 2, s, 2, s).swapaxes(2, 3), kernels)
        return kernels.reshape(channels, 4, s * s)

    def _write_kernels(self, call: Call, kernels: Array, weight: Array) -> None:
        """Add the lines that undo `_kernels`."""
        s, channels = self.scale, weight.shape[0]
        whole = call.temp((channels, 2 * s, 2 * s)) if s % 2 else weight
        target = whole.reshape(channels, 2, s, 2, s).swapaxes(2, 3)
        call.copy(kernels.reshape(target.shape), target)
        if s % 2:
            call.copy(whole[:, :-1, :-1], weight[:, 0])


def _check_divides(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    """Refuse an input that does not grow to the output's height and width by one whole factor."""
    if 0 in (*shape[2:], *size):
        return
    factor = size[0] // shape[2]
    if tuple(factor * n for n in shape[2:]) != size:
        raise Mismatch(
            f"an input of {shape[2]} x {shape[3]} pixels does not grow to the output's "
            f"{size[0]} x {size[1]} (scale times the first input) by one whole factor"
        )


def _repeat(call: Call, data: Array, target: Array, adds: bool) -> None:
    """Add the lines that write or add each pixel to all of its block."""
    n, c, h, w = data.shape
    factor = target.shape[3] // w
    wide = data
    if factor > 1:  # column by column, then row by row: copies along rows are much the faster
        columns = call.temp((*data.shape, factor))
        for column in range(factor):
            call.copy(data, columns[..., column])
        wide = columns.reshape(n, c, h, w * factor)
    rows, wide = target.reshape(n, c, h, factor, w * factor), wide[:, :, :, None]
    if adds:
        call.emit(call.xp.add, rows, wide, rows)
    else:
        call.copy(wide, rows)


def _sum_blocks(call: Call, head: Array, grad: Array) -> None:
    """Add the lines that sum the block of each pixel."""
    n, c, h, w = grad.shape
    factor = head.shape[3] // w
    if factor == 1:
        call.copy(head, grad)
        return
    columns = call.temp((*grad.shape, factor))
    wide = columns.reshape(n, c, h, w * factor)
    call.sum(head.reshape(n, c, h, factor, w * factor), (3,), wide)
    _add_up(call, [columns[..., column] for column in range(factor)], grad)


def _temp_of_shifts(call: Call, data: Array) -> Array:
    """Return a buffer (C, a, b, N, H+1, W+1)."""
    n, c, h, w = data.shape
    return call.temp((c, 2, 2, n, h + 1, w + 1))


def _views_of_shifts(images: Array) -> list[Array]:
    """Return the places of the image in its four copies, shifted by (a, b), as (C, N, H, W)."""
    h, w = images.shape[4] - 1, images.shape[5] - 1
    shifts = ((0, 0), (0, 1), (1, 0), (1, 1))
    return [images[:, a, b, :, a : a + h, b : b + w] for a, b in shifts]


def _shifted(call: Call, data: Array) -> Array:
    """Add the lines that copy an image four times; return matrices (C, 4, N (H+1) (W+1))."""
    images = _temp_of_shifts(call, data)
    call.fill(images, 0)
    for view in _views_of_shifts(images):
        call.copy(data.swapaxes(0, 1), view)
    return _flat(images)


def _add_shifts(call: Call, images: Array, image: Array) -> None:
    """Add the lines that add up the four shifted copies of an image."""
    _add_up(call, _views_of_shifts(images), image.swapaxes(0, 1))


def _add_up(call: Call, parts: list[Array], target: Array) -> None:
    """Add the lines that add up two or more arrays from the left."""
    first, *others = parts
    for part in others:
        call.emit(call.xp.add, first, part, target)
        first = target


def _flat(blocks: Array) -> Array:
    """View (C, x, y, N, I, J) as matrices (C, x y, N I J)."""
    c, x, y = blocks.shape[:3]
    return blocks.reshape(c, x * y, -1)
