"""`DatasetFolder` and `ImageFolder`: a folder with a folder of files for each class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dtrain.errors import DataError, MissingModuleError
from dtrain.vision.datasets.vision import Transform, VisionDataset
from dtrain.vision.pictures import load_pillow

#: the ends of names of files that ImageFolder takes
IMG_EXTENSIONS: tuple[str, ...] = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def pil_loader(path: str) -> Any:
    """A file's picture in RGB (torchvision.datasets.folder.pil_loader)."""
    with open(path, "rb") as file:
        return load_pillow().open(file).convert("RGB")


#: the function that ImageFolder reads files with
default_loader: Callable[[str], Any] = pil_loader


def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
    """The sorted names of the folders in `directory`, and their numbers (torchvision's).

    Raises
    ------
    FileNotFoundError
        If there is no folder in it, or `directory` is none.
    """
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"{directory}: is not a folder; expected one folder a class in it")
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(
            f"{directory}: has no folders; expected one folder a class, as {directory}/cat/1.jpg"
        )
    return classes, {name: number for number, name in enumerate(classes)}


def make_dataset(
    directory: str | Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | Sequence[str] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """The sorted files of each class as (path, class) (torchvision's make_dataset).

    Parameters
    ----------
    extensions : the ends of the names of files that are taken, in any case
    is_valid_file : whether the file of a path is taken, instead of `extensions`
    allow_empty : take classes without a file, which are refused otherwise

    Raises
    ------
    FileNotFoundError
        If a class has no file, or a class folder is missing; names the classes.
    """
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("make_dataset: expected either extensions or is_valid_file")
    ends = (extensions,) if isinstance(extensions, str) else tuple(extensions or ())
    lower = tuple(end.lower() for end in ends)
    takes = is_valid_file or (lambda path: path.lower().endswith(lower))
    directory = os.path.expanduser(directory)
    numbers = find_classes(directory)[1] if class_to_idx is None else class_to_idx
    found = {name: _list_files(os.path.join(directory, name), takes) for name in sorted(numbers)}
    empty = [name for name, paths in found.items() if not paths]
    if empty and not allow_empty:
        wanted = f" that ends in {', '.join(ends)}" if ends else " that is_valid_file takes"
        raise FileNotFoundError(
            f"{directory}: the classes {', '.join(empty)} have no file{wanted}; add files, remove "
            "the folders, or allow_empty=True"
        )
    return [(path, numbers[name]) for name, paths in found.items() for path in paths]


def _list_files(folder: str, takes: Callable[[str], bool]) -> list[str]:
    return [
        path
        for root, _, names in sorted(os.walk(folder, followlinks=True))
        for name in sorted(names)
        if takes(path := os.path.join(root, name))
    ]


class DatasetFolder(VisionDataset):
    """The files of class folders, by a loader (torchvision.datasets.DatasetFolder).

    Classes and files are sorted, so that all ranks have the same samples.

    Parameters
    ----------
    root : has one folder a class
    loader : makes a sample of a path
    extensions, is_valid_file, allow_empty : which files are taken, as in `make_dataset`
    transform, target_transform : take a sample, and a class's number
    on_error : what to do with a file that the loader cannot read. "raise": DataError with its
        path; "skip": warn with its path, and take the next readable file instead

    Attributes
    ----------
    classes : list of str
    class_to_idx : dict of str to int
    samples : list of (path, class)
    targets : list of int
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: str | Sequence[str] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        on_error: str = "raise",
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if on_error not in ("raise", "skip"):
            raise ValueError(
                f"{type(self).__name__}: expected on_error 'raise' or 'skip', got {on_error!r}"
            )
        self.classes: list[str]
        self.class_to_idx: dict[str, int]
        self.classes, self.class_to_idx = self.find_classes(os.path.expanduser(root))
        self.loader: Callable[[str], Any] = loader
        self.extensions: str | Sequence[str] | None = extensions
        self.on_error: str = on_error
        self.samples: list[tuple[str, int]] = self.make_dataset(
            root, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.targets: list[int] = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: str | Path,
        class_to_idx: dict[str, int],
        extensions: str | Sequence[str] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """The samples; a subclass may list them otherwise."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """The classes; a subclass may name them otherwise."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.apply_transforms(*self._read(index))

    def _read(self, index: int) -> tuple[Any, int]:
        for number in range(index, index + len(self.samples)):
            path, target = self.samples[number % len(self.samples) if number != index else index]
            try:
                return self.loader(path), target
            except MissingModuleError:  # no file is at fault
                raise
            except Exception as reason:
                problem = f"{path}: cannot be read: {type(reason).__name__}: {reason}"
                if self.on_error == "raise":
                    raise DataError(
                        f"{problem}; repair or remove the file, or on_error='skip'"
                    ) from reason
                warnings.warn(f"{problem}; the next file takes its place", stacklevel=3)
        raise DataError(f"{self.root}: none of its {len(self.samples)} files can be read")

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """The pictures of class folders, in RGB (torchvision.datasets.ImageFolder).

    Parameters
    ----------
    root : has one folder a class, as root/cat/1.jpg
    others : as in `DatasetFolder`

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("cat", "dog"):
    ...         Path(root, name).mkdir()
    ...         Image.new("L", (4, 3)).save(Path(root, name, "1.png"))
    ...     data = ImageFolder(root)
    ...     data.classes, data[1]
    (['cat', 'dog'], (<PIL.Image.Image image mode=RGB size=4x3 at 0x...>, 1))
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        on_error: str = "raise",
    ) -> None:
        super().__init__(
            root,
            loader,
            IMG_EXTENSIONS if is_valid_file is None else None,
            transform,
            target_transform,
            is_valid_file,
            allow_empty,
            on_error=on_error,
        )
        self.imgs: list[tuple[str, int]] = self.samples
