"""Convolution over one, two or three axes, and its transpose, as functions.

All are convolutions of images. A sequence is an image of height 1. In a volume the depth of a
window's elements lies in the channels: (n, c, d, h, w) is n * (depths of windows) images of
c * (depth of a window) channels.
"""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn.functional.spatial import (
    Numbers,
    as_given,
    at_least,
    batched,
    one_to_three,
    per_axis,
)
from dtrain.primitives import convolution, shapes as rules
from dtrain.primitives.padding import pad_constant


def _conv(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over the last {n} dimensions (torch.nn.functional.conv{n}d).

    input: (n, c, ...) or (c, ...); weight: (m, c / groups, ...). `padding` is a number, one for
    each axis, "valid", or with stride 1 "same".
    """
    name, x = f"conv{axes}d", batched(f"conv{axes}d", input, axes)
    strides, spread = per_axis(stride, axes, "stride"), per_axis(dilation, axes, "dilation")
    at_least(1, stride=strides, dilation=spread, groups=(groups,))
    _check(name, x, weight, bias, axes, _times(weight.shape[1:2], groups), weight.shape[:1])
    if weight.shape[0] % groups:
        raise RuntimeError(f"{name}: {weight.shape[0]} channels cannot make {groups} groups")
    if padding == "same":
        x, pads = _pad_same(name, x, weight.shape[2:], strides, spread)
    else:
        pads = per_axis(0 if padding == "valid" else padding, axes, "padding")
    at_least(0, padding=pads)
    for size, pad, kernel, wide in zip(x.shape[2:], pads, weight.shape[2:], spread):
        if size + 2 * pad < wide * (kernel - 1) + 1:
            raise RuntimeError(
                f"{name}: the kernel {weight.shape[2:]} (dilation {spread}) is larger than the "
                f"padded input {x.shape}"
            )
    out = _conv_batch(x, weight, bias, strides, pads, spread, groups)
    return as_given(out, input)


def _conv_transpose(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of conv{n}d for its input (torch.nn.functional.conv_transpose{n}d).

    input: (n, c, ...) or (c, ...); weight: (c, m / groups, ...). `output_padding` chooses among
    the input sizes for which conv{n}d has the same output size.
    """
    name, x = f"conv_transpose{axes}d", batched(f"conv_transpose{axes}d", input, axes)
    strides, spread = per_axis(stride, axes, "stride"), per_axis(dilation, axes, "dilation")
    pads = per_axis(padding, axes, "padding")
    more = per_axis(output_padding, axes, "output_padding")
    at_least(1, stride=strides, dilation=spread, groups=(groups,))
    at_least(0, padding=pads, output_padding=more)
    _check(name, x, weight, bias, axes, weight.shape[:1], _times(weight.shape[1:2], groups))
    if any(o >= max(s, d) for o, s, d in zip(more, strides, spread)):
        raise RuntimeError(
            f"{name}: output_padding={more} must be smaller than stride={strides} or "
            f"dilation={spread}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + o + 1
        for n, s, p, d, k, o in zip(x.shape[2:], strides, pads, spread, weight.shape[2:], more)
    )
    at_least(1, **{f"{name}: the size of the output": size})
    # where a convolution of the output would have more windows than x, they give nothing
    rest = tuple((0, o // s) for o, s in zip(more, strides))
    if any(after for _, after in rest):
        x = pad_constant(x, widths=((0, 0), (0, 0), *rest), value=0)
    out = _conv_transpose_batch(x, weight, bias, size, strides, pads, spread, groups)
    return as_given(out, input)


conv1d, conv2d, conv3d = one_to_three(_conv)
conv_transpose1d, conv_transpose2d, conv_transpose3d = one_to_three(_conv_transpose)


def _conv_batch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers,
    dilation: Numbers,
    groups: int,
) -> Tensor:
    how = _of_images(stride, padding, dilation)
    if len(stride) == 1:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        return convolution.conv2d(x, weight, bias, **how, groups=groups).squeeze(2)
    if len(stride) == 2:
        return convolution.conv2d(x, weight, bias, **how, groups=groups)
    n, c, _, h, w = x.shape
    m, _, deep, *kernel = weight.shape
    pads = ((0, 0), (0, 0), (padding[0], padding[0]), (0, 0), (0, 0))
    x = pad_constant(x, widths=pads, value=0) if padding[0] else x
    windows = rules.unfold(x, axis=2, size=deep, step=stride[0], dilation=dilation[0])
    count = windows.shape[2]
    images = windows.permute(0, 2, 1, 5, 3, 4).reshape(n * count, c * deep, h, w)
    flat = weight.reshape(m, weight.shape[1] * deep, *kernel)
    out = convolution.conv2d(images, flat, bias, **how, groups=groups)
    return out.reshape(n, count, *out.shape[1:]).permute(0, 2, 1, 3, 4)


def _conv_transpose_batch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    size: Numbers,
    stride: Numbers,
    padding: Numbers,
    dilation: Numbers,
    groups: int,
) -> Tensor:
    how = _of_images(stride, padding, dilation)
    hw = (1 if len(size) == 1 else size[-2], size[-1])
    if len(stride) == 1:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        out = convolution.conv_transpose2d(x, weight, bias, hw=hw, **how, groups=groups)
        return out.squeeze(2)
    if len(stride) == 2:
        return convolution.conv_transpose2d(x, weight, bias, hw=hw, **how, groups=groups)
    (n, c, d, h, w), (_, mg, deep, *kernel) = x.shape, weight.shape
    images = x.permute(0, 2, 1, 3, 4).reshape(n * d, c, h, w)
    flat = weight.reshape(c, mg * deep, *kernel)
    out = convolution.conv_transpose2d(images, flat, hw=hw, **how, groups=groups)
    windows = out.reshape(n, d, mg * groups, deep, *hw).permute(0, 2, 1, 4, 5, 3)
    length = size[0] + 2 * padding[0]
    out = rules.overlap_add(windows, axis=2, length=length, step=stride[0], dilation=dilation[0])
    out = out.narrow(2, padding[0], size[0]) if padding[0] else out
    return out if bias is None else out + bias.reshape(-1, 1, 1, 1)


def _of_images(stride: Numbers, padding: Numbers, dilation: Numbers) -> dict[str, Any]:
    """The options of the last two axes; a sequence has one more."""
    return {
        "stride": (1, *stride)[-2:],
        "padding": (0, *padding)[-2:],
        "dilation": (1, *dilation)[-2:],
    }


def _times(numbers: Numbers, factor: int) -> Numbers:
    return tuple(n * factor for n in numbers)


def _check(
    name: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    axes: int,
    channels: Numbers,
    features: Numbers,
) -> None:
    """`channels` are those of the input that the weight wants, `features` those it makes."""
    if weight.ndim != axes + 2 or x.shape[1:2] != channels:
        raise RuntimeError(
            f"{name}: expected an input of shape (n, {', '.join(map(str, channels))}, ...) and a "
            f"weight of {axes + 2} dimensions, got {x.shape} and {weight.shape}"
        )
    if 0 in weight.shape[2:]:
        raise RuntimeError(f"{name}: expected a kernel with elements, got {weight.shape}")
    if bias is not None and bias.shape != features:
        raise RuntimeError(f"{name}: expected a bias of shape {features}, got {bias.shape}")
    dtypes = {part.dtype for part in (x, weight, bias) if part is not None}
    if len(dtypes) > 1:
        raise RuntimeError(
            f"{name}: the dtypes of input, weight and bias should be the same, got "
            f"{', '.join(sorted(map(str, dtypes)))}; convert them with .to(dtype)"
        )


def _pad_same(
    name: str, x: Tensor, kernel: Numbers, stride: Numbers, dilation: Numbers
) -> tuple[Tensor, Numbers]:
    """x padded where the two sides of an axis differ, and the padding that both have."""
    if set(stride) != {1}:
        raise RuntimeError(f"{name}: padding='same' needs stride 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if any(total % 2 for total in totals):
        widths = ((0, 0), (0, 0), *((0, total % 2) for total in totals))
        x = pad_constant(x, widths=widths, value=0)
    return x, tuple(total // 2 for total in totals)
