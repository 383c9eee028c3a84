"""Convolution over one, two or three axes, and its transpose, as functions.

All are computed as convolutions of images. A sequence is an image of height 1. A volume
(n, c, d, h, w) becomes n * (number of window positions in depth) images with
c * (depth of a window) channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.autocast import autocasts
from dtrain.functions.complex_numbers import complex, imag, real
from dtrain.functions.half_precision import in_float32
from dtrain.functions.joining import cat
from dtrain.nn.functional.spatial import (
    Ints,
    Numbers,
    at_least,
    batched,
    implemented_by,
    like_input,
    per_axis,
)
from dtrain.primitives import convolution, shapes as rules
from dtrain.primitives.padding import pad_constant


def _conv(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Implements conv1d, conv2d and conv3d (`axes`: 1, 2, 3)."""
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
    out = _by_parts(_conv_batch, x, weight, bias, strides, pads, spread, groups)
    return like_input(out, input)


def _conv_transpose(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Implements conv_transpose1d, conv_transpose2d and conv_transpose3d (`axes`: 1, 2, 3)."""
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
    # where a convolution of the output would have more windows than x has elements: zeros
    rest = tuple((0, o // s) for o, s in zip(more, strides))
    if any(after for _, after in rest):
        x = pad_constant(x, widths=((0, 0), (0, 0), *rest), value=0)
    out = _by_parts(_conv_transpose_batch, x, weight, bias, size, strides, pads, spread, groups)
    return like_input(out, input)


@autocasts
@implemented_by(_conv, axes=1)
def conv1d() -> None:
    """Cross-correlation (torch.nn.functional.conv1d).

    input (n, c, l) or (c, l); weight (m, c / groups, k); bias (m,). `padding`: one int, one
    for each axis, "valid", or with stride 1 "same".
    """


@autocasts
@implemented_by(_conv, axes=2)
def conv2d() -> None:
    """Cross-correlation (torch.nn.functional.conv2d).

    input (n, c, h, w) or (c, h, w); weight (m, c / groups, kh, kw); bias (m,). `padding`: one
    int, one for each axis, "valid", or with stride 1 "same".
    """


@autocasts
@implemented_by(_conv, axes=3)
def conv3d() -> None:
    """Cross-correlation (torch.nn.functional.conv3d).

    input (n, c, d, h, w) or (c, d, h, w); weight (m, c / groups, kd, kh, kw); bias (m,).
    `padding`: one int, one for each axis, "valid", or with stride 1 "same".
    """


@autocasts
@implemented_by(_conv_transpose, axes=1)
def conv_transpose1d() -> None:
    """The gradient of conv1d for its input (torch.nn.functional.conv_transpose1d).

    input (n, c, l) or (c, l); weight (c, m / groups, k); bias (m,).
    `output_padding` chooses among the sizes for which conv1d has the same output size.
    """


@autocasts
@implemented_by(_conv_transpose, axes=2)
def conv_transpose2d() -> None:
    """The gradient of conv2d for its input (torch.nn.functional.conv_transpose2d).

    input (n, c, h, w) or (c, h, w); weight (c, m / groups, kh, kw); bias (m,).
    `output_padding` chooses among the sizes for which conv2d has the same output size.
    """


@autocasts
@implemented_by(_conv_transpose, axes=3)
def conv_transpose3d() -> None:
    """The gradient of conv3d for its input (torch.nn.functional.conv_transpose3d).

    input (n, c, d, h, w) or (c, d, h, w); weight (c, m / groups, kd, kh, kw); bias (m,).
    `output_padding` chooses among the sizes for which conv3d has the same output size.
    """


def _by_parts(
    run: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any
) -> Tensor:
    """A convolution; of complex numbers by real ones: each part of x with each of the weight."""
    if not x.is_complex():
        return run(x, weight, bias, *how)
    n = x.shape[0]
    parts = cat([real(x), imag(x)])
    with_real, with_imag = (run(parts, part, None, *how) for part in (real(weight), imag(weight)))
    out = complex(with_real[:n] - with_imag[n:], with_real[n:] + with_imag[:n])
    return out if bias is None else out + bias.reshape(-1, *[1] * (x.ndim - 2))


@in_float32(on_device=False)
def _conv_batch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers,
    dilation: Numbers,
    groups: int,
) -> Tensor:
    options = _image_options(stride, padding, dilation)
    if len(stride) == 1:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        return convolution.conv2d(x, weight, bias, **options, groups=groups).squeeze(2)
    if len(stride) == 2:
        return convolution.conv2d(x, weight, bias, **options, groups=groups)
    n, c, _, h, w = x.shape
    m, _, deep, *kernel = weight.shape
    pads = ((0, 0), (0, 0), (padding[0], padding[0]), (0, 0), (0, 0))
    x = pad_constant(x, widths=pads, value=0) if padding[0] else x
    windows = rules.unfold(x, axis=2, size=deep, step=stride[0], dilation=dilation[0])
    count = windows.shape[2]
    images = windows.permute(0, 2, 1, 5, 3, 4).reshape(n * count, c * deep, h, w)
    flat = weight.reshape(m, weight.shape[1] * deep, *kernel)
    out = convolution.conv2d(images, flat, bias, **options, groups=groups)
    return out.reshape(n, count, *out.shape[1:]).permute(0, 2, 1, 3, 4)


@in_float32(on_device=False)
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
    options = _image_options(stride, padding, dilation)
    hw = (1 if len(size) == 1 else size[-2], size[-1])
    if len(stride) == 1:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        out = convolution.conv_transpose2d(x, weight, bias, hw=hw, **options, groups=groups)
        return out.squeeze(2)
    if len(stride) == 2:
        return convolution.conv_transpose2d(x, weight, bias, hw=hw, **options, groups=groups)
    (n, c, d, h, w), (_, mg, deep, *kernel) = x.shape, weight.shape
    images = x.permute(0, 2, 1, 3, 4).reshape(n * d, c, h, w)
    flat = weight.reshape(c, mg * deep, *kernel)
    out = convolution.conv_transpose2d(images, flat, hw=hw, **options, groups=groups)
    windows = out.reshape(n, d, mg * groups, deep, *hw).permute(0, 2, 1, 4, 5, 3)
    length = size[0] + 2 * padding[0]
    out = rules.overlap_add(windows, axis=2, length=length, step=stride[0], dilation=dilation[0])
    out = out.narrow(2, padding[0], size[0]) if padding[0] else out
    return out if bias is None else out + bias.reshape(-1, 1, 1, 1)


def _image_options(stride: Numbers, padding: Numbers, dilation: Numbers) -> dict[str, Any]:
    """The options of the last two axes; a sequence gets an axis of height 1."""
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
    """Check shapes and dtypes; the weight takes `channels` and makes `features` channels."""
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
    """Padding "same": x padded by what the end has more than the start, and the rest as an
    option.
    """
    if set(stride) != {1}:
        raise RuntimeError(f"{name}: padding='same' needs stride 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if any(total % 2 for total in totals):
        widths = ((0, 0), (0, 0), *((0, total % 2) for total in totals))
        x = pad_constant(x, widths=widths, value=0)
    return x, tuple(total // 2 for total in totals)
