"""EfficientNet-Lite0."""

from __future__ import annotations

from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.models.weights import Weights, load_weights
from dtrain.nn import functional as F

#: (blocks, kernel, stride, expansion, channels) of each stage.
_STAGES = [
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
]  # fmt: skip


class SameConv2d(nn.Conv2d):
    """A convolution to ceil(size / stride), with TensorFlow's "same" padding: more at the end."""

    def forward(self, x: Tensor) -> Tensor:
        widths: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1]):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            widths += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, widths) if any(widths) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """The inverted residual block: 1 x 1 expansion, depthwise convolution, 1 x 1 projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self._expand_conv = None
        if expansion != 1:
            self._expand_conv = SameConv2d(inputs, hidden, 1, bias=False)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = _norm(hidden)
        self._project_conv = SameConv2d(hidden, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self._beside_identity = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = x
        if self._expand_conv is not None:
            out = F.relu6(self._bn0(self._expand_conv(out)))
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return x + out if self._beside_identity else out


class EfficientNetLite0(nn.Module):
    """EfficientNet, Tan and Le 2019, without squeeze-and-excitation and with ReLU6 (Google's "Lite"
    of 2020).

    Shape: images (n, 3, 224, 224), (byte - 127) / 128, to logits (n, num_classes).
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2):
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, channels = [], 32
        for count, kernel, stride, expansion, outputs in _STAGES:
            for number in range(count):
                first_stride = stride if number == 0 else 1
                blocks.append(_Block(channels, outputs, kernel, first_stride, expansion))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(channels, 1280, 1, bias=False)
        self._bn1 = _norm(1280)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(x.mean((2, 3))))


def efficientnet_lite0(weights: Weights = None, **options: Any) -> EfficientNetLite0:
    """EfficientNet-Lite0, with weights from a file if one is given."""
    return load_weights(EfficientNetLite0(**options), weights)
