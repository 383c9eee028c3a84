"""Normalization: batch, layer, root mean square and group."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, is_cupy, kernels
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.tracing import current_tracer, tracers


def _by_channel(x: Array) -> Array:
    """(n, c, ...) as (n, c, inner)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel, of halves in float32. x: (n, c, ...);
    returns (c,), (c,)."""
    if tracers and (tracer := current_tracer()) is not None:
        return tracer.call(batch_statistics, (x,), {})
    if is_half(x.dtype) and not is_cupy(x):
        x = x.astype(float32)
    return kernels.channel_statistics(_by_channel(x))


@op(recomputed=True, takes_halves=True)
def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, *, mean: Array, var: Array, eps: float,
    from_batch: bool, computed: Array | None = None,
) -> OutputAndVJPs:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel. x: (n, c, ...).

    `from_batch`: mean and var were computed from x, so the gradient of x includes theirs
    (Ioffe and Szegedy 2015, section 3). `computed`: the output, if it came with them.
    """
    shape = x.shape
    # if x is a RecordedArray, mean and var must be, too
    recorded = from_batch and type(x) is not type(mean)
    statistics = batch_statistics(x) if recorded else (mean, var)
    if computed is None or recorded:
        out = kernels.channel_norm(_by_channel(x), *statistics, weight, bias, eps).reshape(shape)
    else:
        out = computed

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.channel_norm_backward(
            _by_channel(g), _by_channel(x), *statistics, weight, eps, from_batch
        )

    return out, (
        lambda g: shared(g)[0].reshape(shape),
        lambda g: shared(g)[1],
        lambda g: shared(g)[2],
    )


@op(recomputed=True, takes_halves=True)
def batch_norm_relu(
    x: Array, weight: Array | None, bias: Array | None, *, mean: Array, var: Array, eps: float,
    computed: Array,
) -> OutputAndVJPs:  # fmt: skip
    """relu of `batch_norm` by the mean and var of x, computed with them."""
    shape = x.shape
    if type(x) is type(mean):
        statistics, out = (mean, var), computed
    else:  # x is a RecordedArray
        statistics = batch_statistics(x)
        normalized = kernels.channel_norm(_by_channel(x), *statistics, weight, bias, eps)
        out = kernels.relu(normalized).reshape(shape)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.batch_norm_relu_backward(
            _by_channel(g), _by_channel(x), *statistics, weight, _by_channel(out), eps
        )

    return out, (
        lambda g: shared(g)[0].reshape(shape),
        lambda g: shared(g)[1],
        lambda g: shared(g)[2],
    )


@op(recomputed=True)
def sync_batch_norm(
    x: Array, weight: Array | None, bias: Array | None, *, mean: Array, var: Array, eps: float,
    batch_means: Callable[[Array, Array], tuple[Array, Array]],
) -> OutputAndVJPs:  # fmt: skip
    """`batch_norm` of a part of a batch, by the mean and var of the whole one.

    `batch_means` takes this part's sums of g * (x - mean) / sqrt(var + eps) and of g, arrays
    (c,), and gives their means over the whole batch; it is called in every backward pass to x.
    """
    if type(x) is not type(mean):
        raise NotImplementedError(
            "SyncBatchNorm: second derivatives (create_graph=True) are not there; use BatchNorm"
        )
    shape = x.shape
    out = kernels.channel_norm(_by_channel(x), mean, var, weight, bias, eps).reshape(shape)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.channel_norm_backward(
            _by_channel(g), _by_channel(x), mean, var, weight, eps, False
        )

    def grad_x(g: Array) -> Array:
        of_x, of_weight, of_bias = shared(g)
        scale = 1 / array_module(x).sqrt(var + eps)
        scale = scale if weight is None else scale * weight
        along, total = (value * scale for value in batch_means(of_weight, of_bias))
        # (g - what goes through the mean and the var) * scale: the latter is a channel_norm, too
        through = kernels.channel_norm(_by_channel(x), mean, var, along, total, eps)
        return (of_x - through).reshape(shape)

    return out, (
        grad_x,
        lambda g: shared(g)[1],
        lambda g: shared(g)[2],
    )


def _first(shared: Any, g: Array) -> Array:
    """The gradient of x out of the gradients that a memoized function gives."""
    of_x = shared(g)[0]
    if of_x is None:  # it was added to another gradient
        shared.last.clear()
        of_x = shared(g)[0]
    return of_x


def _let_add(grad_x: Any, shared: Any, add: kernels.Kernel, x: Array, *others: Any) -> None:
    """Have the backward pass let `grad_x` add to a gradient of x that is there, in one launch:
    `add(g, x, *others, before)`, of rows."""

    def adding(g: Array, before: Array) -> Array:
        of_x, *rest = add(g.reshape(x.shape), x, *others, before.reshape(x.shape))
        shared.last[:] = g, (None, *rest)
        return of_x.reshape(before.shape)

    grad_x.adding = adding


@op(takes_halves=True)
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, *, axes: int, eps: float
) -> OutputAndVJPs:
    """Normalize over the last `axes` axes (Ba et al. 2016); weight and bias have their shape."""
    shape, within = x.shape, x.shape[x.ndim - axes :]
    n = math.prod(within)
    rows = (math.prod(shape[: x.ndim - axes]), n)

    def flat(value: Array | None) -> Array | None:
        return value if value is None or value.ndim == 1 else value.reshape(n)

    out, mean, rstd = kernels.layer_norm(x.reshape(rows), flat(weight), flat(bias), eps)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.layer_norm_backward(
            g.reshape(rows), x.reshape(rows), flat(weight), mean, rstd
        )

    def grad_x(g: Array) -> Array:
        return _first(shared, g).reshape(shape)

    if is_cupy(x):
        parts = (x.reshape(rows), flat(weight), mean, rstd)
        _let_add(grad_x, shared, kernels.add_layer_norm_backward, *parts)
    return out.reshape(shape), (
        grad_x,
        lambda g: shared(g)[1].reshape(within),
        lambda g: shared(g)[2].reshape(within),
    )


@op(takes_halves=True)
def rms_norm(x: Array, weight: Array | None, *, axes: int, eps: float) -> OutputAndVJPs:
    """x / sqrt(mean(x^2) + eps) over the last `axes` axes (Zhang and Sennrich 2019)."""
    shape, within = x.shape, x.shape[x.ndim - axes :]
    n = math.prod(within)
    rows = (math.prod(shape[: x.ndim - axes]), n)

    def flat() -> Array | None:
        return weight if weight is None or weight.ndim == 1 else weight.reshape(n)

    out, scale = kernels.rms_norm(x.reshape(rows), flat(), eps)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.rms_norm_backward(g.reshape(rows), x.reshape(rows), flat(), scale)

    def grad_x(g: Array) -> Array:
        return _first(shared, g).reshape(shape)

    if is_cupy(x):
        _let_add(grad_x, shared, kernels.add_rms_norm_backward, x.reshape(rows), flat(), scale)
    return out.reshape(shape), (
        grad_x,
        lambda g: shared(g)[1].reshape(within),
    )


@op
def group_norm(
    x: Array, weight: Array | None, bias: Array | None, *, groups: int, eps: float
) -> OutputAndVJPs:
    """Normalize each group of channels of each sample (Wu and He 2018). x: (n, c, ...)."""
    shape = x.shape
    out, mean, rstd = kernels.group_norm(_by_channel(x), weight, bias, groups, eps)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.group_norm_backward(
            _by_channel(g), _by_channel(x), weight, mean, rstd, groups
        )

    return out.reshape(shape), (
        lambda g: shared(g)[0].reshape(shape),
        lambda g: shared(g)[1],
        lambda g: shared(g)[2],
    )
