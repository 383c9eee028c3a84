"""The windows of an image as columns and back (im2col, col2im), as functions."""

from __future__ import annotations

import math

from dtrain.autograd import Tensor
from dtrain.nn.functional.spatial import Ints, Numbers, at_least, batched, per_axis
from dtrain.primitives import shapes as rules
from dtrain.primitives.padding import pad_constant


def unfold(
    input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Tensor:
    """The elements of each window as one column (torch.nn.functional.unfold).

    Shape: (n, c, h, w) to (n, c * kh * kw, windows), or both without n.
    """
    x = batched("unfold", input, 2)
    kernel, spread, pads, steps = _options(kernel_size, dilation, padding, stride)
    counts = _counts("unfold", x.shape[2:], kernel, spread, pads, steps)
    if any(pads):
        widths = ((0, 0), (0, 0), *((width, width) for width in pads))
        x = pad_constant(x, widths=widths, value=0)
    for axis, size, step, wide in zip((2, 3), kernel, steps, spread):
        x = rules.unfold(x, axis=axis, size=size, step=step, dilation=wide)
    n, c = x.shape[:2]
    columns = x.permute(0, 1, 4, 5, 2, 3)
    out = columns.reshape(n, c * math.prod(kernel), math.prod(counts))
    return out if input.ndim == 4 else out.squeeze(0)


def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """The image in which each element is the sum of its entries in the columns: the transpose of
    unfold (torch.nn.functional.fold).

    Shape: (n, c * kh * kw, windows) to (n, c, *output_size), or both without n.
    """
    x = batched("fold", input, 1)
    size = per_axis(output_size, 2, "output_size")
    kernel, spread, pads, steps = _options(kernel_size, dilation, padding, stride)
    counts = _counts("fold", size, kernel, spread, pads, steps)
    n, rows, columns = x.shape
    if rows % math.prod(kernel) or columns != math.prod(counts):
        raise RuntimeError(
            f"fold: expected an input (n, a multiple of {math.prod(kernel)}, {math.prod(counts)}) "
            f"for output_size={size} and kernel_size={kernel}, got {input.shape}"
        )
    x = x.reshape(n, rows // math.prod(kernel), *kernel, *counts).permute(0, 1, 4, 5, 2, 3)
    for axis in (3, 2):
        i = axis - 2
        length = size[i] + 2 * pads[i]
        x = rules.overlap_add(x, axis=axis, length=length, step=steps[i], dilation=spread[i])
    x = x[:, :, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]
    return x if input.ndim == 3 else x.squeeze(0)


def _options(
    kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    kernel, spread = per_axis(kernel_size, 2, "kernel_size"), per_axis(dilation, 2, "dilation")
    pads, steps = per_axis(padding, 2, "padding"), per_axis(stride, 2, "stride")
    at_least(1, kernel_size=kernel, dilation=spread, stride=steps)
    at_least(0, padding=pads)
    return kernel, spread, pads, steps


def _counts(
    name: str,
    size: Numbers,
    kernel: Numbers,
    dilation: Numbers,
    padding: Numbers,
    stride: Numbers,
) -> Numbers:
    counts = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride)
    )
    if min(counts) < 1:
        raise RuntimeError(
            f"{name}: the kernel {kernel} (dilation {dilation}) is larger than the image {size} "
            f"with its padding {padding}"
        )
    return counts
