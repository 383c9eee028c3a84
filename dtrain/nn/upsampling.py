"""Resizing of sequences, images and volumes as layers."""

from __future__ import annotations

from typing import Any

from dtrain.nn import functional as F
from dtrain.nn.function_layer import UnaryLayer


class Upsample(UnaryLayer, function=F.interpolate):
    """Resize to `size` or by `scale_factor`, see `interpolate` (torch.nn.Upsample).

    Shape: (n, c, *sizes) to (n, c, *output sizes), with one, two or three sizes.

    >>> import dtrain
    >>> Upsample(scale_factor=2)(dtrain.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        if isinstance(scale_factor, tuple):
            scale_factor = tuple(map(float, scale_factor))
        elif scale_factor:
            scale_factor = float(scale_factor)
        super().__init__(
            size=size,
            scale_factor=scale_factor,
            mode=mode,
            align_corners=align_corners,
            recompute_scale_factor=recompute_scale_factor,
        )
        self.name: str = type(self).__name__

    def extra_repr(self) -> str:
        return self._format("size" if self.scale_factor is None else "scale_factor", "mode")


class UpsamplingNearest2d(Upsample):
    """Upsample of images with mode "nearest" (torch.nn.UpsamplingNearest2d)."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Upsample of images, bilinear with align_corners=True (torch.nn.UpsamplingBilinear2d)."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
