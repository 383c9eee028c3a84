"""`ArrayDataset`, the base of `MNIST` and `CIFAR10`: pictures that are read into one array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dtrain.autograd import Tensor
from dtrain.vision.datasets.vision import Transform, VisionDataset
from dtrain.vision.pictures import load_pillow


class ArrayDataset(VisionDataset):
    """A training or test set; a subclass reads `data`, `targets` and `classes`."""

    data: Any  # (n, H, W) or (n, H, W, 3) uint8
    targets: Any  # n numbers of classes
    classes: list[str]

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train: bool = train
        self._folder = Path(root).expanduser()
        self._read_files()

    def _read_files(self) -> None:
        """Set `data` and `targets`, and `classes` unless the class has them."""
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        data, targets = self.data, self.targets  # an element of a tensor takes longer to make
        pixels = data.array[index] if isinstance(data, Tensor) else data[index]
        target = targets.array.item(index) if isinstance(targets, Tensor) else targets[index]
        return self.apply_transforms(load_pillow().fromarray(pixels), target)

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split it is."""
        return f"Split: {'Train' if self.train else 'Test'}"
