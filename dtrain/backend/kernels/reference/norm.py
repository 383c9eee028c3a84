"""Normalization of rows, (rows, n), and of channels, (n, channels, inner)."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.kernels.reference.activation import relu, relu_backward


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each row of x: (rows, n); weight, bias: (n,).

    Returns the output, and for the gradient the mean and 1 / standard deviation, (rows, 1).
    """
    xp = array_module(x)
    mean = x.mean(1, keepdims=True)
    centered = x - mean
    rstd = 1 / xp.sqrt((centered * centered).mean(1, keepdims=True) + eps)
    out = centered * rstd
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, rstd


def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, (rows, n), weight and bias, (n,); mean and rstd: of `layer_norm`."""
    normal = (x - mean) * rstd
    grad_normal = g if weight is None else g * weight
    along = (grad_normal * normal).mean(1, keepdims=True)
    grad_x = (grad_normal - grad_normal.mean(1, keepdims=True) - normal * along) * rstd
    return grad_x, (g * normal).sum(0), g.sum(0)


def add_layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, before: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, added to `before`, of weight and of bias."""
    of_x, of_weight, of_bias = layer_norm_backward(g, x, weight, mean, rstd)
    return before + of_x, of_weight, of_bias


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Divide each row of x, (rows, n), by the root of its mean square; weight: (n,).

    Returns the output, and for the gradient 1 / root, (rows, 1).
    """
    scale = 1 / array_module(x).sqrt((x * x).mean(1, keepdims=True) + eps)
    out = x * scale
    return out if weight is None else out * weight, scale


def rms_norm_backward(
    g: Array, x: Array, weight: Array | None, scale: Array
) -> tuple[Array, Array]:
    """The gradients of x, (rows, n), and weight, (n,); scale: of `rms_norm`."""
    scaled = x * scale
    grad_scaled = g if weight is None else g * weight
    along = (grad_scaled * scaled).mean(1, keepdims=True)
    return (grad_scaled - scaled * along) * scale, (g * scaled).sum(0)


def add_rms_norm_backward(
    g: Array, x: Array, weight: Array | None, scale: Array, before: Array
) -> tuple[Array, Array]:
    """The gradients of x, added to `before`, and of weight."""
    of_x, of_weight = rms_norm_backward(g, x, weight, scale)
    return before + of_x, of_weight


def group_norm(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each group of channels of x: (n, channels, inner); weight, bias: (channels,).

    Returns the output, and for the gradient the mean and 1 / standard deviation, (n * groups, 1).
    """
    out, mean, rstd = layer_norm(_rows_of_groups(x, groups), None, None, eps)
    out = out.reshape(x.shape)
    out = out if weight is None else out * weight[:, None]
    return out if bias is None else out + bias[:, None], mean, rstd


def group_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, groups: int
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias; mean and rstd: of `group_norm`."""
    rows = _rows_of_groups(x, groups)
    normal = ((rows - mean) * rstd).reshape(x.shape)
    grad_normal = g if weight is None else g * weight[:, None]
    grad_rows = _rows_of_groups(grad_normal, groups)
    grad_x = layer_norm_backward(grad_rows, rows, None, mean, rstd)[0].reshape(x.shape)
    return grad_x, (g * normal).sum((0, 2)), g.sum((0, 2))


def _rows_of_groups(x: Array, groups: int) -> Array:
    """(n, channels, inner) as a row for each group of each sample."""
    n, channels, inner = x.shape
    return x.reshape(n * groups, channels // groups * inner)


def channel_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel of x: (n, channels, inner)."""
    mean = x.mean((0, 2))
    centered = x - mean[:, None]
    return mean, (centered * centered).mean((0, 2))


def update_running(
    running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float,
    correction: float, batches: Array | None,
) -> None:  # fmt: skip
    """running = (1 - momentum) * running + momentum * new, in place, for mean and var * correction.

    Arrays (channels,); batches: (), the number of updates, which grows by 1, or None.
    """
    for running, new in ((running_mean, mean), (running_var, var * correction)):
        total = running.astype(float32) if is_half(running.dtype) else running
        total *= 1 - momentum
        total += new.astype(total.dtype, copy=False) * momentum
        if total is not running:
            running[...] = total
    if batches is not None:
        batches += 1


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, running_mean: Array | None,
    running_var: Array | None, batches: Array | None, momentum: float, correction: float,
    eps: float, rectified: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Normalize x, (n, channels, inner), by the statistics of its channels, with which the running
    ones are updated if there are any, and take relu of it if `rectified`.

    Returns the output, and for the gradient the mean and the variance, (channels,).
    """
    mean, var = channel_statistics(x)
    if running_mean is not None and running_var is not None:
        update_running(running_mean, running_var, mean, var, momentum, correction, batches)
    out = channel_norm(x, mean, var, weight, bias, eps)
    return relu(out) if rectified else out, mean, var


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel of x: (n, channels, inner)."""
    scale = 1 / array_module(x).sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    out = (x - mean[:, None]) * scale[:, None]
    return out if bias is None else out + bias[:, None]


def channel_norm_backward(
    g: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    eps: float,
    from_batch: bool,
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias.

    `from_batch`: mean and var were computed from x, so the gradient of x includes theirs
    (Ioffe and Szegedy 2015, section 3).
    """
    rstd = 1 / array_module(x).sqrt(var + eps)
    normal = (x - mean[:, None]) * rstd[:, None]
    grad_weight, grad_bias = (g * normal).sum((0, 2)), g.sum((0, 2))
    scale = (rstd if weight is None else rstd * weight)[:, None]
    if not from_batch:
        return g * scale, grad_weight, grad_bias
    share = 1 / max(x.shape[0] * x.shape[2], 1)
    through = normal * (grad_weight * share)[:, None] + (grad_bias * share)[:, None]
    return (g - through) * scale, grad_weight, grad_bias


def batch_norm_relu_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, out: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias; g is that of `out`, relu of the normalized x."""
    return channel_norm_backward(relu_backward(g, out), x, mean, var, weight, eps, True)
