"""The windows of images as columns, and back, as layers."""

from __future__ import annotations

from typing import Any

from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer


class Unfold(FunctionLayer, of=F.unfold):
    """What each window of an image sees, as a column (torch.nn.Unfold).

    >>> import dtrain
    >>> Unfold(2)(dtrain.arange(6.0).reshape(1, 1, 2, 3))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__(kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


class Fold(FunctionLayer, of=F.fold):
    """The sums of what windows hold for each element of an image (torch.nn.Fold)."""

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
