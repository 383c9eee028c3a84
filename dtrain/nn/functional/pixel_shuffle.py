"""Rearrangements of channels: pixel_shuffle, pixel_unshuffle, channel_shuffle, as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor


def _require(name: str, input: Tensor, holds: bool, expected: str) -> None:
    if not holds:
        raise RuntimeError(f"{name}: expected {expected}, got {input.shape}")


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Move channels into pixels: (..., c r^2, h, w) to (..., c, h r, w r), r = upscale_factor
    (torch.nn.functional.pixel_shuffle; Shi et al. 2016).
    """
    r = upscale_factor
    if r < 1:
        raise RuntimeError(f"pixel_shuffle: expected an upscale_factor above 0, got {r}")
    fits = input.ndim > 2 and input.shape[-3] % r**2 == 0
    _require("pixel_shuffle", input, fits, f"(..., c, h, w) where {r**2} divides c")
    *lead, channels, h, w = input.shape
    parts = input.reshape(*lead, channels // r**2, r, r, h, w)
    pixels = parts.movedim((-4, -3), (-3, -1))  # (..., c, h, r, w, r)
    return pixels.reshape(*lead, channels // r**2, h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Move pixels into channels: (..., c, h r, w r) to (..., c r^2, h, w), the inverse of
    pixel_shuffle (torch.nn.functional.pixel_unshuffle).
    """
    r = downscale_factor
    if r < 1:
        raise RuntimeError(f"pixel_unshuffle: expected a downscale_factor above 0, got {r}")
    fits = input.ndim > 2 and input.shape[-2] % r == 0 == input.shape[-1] % r
    _require("pixel_unshuffle", input, fits, f"(..., c, h, w) where {r} divides h and w")
    *lead, channels, h, w = input.shape
    parts = input.reshape(*lead, channels, h // r, r, w // r, r)
    return parts.movedim((-3, -1), (-4, -3)).reshape(*lead, channels * r**2, h // r, w // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups; input (n, c, ...): channel j of group i becomes
    channel j * groups + i (torch.nn.functional.channel_shuffle; Zhang et al. 2018).
    """
    if groups < 1:
        raise RuntimeError(f"channel_shuffle: expected groups above 0, got {groups}")
    fits = input.ndim > 2 and input.shape[1] % groups == 0
    _require("channel_shuffle", input, fits, f"(n, c, ...) where {groups} divides c")
    n, channels, *space = input.shape
    return input.reshape(n, groups, channels // groups, *space).transpose(1, 2).reshape(input.shape)
