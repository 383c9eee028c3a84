"""Unfold and Fold: the windows of an image as columns and back (im2col, col2im), as layers."""

from __future__ import annotations

from typing import Any

from dtrain.nn import functional as F
from dtrain.nn.function_layer import UnaryLayer


class Unfold(UnaryLayer, function=F.unfold):
    """The elements of each window of an image as one column (torch.nn.Unfold).

    Shape: (n, c, h, w) to (n, c * kernel_h * kernel_w, number of windows).

    >>> import dtrain
    >>> Unfold(2)(dtrain.arange(6.0).reshape(1, 1, 2, 3))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__(kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


class Fold(UnaryLayer, function=F.fold):
    """An image in which each element is the sum of its entries in the columns: the transpose of
    Unfold (torch.nn.Fold).

    Shape: (n, c * kernel_h * kernel_w, number of windows) to (n, c, *output_size).
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ):
        super().__init__(
            output_size=output_size,
            kernel_size=kernel_size,
            dilation=dilation,
            padding=padding,
            stride=stride,
        )
