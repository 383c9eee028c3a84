"""Transforms of transforms: `Compose`, `Lambda`, `RandomApply`, `RandomChoice`, `RandomOrder`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.vision.transforms.transform import (
    Transform,
    check_probability,
    draw_order,
    draw_uniforms,
    happens,
)


class Compose:
    """One transform after another (torchvision.transforms.Compose).

    >>> Compose([abs, float])(-2)
    2.0
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        _require_callables(transforms, "Compose")
        self.transforms: Sequence[Callable[[Any], Any]] = transforms

    def __call__(self, img: Any) -> Any:
        """The result of all transforms."""
        return _apply_all(self.transforms, img)

    def __repr__(self) -> str:
        return _list_transforms(self)


class Lambda:
    """A function as a transform (torchvision.transforms.Lambda)."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {lambd!r}")
        self.lambd: Callable[[Any], Any] = lambd

    def __call__(self, img: Any) -> Any:
        """The function's result."""
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _OfSeveral(Transform):
    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        super().__init__()
        _require_callables(transforms, type(self).__name__)
        self.transforms: Sequence[Callable[[Any], Any]] = transforms

    def __repr__(self) -> str:
        return _list_transforms(self)


class RandomApply(_OfSeveral):
    """All transforms, with probability `p` (torchvision.transforms.RandomApply)."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p: float = check_probability(p, self)

    def forward(self, img: Any) -> Any:
        """The image, transformed or as it is."""
        return _apply_all(self.transforms, img) if happens(self.p) else img


class RandomChoice(_OfSeveral):
    """One of the transforms (torchvision.transforms.RandomChoice).

    Parameters
    ----------
    p : how likely each of them is; equally by default
    """

    def __init__(
        self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None
    ) -> None:
        super().__init__(transforms)
        if p is not None and (len(p) != len(transforms) or min(p) < 0 or not sum(p)):
            raise ValueError(
                f"RandomChoice: expected {len(transforms)} weights >= 0, one a transform, got {p}"
            )
        self.p: Sequence[float] | None = p

    def forward(self, img: Any) -> Any:
        """The result of one of the transforms."""
        ends = np.cumsum([1.0] * len(self.transforms) if self.p is None else self.p)
        chosen = int(np.searchsorted(ends, draw_uniforms(1)[0] * ends[-1], side="right"))
        return self.transforms[chosen](img)


class RandomOrder(_OfSeveral):
    """All transforms in random order (torchvision.transforms.RandomOrder)."""

    def forward(self, img: Any) -> Any:
        """The result of all transforms."""
        for number in draw_order(len(self.transforms)):
            img = self.transforms[number](img)
        return img


def _apply_all(transforms: Sequence[Callable[[Any], Any]], img: Any) -> Any:
    for transform in transforms:
        img = transform(img)
    return img


def _list_transforms(composed: Compose | _OfSeveral) -> str:
    lines = [f"    {transform}" for transform in composed.transforms]
    return "\n".join([f"{type(composed).__name__}(", *lines, ")"])


def _require_callables(transforms: Any, kind: str) -> None:
    try:
        given = list(transforms)
    except TypeError:
        raise TypeError(f"{kind}: expected a list of transforms, got {transforms!r}") from None
    for transform in given:
        if not callable(transform):
            raise TypeError(f"{kind}: expected transforms, which are callable, got {transform!r}")
    if not given and kind == "RandomChoice":
        raise ValueError("RandomChoice: expected at least one transform, got none")
