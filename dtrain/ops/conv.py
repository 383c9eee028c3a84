"""Convolution over two axes, as one matrix product over patches (im2col)."""

from __future__ import annotations

from collections.abc import Iterator

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module

Pair = tuple[int, int]


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many places a window has along an axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def window_slices(
    kernel: Pair, stride: Pair, dilation: Pair, out: Pair
) -> Iterator[tuple[int, int, tuple]]:
    """For each place (i, j) in the window: what all windows have there, of an array (..., h, w)."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * (out[0] - 1) + 1, stride[0])
            columns = slice(left, left + stride[1] * (out[1] - 1) + 1, stride[1])
            yield i, j, (..., rows, columns)


def pad_hw(x: Array, padding: Pair, value: float = 0) -> Array:
    """Pad the last two axes on both sides."""
    if padding == (0, 0):
        return x
    xp = array_module(x)
    n, c, h, w = x.shape
    out = xp.full((n, c, h + 2 * padding[0], w + 2 * padding[1]), value, x.dtype)
    out[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + w] = x
    return out


def crop_hw(x: Array, padding: Pair) -> Array:
    """What `pad_hw` has padded, without the padding."""
    h, w = x.shape[-2:]
    return x[..., padding[0] : h - padding[0], padding[1] : w - padding[1]]


@op(recomputed=True)
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
):
    """Cross-correlation. x: (n, c, h, w); weight: (m, c / groups, kh, kw); bias: (m,).

    Patches are laid out as (groups, c / groups * kh * kw, n * oh * ow), so that each group is
    one product whatever the batch.
    """
    xp = array_module(x)
    n, c, h, w = x.shape
    m, cg, kh, kw = weight.shape
    oh = output_size(h, kh, stride[0], padding[0], dilation[0])
    ow = output_size(w, kw, stride[1], padding[1], dilation[1])
    windows = list(window_slices((kh, kw), stride, dilation, (oh, ow)))
    depth = cg * kh * kw

    padded = pad_hw(x, padding)
    padded_shape, dtype = padded.shape, x.dtype
    channels_first = padded.swapaxes(0, 1)
    patches = xp.empty((c, kh, kw, n, oh, ow), dtype)
    for i, j, place in windows:
        patches[:, i, j] = channels_first[place]
    columns = patches.reshape(groups, depth, n * oh * ow)

    out = (weight.reshape(groups, m // groups, depth) @ columns).reshape(m, n, oh, ow)
    if bias is not None:
        out += bias.reshape(m, 1, 1, 1)

    def by_group(g):
        return xp.ascontiguousarray(g.swapaxes(0, 1)).reshape(groups, m // groups, n * oh * ow)

    def grad_x(g):
        parts = (weight.reshape(groups, m // groups, depth).swapaxes(1, 2) @ by_group(g)).reshape(
            c, kh, kw, n, oh, ow
        )
        full = xp.zeros((c, n, *padded_shape[2:]), dtype)
        for i, j, place in windows:
            full[place] += parts[:, i, j]
        return crop_hw(full, padding).swapaxes(0, 1)

    def grad_weight(g):
        return (by_group(g) @ columns.swapaxes(1, 2)).reshape(m, cg, kh, kw)

    return xp.ascontiguousarray(out.swapaxes(0, 1)), (
        grad_x,
        grad_weight,
        lambda g: g.sum((0, 2, 3)),
    )
