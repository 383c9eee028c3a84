"""Transforms between pictures and tensors: `ToTensor`, `Normalize` and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import get_default_dtype
from dtrain.vision.transforms import functional as F
from dtrain.vision.transforms.transform import Transform


class ToTensor(Transform):
    """A picture or array (H, W, C) as a tensor (C, H, W), uint8 as floats from 0 to 1.

    (torchvision.transforms.ToTensor)

    >>> import numpy as np
    >>> ToTensor()(np.full((1, 1, 3), 255, np.uint8)).flatten()
    tensor([1., 1., 1.])
    """

    def forward(self, pic: Any) -> Tensor:
        """The tensor."""
        return F.to_tensor(pic)


class PILToTensor(Transform):
    """A picture as a tensor (C, H, W) of its own dtype (torchvision.transforms.PILToTensor)."""

    def forward(self, pic: Any) -> Tensor:
        """The tensor."""
        return F.pil_to_tensor(pic)


class ToPILImage(Transform):
    """A tensor (C, H, W) or array (H, W, C) as a picture (torchvision.transforms.ToPILImage)."""

    shown: tuple[str, ...] = ("mode",)

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode: str | None = mode

    def forward(self, pic: Any) -> Any:
        """The picture."""
        return F.to_pil_image(pic, self.mode)


class ConvertImageDtype(Transform):
    """A tensor in another dtype, floats from 0 to 1 (torchvision.transforms.ConvertImageDtype)."""

    shown: tuple[str, ...] = ("dtype",)

    def __init__(self, dtype: Any = None) -> None:
        super().__init__()
        self.dtype: np.dtype = np.dtype(get_default_dtype() if dtype is None else dtype)

    def forward(self, image: Tensor) -> Tensor:
        """The converted tensor."""
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Transform):
    """(x - mean) / std for each channel of a tensor (torchvision.transforms.Normalize).

    >>> import dtrain
    >>> Normalize([0.5], [0.25])(dtrain.ones(1, 1, 1))
    tensor([[[2.]]])
    """

    shown: tuple[str, ...] = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean: Sequence[float] = mean
        self.std: Sequence[float] = std
        self.inplace: bool = inplace

    def forward(self, tensor: Tensor) -> Tensor:
        """The normalized tensor."""
        return F.normalize(tensor, self.mean, self.std, self.inplace)
