"""`FakeData`: random pictures, to try out a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Generator
from dtrain.vision.datasets.vision import Transform, VisionDataset
from dtrain.vision.transforms.functional import to_pil_image


class FakeData(VisionDataset):
    """Random pictures and classes, a function of the index (torchvision.datasets.FakeData).

    Parameters
    ----------
    size : the number of samples
    image_size : (channels, height, width)
    num_classes : classes are 0 to num_classes - 1
    random_offset : is added to the index, the seed of a sample

    >>> FakeData(10, (1, 4, 4))[3] == FakeData(10, (1, 4, 4))[3]
    True
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size: int = size
        self.image_size: tuple[int, ...] = tuple(image_size)
        self.num_classes: int = num_classes
        self.random_offset: int = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.size:
            raise IndexError(f"FakeData: index {index} is out of range for {self.size} samples")
        channels, height, width = self.image_size
        count = channels * height * width
        bits = Generator(index + self.random_offset).bits(np, 1 + -(-count // 8))
        pixels = bits[1:].view(np.uint8)[:count].reshape(height, width, channels)
        target = int(bits[0] % np.uint64(self.num_classes))
        return self.apply_transforms(to_pil_image(pixels), target)

    def __len__(self) -> int:
        return self.size
