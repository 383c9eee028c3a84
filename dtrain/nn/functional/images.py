"""Convolution and pooling as functions."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.ops import conv, pool
from dtrain.ops import shape as shape_rules


def pair_of(value: Any, name: str) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or any(not isinstance(n, int) for n in both):
        raise ValueError(f"{name}: expected an int or two, got {value!r}")
    return both


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation. input: (n, c, h, w) or (c, h, w); weight: (m, c / groups, kh, kw).

    `padding` is a number, two, "valid", or with stride 1 "same".
    """
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(
            0
        )
    if input.ndim != 4 or input.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"conv2d: expected an input of shape (n, {weight.shape[1] * groups}, h, w) for weight "
            f"{weight.shape} and groups={groups}, got {input.shape}"
        )
    stride, dilation = pair_of(stride, "stride"), pair_of(dilation, "dilation")
    if padding == "same":
        input, padding = _pad_same(input, weight, stride, dilation), 0
    pads = pair_of(0 if padding == "valid" else padding, "padding")
    for size, pad, kernel, wide in zip(input.shape[2:], pads, weight.shape[2:], dilation):
        if size + 2 * pad < wide * (kernel - 1) + 1:
            raise RuntimeError(
                f"conv2d: the kernel {weight.shape[2:]} (dilation {dilation}) is larger than the "
                f"padded input {input.shape}"
            )
    return conv.conv2d(
        input, weight, bias, stride=stride, padding=pads, dilation=dilation, groups=groups
    )


def _pad_same(
    input: Tensor, weight: Tensor, stride: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    if stride != (1, 1):
        raise ValueError(f"conv2d: padding='same' needs stride 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:])]
    widths = ((0, 0), (0, 0), *((total // 2, total - total // 2) for total in totals))
    return shape_rules.pad_constant(input, widths=widths, value=0)


def _check_pool(
    name: str,
    input: Tensor,
    kernel: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> None:
    if input.ndim != 4:
        raise RuntimeError(
            f"{name}: expected an input (n, c, h, w) or (c, h, w), got {input.shape}"
        )
    if any(2 * p > k for p, k in zip(padding, kernel)):
        raise RuntimeError(f"{name}: padding {padding} is more than half of the kernel {kernel}")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n + 2 * p < r for n, p, r in zip(input.shape[2:], padding, reach)):
        raise RuntimeError(
            f"{name}: the kernel {kernel} (dilation {dilation}) is larger than the input "
            f"{input.shape}"
        )


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Tensor:
    """The maximum of each window. input: (n, c, h, w) or (c, h, w)."""
    if input.ndim == 3:
        return max_pool2d(input.unsqueeze(0), kernel_size, stride, padding, dilation).squeeze(0)
    kernel, pads = pair_of(kernel_size, "kernel_size"), pair_of(padding, "padding")
    wide = pair_of(dilation, "dilation")
    _check_pool("max_pool2d", input, kernel, pads, wide)
    return pool.max_pool2d(
        input,
        kernel=kernel,
        stride=kernel if stride is None else pair_of(stride, "stride"),
        padding=pads,
        dilation=wide,
    )


def avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    """The mean of each window, padding counted as zeros. input: (n, c, h, w) or (c, h, w)."""
    if input.ndim == 3:
        return avg_pool2d(input.unsqueeze(0), kernel_size, stride, padding).squeeze(0)
    kernel, pads = pair_of(kernel_size, "kernel_size"), pair_of(padding, "padding")
    _check_pool("avg_pool2d", input, kernel, pads)
    return pool.avg_pool2d(
        input,
        kernel=kernel,
        stride=kernel if stride is None else pair_of(stride, "stride"),
        padding=pads,
    )
