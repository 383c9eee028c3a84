"""Dropout, of elements and of channels, as functions; without `training` they return the input."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module, default_generator, kernels
from dtrain.nn.functional.activations import SELU_ALPHA, SELU_SCALE, choose_form
from dtrain.primitives import dropout as primitives

#: The absolute value of SELU's limit at minus infinity.
_SATURATED = SELU_ALPHA * SELU_SCALE


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: expected a probability between 0 and 1, got {p}")


def _mask_out(input: Tensor, p: float, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    """Zero elements by a random mask of this shape, broadcast; scale the rest by 1 / (1 - p)."""
    if kernels.computes_dropout(input.array) and shape == input.shape:
        key = default_generator().draw_key()
        return choose_form(inplace, primitives.keyed_dropout)(input, p=p, random_key=key)
    mask = primitives.dropout_mask(input.array, p, shape)
    return choose_form(inplace, primitives.dropout)(input, mask=mask)


def _channel_mask_shape(input: Tensor, channels_at: int) -> tuple[int, ...]:
    """The shape of a mask with one element for each channel of each sample."""
    kept = channels_at + 1
    return (*input.shape[:kept], *(1,) * (input.ndim - kept))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p, scale the rest by 1 / (1 - p)
    (torch.nn.functional.dropout; Srivastava et al. 2014).

    The mask depends on (seed, step, microbatch, call), not on the number of ranks.
    """
    _check_probability("dropout", p)
    return _mask_out(input, p, inplace, input.shape) if training and p else input


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels; input (n, c, l) or (c, l) (torch.nn.functional.dropout1d)."""
    _check_probability("dropout1d", p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected (n, c, l) or (c, l), got {input.shape}")
    shape = _channel_mask_shape(input, input.ndim - 2)
    return _mask_out(input, p, inplace, shape) if training and p else input


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels (torch.nn.functional.dropout2d; Tompson et al. 2015).

    input: (n, c, h, w); as in PyTorch, an input of three dimensions is (n, c, l).
    """
    _check_probability("dropout2d", p)
    if input.ndim < 2:
        raise RuntimeError(f"dropout2d: expected (n, c, h, w), got {input.shape}")
    return _mask_out(input, p, inplace, _channel_mask_shape(input, 1)) if training and p else input


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels; input (n, c, d, h, w) or (c, d, h, w)
    (torch.nn.functional.dropout3d).
    """
    _check_probability("dropout3d", p)
    if not input.ndim:
        raise RuntimeError("dropout3d: expected (n, c, d, h, w), got a 0-d tensor")
    shape = _channel_mask_shape(input, int(input.ndim == 5))
    return _mask_out(input, p, inplace, shape) if training and p else input


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """dropout that keeps the mean and variance of SELU's outputs
    (torch.nn.functional.alpha_dropout; Klambauer et al. 2017).
    """
    _check_probability("alpha_dropout", p)
    return _alpha_mask_out(input, p, inplace, input.shape) if training and p else input


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """alpha_dropout of whole channels; input (n, c, ...)
    (torch.nn.functional.feature_alpha_dropout).
    """
    _check_probability("feature_alpha_dropout", p)
    if not training or not p:
        return input
    if input.ndim < 2:
        raise RuntimeError(f"feature_alpha_dropout: expected (n, c, ...), got {input.shape}")
    return _alpha_mask_out(input, p, inplace, _channel_mask_shape(input, 1))


def _alpha_mask_out(input: Tensor, p: float, inplace: bool, shape: tuple[int, ...]) -> Tensor:
    xp = array_module(input.array)
    kept = primitives.dropout_mask(input.array, p, shape) > 0
    scale = ((_SATURATED**2 * p + 1) * (1 - p)) ** -0.5 if p < 1 else 0.0
    mask = xp.asarray(xp.where(kept, scale, 0), input.dtype)
    shift = xp.where(kept, p, p - 1) * (_SATURATED * scale)

    def alpha_dropout(input: Tensor) -> Tensor:
        return primitives.dropout(input, mask=mask) + wrap(xp.asarray(shift, input.dtype))

    return choose_form(inplace, alpha_dropout)(input)
