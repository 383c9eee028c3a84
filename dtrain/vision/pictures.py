"""Pillow, imported with the first picture that is read or made, and checks of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtrain.autograd import Tensor
from dtrain.backend.optional_packages import import_optional

if TYPE_CHECKING:
    import PIL.Image
    from typing_extensions import TypeIs


def load_pillow() -> Any:
    """The module PIL.Image."""
    return import_optional("PIL.Image", "pillow", "vision", "pictures need")


def is_picture(value: Any) -> TypeIs[PIL.Image.Image]:
    """Whether a value is one of Pillow's images."""
    return hasattr(value, "getbands") and isinstance(value, load_pillow().Image)


def require_image(value: Any, function: str) -> None:
    """Refuse a value that is neither a PIL image nor a tensor (..., H, W)."""
    if isinstance(value, Tensor):
        if value.ndim < 2:
            raise TypeError(
                f"{function}: expected a tensor of shape (..., H, W), got shape "
                f"{tuple(value.shape)}"
            )
    elif not is_picture(value):
        raise TypeError(
            f"{function}: expected a PIL image or a tensor (..., H, W), got {describe(value)}"
        )


def require_picture(value: Any, function: str) -> None:
    """Refuse anything but a PIL image, for operations that tensors do not have."""
    if isinstance(value, Tensor):
        raise TypeError(
            f"{function}: expected a PIL image, got a tensor of shape {tuple(value.shape)}: put "
            "this transform before ToTensor, or convert by to_pil_image"
        )
    require_image(value, function)


def describe(value: Any) -> str:
    """The type of a value, with the shape where it has one."""
    shape = getattr(value, "shape", None)
    kind = f"a {type(value).__name__}"
    return kind if shape is None else f"{kind} of shape {tuple(shape)}"
