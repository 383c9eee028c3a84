"""AlexNet."""

from __future__ import annotations

from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.models.published import published
from dtrain.models.weights import Weights, load_weights


class AlexNet(nn.Module):
    """AlexNet, Krizhevsky 2014, "One weird trick" (torchvision.models.AlexNet).

    Shape: images (n, 3, 224, 224) to logits (n, num_classes).
    """

    features: nn.Sequential
    avgpool: nn.AdaptiveAvgPool2d
    classifier: nn.Sequential

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@published("7be5be79", stem="alexnet-owt")
def alexnet(weights: Weights = None, **options: Any) -> AlexNet:
    """AlexNet, with weights from a file if one is given."""
    return load_weights(AlexNet(**options), weights)
