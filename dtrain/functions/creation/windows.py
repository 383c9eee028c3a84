"""Windows for signals (torch.hann_window, ...)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import get_default_dtype
from dtrain.functions.creation.base import TensorOptions, factory
from dtrain.functions.creation.convert import tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _window(
    weights: Callable[[np.ndarray], np.ndarray], length: int, periodic: bool, options: TensorOptions
) -> Tensor:
    """A tensor of `weights(t)` for t from 0 to 1; a periodic window omits the last value."""
    if length < 0:
        raise RuntimeError(f"expected a window_length of at least 0, got {length}")
    last = length if periodic else length - 1
    positions = np.arange(length) / last if length > 1 else np.full(length, 0.5)
    values = weights(positions) if length != 1 else np.ones(1)
    options["dtype"] = options.get("dtype") or get_default_dtype()
    return tensor(values, **options)


def _cosines(positions: np.ndarray, *factors: float) -> np.ndarray:
    """The sum of factors[k] cos(2 pi k t)."""
    return np.sum([c * np.cos(2 * math.pi * k * positions) for k, c in enumerate(factors)], axis=0)


@factory
def hann_window(
    window_length: int,
    periodic: bool = True,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """A raised cosine (torch.hann_window)."""
    return hamming_window(window_length, periodic, 0.5, 0.5, **options)


@factory
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """alpha - beta * cos(2 pi t) (torch.hamming_window)."""
    return _window(lambda t: _cosines(t, alpha, -beta), window_length, periodic, options)


@factory
def blackman_window(
    window_length: int,
    periodic: bool = True,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """0.42 - 0.5 * cos(2 pi t) + 0.08 * cos(4 pi t) (torch.blackman_window)."""
    return _window(lambda t: _cosines(t, 0.42, -0.5, 0.08), window_length, periodic, options)


@factory
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """A triangle (torch.bartlett_window)."""
    return _window(lambda t: 1 - np.abs(2 * t - 1), window_length, periodic, options)


@factory
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """i0(beta * sqrt(1 - (2 t - 1) ** 2)) / i0(beta) (torch.kaiser_window)."""
    return _window(
        lambda t: np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta),
        window_length,
        periodic,
        options,
    )
