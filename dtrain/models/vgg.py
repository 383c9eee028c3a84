"""VGG with 11 to 19 layers, with and without batch normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.models.initialize import initialize_weights
from dtrain.models.published import published
from dtrain.models.weights import Weights, load_weights

#: For each depth, the number of convolutions with 64, 128, 256, 512 and 512 channels.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """VGG, Simonyan and Zisserman 2014 (torchvision.models.VGG).

    Shape: images (n, 3, 224, 224) to logits (n, num_classes).

    Parameters
    ----------
    depths : the number of convolutions before each of the five poolings
    """

    features: nn.Sequential
    avgpool: nn.AdaptiveAvgPool2d
    classifier: nn.Sequential

    def __init__(
        self,
        depths: Sequence[int],
        batch_norm: bool = False,
        num_classes: int = 1000,
        dropout: float = 0.5,
    ):
        super().__init__()
        self.features = _features(depths, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        initialize_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _features(depths: Sequence[int], batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512)):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool, weights: Weights, options: dict[str, Any]) -> VGG:
    return load_weights(VGG(_DEPTHS[depth], batch_norm, **options), weights)


@published("8a719046")
def vgg11(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 11 layers."""
    return _vgg(11, False, weights, options)


@published("6002323d")
def vgg11_bn(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 11 layers and batch normalization."""
    return _vgg(11, True, weights, options)


@published("19584684")
def vgg13(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 13 layers."""
    return _vgg(13, False, weights, options)


@published("abd245e5")
def vgg13_bn(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 13 layers and batch normalization."""
    return _vgg(13, True, weights, options)


@published("397923af")
def vgg16(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 16 layers."""
    return _vgg(16, False, weights, options)


@published("6c64b313")
def vgg16_bn(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 16 layers and batch normalization."""
    return _vgg(16, True, weights, options)


@published("dcbb9e9d")
def vgg19(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 19 layers."""
    return _vgg(19, False, weights, options)


@published("c79401a0")
def vgg19_bn(weights: Weights = None, **options: Any) -> VGG:
    """VGG with 19 layers and batch normalization."""
    return _vgg(19, True, weights, options)
