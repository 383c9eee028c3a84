"""Fuse batch normalization in eval mode into the layer before it."""

from __future__ import annotations

import copy
from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.functions.creation import ones_like, zeros_like
from dtrain.nn.parameter import Parameter


@no_grad
def _fused(
    weight: Tensor, bias: Tensor | None, norm: Any, channel_axis: int
) -> tuple[Parameter, Parameter]:
    mean, var, eps, scale, shift = norm
    factor = (var + eps).rsqrt() * (ones_like(mean) if scale is None else scale)
    shape = [1] * weight.ndim
    shape[channel_axis] = -1
    bias = zeros_like(mean) if bias is None else bias
    shift = zeros_like(mean) if shift is None else shift
    return (
        Parameter((weight * factor.reshape(shape)).to(weight.dtype), weight.requires_grad),
        Parameter(((bias - mean) * factor + shift).to(weight.dtype), bias.requires_grad),
    )


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a convolution fused with the batch normalization after it
    (torch.nn.utils.fuse_conv_bn_weights)."""
    return _fused(conv_w, conv_b, (bn_rm, bn_rv, bn_eps, bn_w, bn_b), int(transpose))


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a Linear fused with the batch normalization after it
    (torch.nn.utils.fuse_linear_bn_weights)."""
    return _fused(linear_w, linear_b, (bn_rm, bn_rv, bn_eps, bn_w, bn_b), 0)


def _fuse(layer: Any, bn: Any, channel_axis: int) -> Any:
    if layer.training or bn.training:
        raise AssertionError("fusion: expected both modules in eval mode; call .eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("fusion: the batch normalization has no running statistics")
    fused = copy.deepcopy(layer)
    norm = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    fused.weight, fused.bias = _fused(fused.weight, fused.bias, norm, channel_axis)
    return fused


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """Return a convolution that computes bn(conv(x)) in eval mode
    (torch.nn.utils.fuse_conv_bn_eval).

    >>> import dtrain
    >>> conv, bn = dtrain.nn.Conv2d(3, 4, 3).eval(), dtrain.nn.BatchNorm2d(4).eval()
    >>> x = dtrain.randn(2, 3, 5, 5)
    >>> dtrain.allclose(fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    return _fuse(conv, bn, int(transpose))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """Return a Linear that computes bn(linear(x)) in eval mode
    (torch.nn.utils.fuse_linear_bn_eval)."""
    return _fuse(linear, bn, 0)
