"""`MNIST` and `FashionMNIST`, from IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from dtrain.autograd import Tensor
from dtrain.data import read_idx_folder
from dtrain.errors import DataError
from dtrain.functions.creation import from_numpy
from dtrain.vision.datasets.vision import Transform, VisionDataset
from dtrain.vision.pictures import load_pillow


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 pictures of 28 x 28 pixels, 10,000 for testing (MNIST).

    Parameters
    ----------
    root : has the four IDX files, as torchvision keeps them in root/MNIST/raw, or directly; with
        or without .gz
    train : the training or the test set
    transform, target_transform : take a picture (mode L), and a class's number
    download : only for PyTorch's sake: nothing is downloaded, missing files are an error either way

    Attributes
    ----------
    data : Tensor (n, 28, 28) uint8
    targets : Tensor (n,) int64
    """

    classes: ClassVar[list[str]] = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

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
        folder = self._find_folder(Path(root).expanduser())
        images, labels = read_idx_folder(folder, "train" if train else "test", len(self.classes))
        self.data: Tensor = from_numpy(images)
        self.targets: Tensor = from_numpy(labels)
        self._labels: list[int] = labels.tolist()

    def _find_folder(self, root: Path) -> Path:
        """Where the files are: of torchvision's folders, or `root` itself."""
        name = type(self).__name__
        places = [root / name / "raw", root / name, root]
        for place in places:
            if any(place.glob("*-ubyte*")):
                return place
        raise DataError(
            f"{name}: no IDX files in {', '.join(map(str, places))}, and nothing is downloaded: "
            "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            f"t10k-labels-idx1-ubyte, with or without .gz, into {places[0]}"
        )

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture = load_pillow().fromarray(self.data.array[index])
        return self.apply_transforms(picture, self._labels[index])

    def __len__(self) -> int:
        return len(self._labels)

    def extra_repr(self) -> str:
        """Which split it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Pictures of clothes, in the form of `MNIST` (torchvision.datasets.FashionMNIST)."""

    classes: ClassVar[list[str]] = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip
