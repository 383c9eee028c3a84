"""`VisionDataset`, the base of datasets of (picture, target)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtrain.data import Dataset

Transform = Callable[[Any], Any]


class VisionDataset(Dataset[Any]):
    """Pictures and targets of a folder, with their transforms (torchvision.datasets.VisionDataset).

    Parameters
    ----------
    root : the folder
    transforms : takes (picture, target) and returns both; instead of the other two
    transform, target_transform : take a picture, and a target
    """

    def __init__(
        self,
        root: str | Path | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(
                f"{type(self).__name__}: expected either transforms, or transform and "
                "target_transform"
            )
        for name, function in (("transform", transform), ("target_transform", target_transform)):
            if function is not None and not callable(function):
                raise TypeError(
                    f"{type(self).__name__}: expected {name} to be a function, got {function!r}"
                )
        self.root: str | Path | None = root
        self.transforms: Callable[[Any, Any], tuple[Any, Any]] | None = transforms
        self.transform: Transform | None = transform
        self.target_transform: Transform | None = target_transform

    def apply_transforms(self, picture: Any, target: Any) -> tuple[Any, Any]:
        """Apply the transforms to a sample."""
        if self.transforms is not None:
            return self.transforms(picture, target)
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def extra_repr(self) -> str:
        """Further lines of `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        for name in ("transforms", "transform", "target_transform"):
            function = getattr(self, name)
            if function is not None:
                first, *others = repr(function).splitlines()
                lines += [f"{name}: {first}", *others]
        return "\n".join([f"Dataset {type(self).__name__}", *(f"    {line}" for line in lines)])
