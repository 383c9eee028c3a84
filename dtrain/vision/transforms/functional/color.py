"""Brightness, contrast, saturation, hue, gamma, gray: of PIL images, and many of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.creation import zeros_like
from dtrain.functions.indexing import where
from dtrain.vision.pictures import load_pillow, require_image, require_picture
from dtrain.vision.transforms.functional.conversion import convert_image_dtype


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Multiply by a factor; 0 gives black (torchvision's adjust_brightness)."""
    _check(img, "adjust_brightness", brightness_factor)
    if isinstance(img, Tensor):
        return _blend(img, zeros_like(img), brightness_factor)
    return _enhance(img, "Brightness", brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Spread the values about the mean gray; 0 gives gray (torchvision's adjust_contrast)."""
    _check(img, "adjust_contrast", contrast_factor)
    if not isinstance(img, Tensor):
        return _enhance(img, "Contrast", contrast_factor)
    gray = rgb_to_grayscale(img) if img.shape[-3] == 3 else img
    gray = gray if is_floating(img.dtype) else gray.to(np.float32)
    return _blend(img, gray.mean((-3, -2, -1), keepdim=True), contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Spread the colors about gray; 0 gives a gray picture (torchvision's adjust_saturation)."""
    _check(img, "adjust_saturation", saturation_factor)
    if not isinstance(img, Tensor):
        return _enhance(img, "Color", saturation_factor)
    if img.shape[-3] == 1:
        return img
    return _blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Below 1 blur, above 1 sharpen (torchvision's adjust_sharpness, of PIL images)."""
    require_picture(img, "adjust_sharpness")
    _check(img, "adjust_sharpness", sharpness_factor)
    return _enhance(img, "Sharpness", sharpness_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn the colors by a part, from -0.5 to 0.5, of the circle (torchvision's adjust_hue).

    Of PIL images.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: expected hue_factor from -0.5 to 0.5, got {hue_factor}")
    require_picture(img, "adjust_hue")
    if img.mode in ("L", "1", "I", "F"):
        return img
    image = load_pillow()
    hue, saturation, value = img.convert("HSV").split()
    shift = np.uint8(int(hue_factor * 255) % 256)
    turned = image.fromarray(np.asarray(hue) + shift)  # uint8 wraps around, as the circle does
    return image.merge("HSV", (turned, saturation, value)).convert(img.mode)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * x ** gamma for values from 0 to 1 (torchvision's adjust_gamma)."""
    _check(img, "adjust_gamma", gamma)
    if isinstance(img, Tensor):
        values = img if is_floating(img.dtype) else convert_image_dtype(img, np.float32)
        return convert_image_dtype((gain * values**gamma).clamp(0, 1), img.dtype)
    table = [int((255 + 1 - 1e-3) * gain * (value / 255.0) ** gamma) for value in range(256)]
    return img.convert("RGB").point(table * 3).convert(img.mode)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The weighted sum of red, green and blue (torchvision's rgb_to_grayscale)."""
    if num_output_channels not in (1, 3):
        raise ValueError(
            f"rgb_to_grayscale: expected 1 or 3 output channels, got {num_output_channels}"
        )
    require_image(img, "rgb_to_grayscale")
    if not isinstance(img, Tensor):
        return to_grayscale(img, num_output_channels)
    _require_channels(img, "rgb_to_grayscale")
    if img.shape[-3] == 3:
        red, green, blue = img.unbind(-3)
        gray = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    else:
        gray = img.clone()
    return gray.expand(img.shape) if num_output_channels == 3 else gray


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A gray picture of 1 or 3 equal channels (torchvision's to_grayscale)."""
    require_picture(img, "to_grayscale")
    if num_output_channels not in (1, 3):
        raise ValueError(
            f"to_grayscale: expected 1 or 3 output channels, got {num_output_channels}"
        )
    gray = img.convert("L")
    return gray if num_output_channels == 1 else load_pillow().merge("RGB", [gray] * 3)


def invert(img: Any) -> Any:
    """The negative (torchvision's invert)."""
    require_image(img, "invert")
    if isinstance(img, Tensor):
        return 1 - img if is_floating(img.dtype) else np.iinfo(img.dtype).max - img
    return _operations().invert(img)


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest `bits` of each value (torchvision's posterize)."""
    require_image(img, "posterize")
    if not 0 <= bits <= 8:
        raise ValueError(f"posterize: expected 0 to 8 bits, got {bits}")
    if not isinstance(img, Tensor):
        return _operations().posterize(img, bits)
    if img.dtype != np.uint8:
        raise TypeError(f"posterize: expected a tensor of uint8, got {img.dtype}")
    return img & (256 - (1 << (8 - bits)))


def solarize(img: Any, threshold: float) -> Any:
    """The negative of the values from `threshold` on (torchvision's solarize)."""
    require_image(img, "solarize")
    if isinstance(img, Tensor):
        return where(img >= threshold, invert(img), img)
    return _operations().solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    """Spread each channel to the whole range (torchvision's autocontrast, of PIL images)."""
    require_picture(img, "autocontrast")
    return _operations().autocontrast(img)


def equalize(img: Any) -> Any:
    """Make all values equally frequent (torchvision's equalize, of PIL images)."""
    require_picture(img, "equalize")
    return _operations().equalize(img)


def _check(img: Any, function: str, factor: float) -> None:
    require_image(img, function)
    if factor < 0:
        raise ValueError(f"{function}: expected a factor >= 0, got {factor}")
    if isinstance(img, Tensor):
        _require_channels(img, function)


def _require_channels(img: Tensor, function: str) -> None:
    if img.ndim < 3 or img.shape[-3] not in (1, 3):
        raise TypeError(
            f"{function}: expected a tensor (..., 1 or 3, H, W), got shape {tuple(img.shape)}"
        )


def _blend(img: Tensor, other: Tensor, ratio: float) -> Tensor:
    """ratio * img + (1 - ratio) * other, kept within the dtype's range of values."""
    largest = 1.0 if is_floating(img.dtype) else float(np.iinfo(img.dtype).max)
    return (ratio * img + (1.0 - ratio) * other).clamp(0, largest).to(img.dtype)


def _enhance(img: Any, kind: str, factor: float) -> Any:
    from PIL import ImageEnhance  # there, for `img` is one of Pillow's

    return getattr(ImageEnhance, kind)(img).enhance(factor)


def _operations() -> Any:
    from PIL import ImageOps

    return ImageOps
