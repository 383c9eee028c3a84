"""MobileNetV2."""

from __future__ import annotations

from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.models.initialize import initialize_weights
from dtrain.models.published import published
from dtrain.models.weights import Weights, load_weights

#: (expansion, channels, blocks, stride) of each stage.
_STAGES = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
]  # fmt: skip


def _divisible(channels: float) -> int:
    """The nearest multiple of 8 that is at least 0.9 * channels."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution, batch normalization and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """1 x 1 expansion, depthwise 3 x 3 convolution, 1 x 1 projection; plus the input if the shapes
    agree."""

    use_res_connect: bool
    conv: nn.Sequential

    def __init__(self, inputs: int, outputs: int, stride: int, expand_ratio: int):
        super().__init__()
        hidden = inputs * expand_ratio
        self.use_res_connect = stride == 1 and inputs == outputs
        expand = [_conv(inputs, hidden, 1)] if expand_ratio != 1 else []
        self.conv = nn.Sequential(
            *expand,
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2, Sandler et al. 2018 (torchvision.models.MobileNetV2).

    Shape: images (n, 3, 224, 224) to logits (n, num_classes).
    """

    features: nn.Sequential
    classifier: nn.Sequential

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels, last = _divisible(32 * width_mult), _divisible(1280 * max(1.0, width_mult))
        features: list[nn.Module] = [_conv(3, channels, 3, stride=2)]
        for expansion, width, count, stride in _STAGES:
            outputs = _divisible(width * width_mult)
            for number in range(count):
                first = number == 0
                features.append(
                    InvertedResidual(channels, outputs, stride if first else 1, expansion)
                )
                channels = outputs
        features.append(_conv(channels, last, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        initialize_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


@published("b0353104", "7ebf99e0")
def mobilenet_v2(weights: Weights = None, **options: Any) -> MobileNetV2:
    """MobileNetV2, with weights from a file if one is given."""
    return load_weights(MobileNetV2(**options), weights)
