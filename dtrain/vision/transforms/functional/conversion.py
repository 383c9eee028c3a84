"""Between Pillow's images, NumPy arrays (H, W, C) and tensors (C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module, to_host
from dtrain.backend.dtypes import get_default_dtype, is_floating
from dtrain.functions.creation import from_numpy
from dtrain.vision.pictures import describe, is_picture, load_pillow, require_image

#: Pillow's modes of one number a pixel, of another dtype than uint8.
_WIDE: dict[str, np.dtype] = {
    "I": np.dtype(np.int32),
    "I;16": np.dtype("<i2"),
    "F": np.dtype(np.float32),
}


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width] (torchvision's get_dimensions)."""
    require_image(img, "get_dimensions")
    if isinstance(img, Tensor):
        return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img: Any) -> list[int]:
    """[width, height] (torchvision's get_image_size)."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """The number of channels (torchvision's get_image_num_channels)."""
    return get_dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A picture, or an array (H, W) or (H, W, C), as a tensor (C, H, W) (torchvision's to_tensor).

    Elements of uint8 become floats from 0 to 1, those of other dtypes stay.

    >>> import numpy as np
    >>> to_tensor(np.full((2, 2, 1), 51, np.uint8)).tolist()
    [[[0.20000000298023224, 0.20000000298023224], [0.20000000298023224, 0.20000000298023224]]]
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(
                f"to_tensor: expected an array (H, W) or (H, W, C), got shape {pic.shape}"
            )
        pixels = pic[:, :, None] if pic.ndim == 2 else pic
    elif is_picture(pic):
        pixels = _pixels(pic)
    else:
        raise TypeError(f"to_tensor: expected a PIL image or a NumPy array, got {describe(pic)}")
    channels_first = pixels.transpose(2, 0, 1)
    if pixels.dtype == np.uint8:
        dtype = get_default_dtype()
        return from_numpy(np.divide(channels_first, dtype.type(255), dtype=dtype, order="C"))
    return from_numpy(np.array(channels_first, order="C"))


def pil_to_tensor(pic: Any) -> Tensor:
    """A picture as a tensor (C, H, W) of its own dtype (torchvision's pil_to_tensor)."""
    if not is_picture(pic):
        raise TypeError(f"pil_to_tensor: expected a PIL image, got {describe(pic)}")
    pixels = np.asarray(pic)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))


def _pixels(pic: Any) -> np.ndarray:
    """The elements (H, W, C) of a picture, as to_tensor takes them."""
    pixels = np.asarray(pic)
    pixels = pixels.astype(_WIDE.get(pic.mode, pixels.dtype), copy=False)
    if pic.mode == "1":
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


#: for each number of channels: the mode without `mode=`, and the others that it may name
_MODES: dict[int, tuple[str, ...]] = {
    1: ("L", "1", "P"), 2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")
}  # fmt: skip
_ONE_CHANNEL = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or an array (H, W, C) as a picture (torchvision's to_pil_image).

    Floats from 0 to 1 become uint8, rounded down.

    Parameters
    ----------
    pic : of 1 to 4 channels; or (H, W)
    mode : Pillow's mode; by default L, LA, RGB or RGBA, and for one channel by the dtype
    """
    pixels = _pixels_of(pic)
    channels = pixels.shape[2]
    if channels == 1:
        pixels = pixels[:, :, 0]
        natural = _ONE_CHANNEL.get(pixels.dtype.name)
        allowed = (natural, *(_MODES[1][1:] if natural == "L" else ()))
    else:
        natural, allowed = (_MODES[channels][0], _MODES[channels])
        natural = natural if pixels.dtype == np.uint8 else None
    if natural is None:
        raise TypeError(f"to_pil_image: no picture has {channels} channels of {pixels.dtype}")
    if mode is not None and mode not in allowed:
        raise ValueError(
            f"to_pil_image: expected mode {', '.join(map(str, allowed))} for {channels} channels "
            f"of {pixels.dtype}, got {mode!r}"
        )
    chosen = natural if mode is None else mode
    return load_pillow().frombytes(chosen, pixels.shape[1::-1], _bytes_of(pixels, chosen))


def _bytes_of(pixels: np.ndarray, mode: str) -> bytes:
    return (np.packbits(pixels != 0, axis=1) if mode == "1" else pixels).tobytes()


def _pixels_of(pic: Any) -> np.ndarray:
    """The elements (H, W, C) of a tensor or an array."""
    if isinstance(pic, Tensor):
        pixels = to_host(pic.detach().array)
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        if pixels.ndim != 3:
            raise ValueError(f"to_pil_image: expected 2 or 3 dimensions, got {pixels.ndim}")
        if is_floating(pixels.dtype):
            pixels = (pixels * pixels.dtype.type(255)).astype(np.uint8)
        pixels = pixels.transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        pixels = pic[:, :, None] if pic.ndim == 2 else pic
        if pixels.ndim != 3:
            raise ValueError(f"to_pil_image: expected 2 or 3 dimensions, got {pic.ndim}")
    else:
        raise TypeError(f"to_pil_image: expected a tensor or a NumPy array, got {describe(pic)}")
    if not 1 <= pixels.shape[2] <= 4:
        raise ValueError(
            f"to_pil_image: expected 1 to 4 channels, got {pixels.shape[2]}: a tensor is "
            "(C, H, W), an array (H, W, C)"
        )
    return pixels


def convert_image_dtype(image: Tensor, dtype: Any = None) -> Tensor:
    """Convert a tensor, floats being from 0 to 1 (torchvision's convert_image_dtype).

    Between integers the bits are shifted, from floats to integers [0, 1] is cut into equal parts.
    """
    source, target = image.dtype, np.dtype(get_default_dtype() if dtype is None else dtype)
    if source == target:
        return image
    if is_floating(source):
        if is_floating(target):
            return image.to(target)
        narrow = source == np.float32 and target.itemsize >= 4
        if narrow or (source == np.float64 and target.itemsize == 8 and target.kind in "iu"):
            raise RuntimeError(
                f"convert_image_dtype: {source} cannot be converted to {target}: it does not hold "
                "all of its integers"
            )
        largest = float(np.iinfo(target).max)
        return (image * (largest + 1.0 - 1e-3)).to(target)
    top = np.iinfo(source).max
    if is_floating(target):
        return image.to(target) / top
    other = np.iinfo(target).max
    if top > other:
        return wrap((image.array // ((top + 1) // (other + 1))).astype(target))
    return image.to(target) * ((other + 1) // (top + 1))


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """(tensor - mean) / std for each channel of (..., C, H, W) (torchvision's normalize)."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"normalize: expected a tensor, got {describe(tensor)}: put ToTensor before it"
        )
    if not is_floating(tensor.dtype):
        raise TypeError(
            f"normalize: expected a tensor of floats, got {tensor.dtype}: ToTensor or "
            "ConvertImageDtype make them"
        )
    if tensor.ndim < 3:
        raise ValueError(
            f"normalize: expected a tensor (..., C, H, W), got shape {tuple(tensor.shape)}"
        )
    xp = array_module(tensor.array)
    shift, scale = (
        wrap(xp.asarray(getattr(values, "array", values), tensor.dtype)) for values in (mean, std)
    )
    for name, values in (("mean", shift), ("std", scale)):
        if values.ndim > 1 or (values.numel() not in (1, tensor.shape[-3])):
            raise ValueError(
                f"normalize: expected a {name} of {tensor.shape[-3]} channels, got "
                f"{values.numel()} numbers"
            )
    if bool((scale.array == 0).any()):
        raise ValueError(f"normalize: std is 0 for {tensor.dtype}, which would divide by zero")
    shift = shift.reshape(-1, 1, 1)
    centered = tensor.sub_(shift) if inplace else tensor - shift
    return centered.div_(scale.reshape(-1, 1, 1))
