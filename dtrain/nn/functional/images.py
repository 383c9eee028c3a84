"""Convolution and pooling as functions."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.ops import pool


def pair_of(value: Any, name: str) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or any(not isinstance(n, int) for n in both):
        raise ValueError(f"{name}: expected an int or two, got {value!r}")
    return both


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
