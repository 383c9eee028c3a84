"""ResNet, ResNeXt and Wide ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.models.published import published
from dtrain.models.weights import Weights, load_weights


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, plus the input."""

    expansion = 1
    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    relu: nn.ReLU
    downsample: nn.Sequential | None

    def __init__(self, inputs: int, planes: int, stride: int, groups: int, base_width: int):
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError(
                "BasicBlock: expected groups=1 and width_per_group=64, got "
                f"{groups} and {base_width}; use Bottleneck"
            )
        self.conv1 = _conv(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _downsample(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride) and 1 x 1 convolution, plus the input."""

    expansion = 4
    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    conv3: nn.Conv2d
    bn3: nn.BatchNorm2d
    relu: nn.ReLU
    downsample: nn.Sequential | None

    def __init__(self, inputs: int, planes: int, stride: int, groups: int, base_width: int):
        super().__init__()
        width = planes * base_width // 64 * groups
        outputs = planes * self.expansion
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def _downsample(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """ResNet, He et al. 2015; with groups ResNeXt, Xie et al. 2016; with wide groups Wide ResNet,
    Zagoruyko and Komodakis 2016 (torchvision.models.ResNet).

    Shape: images (n, 3, 224, 224) to logits (n, num_classes).

    Parameters
    ----------
    block : BasicBlock or Bottleneck
    layers : the number of blocks in each of the four stages
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    relu: nn.ReLU
    maxpool: nn.MaxPool2d
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential
    avgpool: nn.AdaptiveAvgPool2d
    fc: nn.Linear

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        groups: int = 1,
        width_per_group: int = 64,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for stage, count in enumerate(layers):
            planes, blocks = 64 << stage, []
            for number in range(count):
                stride = 2 if stage and not number else 1
                blocks.append(block(channels, planes, stride, groups, width_per_group))
                channels = planes * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


@published("f37072fd")
def resnet18(weights: Weights = None, **options: Any) -> ResNet:
    """ResNet with 18 layers."""
    return load_weights(ResNet(BasicBlock, [2, 2, 2, 2], **options), weights)


@published("b627a593")
def resnet34(weights: Weights = None, **options: Any) -> ResNet:
    """ResNet with 34 layers."""
    return load_weights(ResNet(BasicBlock, [3, 4, 6, 3], **options), weights)


@published("0676ba61", "11ad3fa6")
def resnet50(weights: Weights = None, **options: Any) -> ResNet:
    """ResNet with 50 layers."""
    return load_weights(ResNet(Bottleneck, [3, 4, 6, 3], **options), weights)


@published("63fe2227", "cd907fc2")
def resnet101(weights: Weights = None, **options: Any) -> ResNet:
    """ResNet with 101 layers."""
    return load_weights(ResNet(Bottleneck, [3, 4, 23, 3], **options), weights)


@published("394f9c45", "f82ba261")
def resnet152(weights: Weights = None, **options: Any) -> ResNet:
    """ResNet with 152 layers."""
    return load_weights(ResNet(Bottleneck, [3, 8, 36, 3], **options), weights)


@published("7cdf4587", "1a0047aa")
def resnext50_32x4d(weights: Weights = None, **options: Any) -> ResNet:
    """ResNeXt with 50 layers, 32 groups of width 4."""
    return resnet50(weights, groups=32, width_per_group=4, **options)


@published("8ba56ff5", "110c445d")
def resnext101_32x8d(weights: Weights = None, **options: Any) -> ResNet:
    """ResNeXt with 101 layers, 32 groups of width 8."""
    return resnet101(weights, groups=32, width_per_group=8, **options)


@published("173b62eb")
def resnext101_64x4d(weights: Weights = None, **options: Any) -> ResNet:
    """ResNeXt with 101 layers, 64 groups of width 4."""
    return resnet101(weights, groups=64, width_per_group=4, **options)


@published("95faca4d", "9ba9bcbe")
def wide_resnet50_2(weights: Weights = None, **options: Any) -> ResNet:
    """Wide ResNet with 50 layers, the inner convolutions twice as wide."""
    return resnet50(weights, width_per_group=128, **options)


@published("32ee1156", "d733dc28")
def wide_resnet101_2(weights: Weights = None, **options: Any) -> ResNet:
    """Wide ResNet with 101 layers, the inner convolutions twice as wide."""
    return resnet101(weights, width_per_group=128, **options)
