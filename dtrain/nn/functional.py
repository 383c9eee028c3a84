"""Layers and losses as functions (torch.nn.functional)."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.ops import activation, conv, index, loss, matmul, norm, pool, random
from dtrain.ops import shape as shape_rules
from dtrain.ops.operators import elementwise, products, reductions

relu = activation.relu
silu = activation.silu
tanh = elementwise.tanh
sigmoid = elementwise.sigmoid


def _pair(value: Any, name: str) -> tuple[int, int]:
    """One number for both axes, or two."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or any(not isinstance(n, int) for n in both):
        raise ValueError(f"{name}: expected an int or two, got {value!r}")
    return both


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return activation.leaky_relu(input, slope=negative_slope)


def softplus(input: Tensor) -> Tensor:
    """log(1 + exp(x))"""
    return activation.softplus(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution's cumulative function, or its approximation by "tanh"."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    return activation.gelu(input) if approximate == "none" else activation.gelu_tanh(input)


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    return reductions.softmax(input, dim)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """log(softmax(x)) along `dim`."""
    return reductions.log_softmax(input, dim)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias. input: (..., n); weight: (m, n); bias: (m,)."""
    if input.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"linear: expected an input of shape (..., {weight.shape[1]}), got {input.shape}"
        )
    return matmul.linear(input, weight, bias)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation. input: (n, c, h, w) or (c, h, w); weight: (m, c / groups, kh, kw).

    `padding` is a number, two, "valid", or with stride 1 "same".
    """
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(
            0
        )
    if input.ndim != 4 or input.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"conv2d: expected an input of shape (n, {weight.shape[1] * groups}, h, w) for weight "
            f"{weight.shape} and groups={groups}, got {input.shape}"
        )
    stride, dilation = _pair(stride, "stride"), _pair(dilation, "dilation")
    if padding == "same":
        input, padding = _pad_same(input, weight, stride, dilation), 0
    pads = _pair(0 if padding == "valid" else padding, "padding")
    for size, pad, kernel, wide in zip(input.shape[2:], pads, weight.shape[2:], dilation):
        if size + 2 * pad < wide * (kernel - 1) + 1:
            raise RuntimeError(
                f"conv2d: the kernel {weight.shape[2:]} (dilation {dilation}) is larger than the "
                f"padded input {input.shape}"
            )
    return conv.conv2d(
        input, weight, bias, stride=stride, padding=pads, dilation=dilation, groups=groups
    )


def _pad_same(
    input: Tensor, weight: Tensor, stride: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    if stride != (1, 1):
        raise ValueError(f"conv2d: padding='same' needs stride 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:])]
    widths = ((0, 0), (0, 0), *((total // 2, total - total // 2) for total in totals))
    return shape_rules.pad_constant(input, widths=widths, value=0)


def _check_pool(
    name: str,
    input: Tensor,
    kernel: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> None:
    if input.ndim != 4:
        raise RuntimeError(
            f"{name}: expected an input (n, c, h, w) or (c, h, w), got {input.shape}"
        )
    if any(2 * p > k for p, k in zip(padding, kernel)):
        raise RuntimeError(f"{name}: padding {padding} is more than half of the kernel {kernel}")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n + 2 * p < r for n, p, r in zip(input.shape[2:], padding, reach)):
        raise RuntimeError(
            f"{name}: the kernel {kernel} (dilation {dilation}) is larger than the input "
            f"{input.shape}"
        )


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Tensor:
    """The maximum of each window. input: (n, c, h, w) or (c, h, w)."""
    if input.ndim == 3:
        return max_pool2d(input.unsqueeze(0), kernel_size, stride, padding, dilation).squeeze(0)
    kernel, pads = _pair(kernel_size, "kernel_size"), _pair(padding, "padding")
    wide = _pair(dilation, "dilation")
    _check_pool("max_pool2d", input, kernel, pads, wide)
    return pool.max_pool2d(
        input,
        kernel=kernel,
        stride=kernel if stride is None else _pair(stride, "stride"),
        padding=pads,
        dilation=wide,
    )


def avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    """The mean of each window, padding counted as zeros. input: (n, c, h, w) or (c, h, w)."""
    if input.ndim == 3:
        return avg_pool2d(input.unsqueeze(0), kernel_size, stride, padding).squeeze(0)
    kernel, pads = _pair(kernel_size, "kernel_size"), _pair(padding, "padding")
    _check_pool("avg_pool2d", input, kernel, pads)
    return pool.avg_pool2d(
        input,
        kernel=kernel,
        stride=kernel if stride is None else _pair(stride, "stride"),
        padding=pads,
    )


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p, scale the others by 1 / (1 - p); only in training."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: expected a probability between 0 and 1, got {p}")
    return random.dropout(input, p=p) if training and p else input


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` by index; the row `padding_idx` gets no gradient."""
    return index.embedding(weight, index=input._array, padding_index=padding_idx)


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize over the last dimensions, which are `normalized_shape`."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if input.shape[-len(shape) :] != shape:
        raise RuntimeError(f"layer_norm: expected a shape (..., {shape}), got {input.shape}")
    return norm.layer_norm(input, weight, bias, axes=len(shape), eps=eps)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel by the batch, or by the running statistics. input: (n, c, ...).

    In training the running statistics, where given, are updated at once; `nn.BatchNorm2d` under
    DataParallel folds them in the order of the microbatches instead.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: running statistics are needed outside training")
        return normalize_channels(
            input, running_mean._array, running_var._array, weight, bias, eps, False
        )
    mean, var = batch_statistics(input)
    if running_mean is not None and running_var is not None:
        fold_statistics(running_mean, running_var, mean, unbiased(var, input), momentum)
    return normalize_channels(input, mean, var, weight, bias, eps, True)


def batch_statistics(input: Tensor) -> tuple[Any, Any]:
    """The mean and biased variance of each channel, as arrays (c,)."""
    if input.numel() and input.numel() == input.shape[1]:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    return norm.batch_statistics(input._array)


def unbiased(var: Any, input: Tensor) -> Any:
    """The unbiased variance of what `batch_statistics` was taken of."""
    count = input.numel() // input.shape[1]
    return var * (count / (count - 1))


def normalize_channels(
    input: Tensor,
    mean: Any,
    var: Any,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    of_batch: bool,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, per channel."""
    return norm.batch_norm(input, weight, bias, mean=mean, var=var, eps=eps, of_batch=of_batch)


def fold_statistics(
    running_mean: Tensor, running_var: Tensor, mean: Any, var: Any, momentum: float
) -> None:
    """running = (1 - momentum) * running + momentum * new, in place."""
    for running, new in ((running_mean, mean), (running_var, var)):
        array = running._array
        array *= 1 - momentum
        array += array_module(array).asarray(new, array.dtype) * momentum


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T * scale + mask) v (Vaswani et al. 2017, equation 1).

    query: (..., t, d); key, value: (..., s, d); attn_mask: (..., t, s), added, or bool: what to
    attend to. `scale` is 1 / sqrt(d) if None.
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError("attention: give attn_mask or is_causal=True, not both")
    scores = products.matmul(
        query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1)
    )
    if is_causal:
        xp = array_module(scores._array)
        later = ~xp.tri(*scores.shape[-2:], dtype=bool)
        scores = index.masked_fill(scores, mask=later, value=float("-inf"))
    elif attn_mask is not None and attn_mask._array.dtype == bool:
        scores = index.masked_fill(scores, mask=~attn_mask._array, value=float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = reductions.softmax(scores, -1)
    return products.matmul(dropout(weights, dropout_p), value)


# --- losses ---


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    _check_reduction(reduction)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def _check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"expected reduction 'none', 'mean' or 'sum', got {reduction!r}")


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input - target)**2"""
    difference = input - target
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|input - target|"""
    return _reduce((input - target).abs(), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, reduction: str = "mean"
) -> Tensor:
    """-log of the probability that sigmoid(input) gives to target, without overflow."""
    return _reduce(softplus(input) - input * target, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input at the target class: of log-probabilities the negative log-likelihood.

    Shapes and errors are those of `cross_entropy`.
    """
    if input.ndim == 1:
        out = nll_loss(input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, reduction)
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("nll_loss", input, target, reduction)
    return loss.nll_loss(
        input,
        target=target._array,
        weight=None if weight is None else weight._array,
        ignore_index=ignore_index,
        reduction=reduction,
    )


def _check_classes(name: str, input: Tensor, target: Tensor, reduction: str) -> None:
    _check_reduction(reduction)
    expected = (input.shape[0], *input.shape[2:])
    if target.shape != expected:
        raise ValueError(
            f"{name}: expected a target of shape {expected} for input {input.shape}, "
            f"got {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected integer targets, got {target.dtype}")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class. input: (n, c, ...) or (c,); target: (n, ...) or ().

    Raises
    ------
    IndexError
        For a target that is no class, on the CPU.
    """
    if input.ndim == 1:
        out = cross_entropy(
            input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, reduction,
            label_smoothing,
        )  # fmt: skip
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("cross_entropy", input, target, reduction)
    return loss.cross_entropy(
        input,
        target=target._array,
        weight=None if weight is None else weight._array,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
