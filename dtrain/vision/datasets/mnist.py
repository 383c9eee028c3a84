"""`MNIST` and `FashionMNIST`, from IDX files."""

from __future__ import annotations

from pathlib import Path

from dtrain.autograd import Tensor
from dtrain.data import read_idx_folder
from dtrain.errors import DataError
from dtrain.functions.creation import from_numpy
from dtrain.vision.datasets.arrays import ArrayDataset


class MNIST(ArrayDataset):
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

    classes: list[str] = [  # noqa: RUF012  torchvision has a list there
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    data: Tensor
    targets: Tensor

    def _read_files(self) -> None:
        split = "train" if self.train else "test"
        images, labels = read_idx_folder(self._find_folder(), split, len(self.classes))
        self.data = from_numpy(images)
        self.targets = from_numpy(labels)

    def _find_folder(self) -> Path:
        """Where the files are: one of torchvision's folders, or `root` itself."""
        name, root = type(self).__name__, self._folder
        places = [root / name / "raw", root / name, root]
        for place in places:
            if any(place.glob("*-ubyte*")):
                return place
        raise DataError(
            f"{name}: no IDX files in {', '.join(map(str, places))}, and nothing is downloaded: "
            "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            f"t10k-labels-idx1-ubyte, with or without .gz, into {places[0]}"
        )


class FashionMNIST(MNIST):
    """Pictures of clothes, in the form of `MNIST` (torchvision.datasets.FashionMNIST)."""

    classes: list[str] = [  # noqa: RUF012  torchvision has a list there
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip
