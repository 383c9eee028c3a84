"""Losses whose rule is worth fusing; the others are composed in `nn.functional`."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.kernels.reference.softmax import check_targets


@op(takes_halves=True)
def cross_entropy(
    x: Array, *, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> OutputAndVJPs:
    """-log softmax(x) at the target class, over axis 1. x: (n, c, ...); target: (n, ...)."""
    classes, shape = x.shape[1], target.shape

    def by_rows() -> Array:
        return (
            x if x.ndim == 2 else array_module(x).moveaxis(x, 1, -1).reshape(target.size, classes)
        )

    picks = target.reshape(-1)
    out, *kept = kernels.mean_cross_entropy(by_rows(), picks, weight, ignore_index, reduction)

    def grad_x(g: Array) -> Array:
        grad = kernels.mean_cross_entropy_backward(
            g.reshape(-1) if g.ndim else g, by_rows(), picks, *kept, ignore_index
        )
        if len(shape) == 1:
            return grad
        return array_module(x).moveaxis(grad.reshape(*shape, classes), -1, 1)

    return out.reshape(shape) if reduction == "none" else out, (grad_x,)


@op(takes_halves=True)
def smoothed_cross_entropy(
    x: Array,
    *,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> OutputAndVJPs:
    """`cross_entropy` with label smoothing, which adds the mean over all classes (Szegedy et al.
    2016, section 7)."""
    xp = array_module(x)
    classes = x.shape[1]
    kept, picked, per_target, scale = _targets(x, target, weight, ignore_index)
    picks = picked.reshape(-1)

    def by_rows() -> Array:
        return xp.moveaxis(x, 1, -1).reshape(scale.size, classes)

    def log_probabilities() -> Array:
        return (by_rows() - top[:, None]) - log_sum[:, None]

    losses, top, log_sum = kernels.cross_entropy(by_rows(), picks)
    losses = xp.where(kept, losses.reshape(scale.shape) * scale, x.dtype.type(0))
    total = scale.sum()
    spread = label_smoothing / classes
    smooth = -(log_probabilities() @ per_target).reshape(scale.shape)
    smooth = xp.where(kept, smooth, x.dtype.type(0))
    losses = losses * (1 - label_smoothing) + smooth * spread

    def grad_x(g: Array) -> Array:
        g = g / total if reduction == "mean" else g
        g = xp.where(kept, g, x.dtype.type(0))  # also where total is 0
        at_target = (g * scale * (1 - label_smoothing)).reshape(-1)
        grad = kernels.cross_entropy_backward(at_target, by_rows(), picks, top, log_sum)
        of_smooth = (g * kept * spread).reshape(-1, 1)
        probabilities = xp.exp(log_probabilities())
        grad = grad + (probabilities * per_target.sum() - per_target) * of_smooth
        return xp.moveaxis(grad.reshape(*scale.shape, classes), -1, 1)

    if reduction == "none":
        return losses, (grad_x,)
    if reduction == "sum":
        return losses.sum(), (grad_x,)
    # losses of other classes are not 0 where all weights are
    return xp.where(total == 0, losses.dtype.type("nan"), losses.sum() / total), (grad_x,)


@op
def nll_loss(
    x: Array, *, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> OutputAndVJPs:
    """-x at the target class, over axis 1. x: (n, c, ...), log-probabilities; target: (n, ...)."""
    xp = array_module(x)
    kept, picked, _, scale = _targets(x, target, weight, ignore_index)
    losses = -xp.take_along_axis(x, picked, 1)[:, 0] * scale
    losses = xp.where(kept, losses, x.dtype.type(0))  # NaN that is ignored does not count
    total = scale.sum()
    shape = x.shape

    def grad_x(g: Array) -> Array:
        g = g / total if reduction == "mean" else g
        g = xp.where(kept, g, x.dtype.type(0))  # also where total is 0
        return xp.where(_one_hot(picked, shape), xp.expand_dims(-scale * g, 1), 0)

    if reduction == "none":
        return losses, (grad_x,)
    return losses.sum() if reduction == "sum" else losses.sum() / total, (grad_x,)


@op
def regression_loss(
    x: Array, target: Array, *, kind: str, delta: float, scale: float, mean: bool
) -> OutputAndVJPs:
    """scale times the sum, or the mean, of the losses of x - target; both have one shape.

    kind, delta : of `kernels.regression_loss`
    """
    how = kind, delta, scale / (x.size or float("nan")) if mean else scale

    @memoize_by_gradient
    def shared(g: Array) -> Array:
        return kernels.regression_loss_backward(g, x, target, *how)

    return kernels.regression_loss(x, target, *how), (lambda g: shared(g), lambda g: -shared(g))


@op(takes_halves=True)
def huber(x: Array, *, delta: float) -> OutputAndVJPs:
    """x^2 / 2 where |x| < delta, delta (|x| - delta / 2) elsewhere."""
    return kernels.huber(x, delta), (lambda g: kernels.huber_backward(g, x, delta),)


@op(takes_halves=True)
def binary_cross_entropy_with_logits(x: Array, target: Array) -> OutputAndVJPs:
    """(1 - target) * x - log(sigmoid(x)), without overflow."""
    return kernels.bce_with_logits(x, target), (
        lambda g: kernels.bce_with_logits_backward(g, x, target),
        lambda g: -g * x,
    )


@op
def binary_cross_entropy(x: Array, target: Array) -> OutputAndVJPs:
    """-target * log(x) - (1 - target) * log(1 - x), each logarithm at least -100."""
    xp = array_module(x)

    def log(probability: Array) -> Array:
        return xp.maximum(xp.log(probability), -100)

    def grad_x(g: Array) -> Array:
        return g * (x - target) / xp.maximum(x * (1 - x), 1e-12)

    for name, array in (("input", x), ("target", target)):
        if isinstance(array, np.ndarray) and not ((array >= 0) & (array <= 1)).all():  # NaN, too
            raise ValueError(f"expected probabilities between 0 and 1 as {name}")
    return (target - 1) * log(1 - x) - target * log(x), (
        grad_x,
        lambda g: g * (log(1 - x) - log(x)),
    )


#: Stands for log(0); finite, so that the difference of two is not NaN.
LOG_ZERO = -1e30


@op
def ctc_loss(
    log_probs: Array, *, labels: Array, skips: Array, input_lengths: Array, ends: Array,
    zero_infinity: bool,
) -> OutputAndVJPs:  # fmt: skip
    """-log of the total probability of all alignments with the labels, (n,).

    The forward variables alpha of Graves et al. 2006, section 4.1, as logarithms.
    log_probs: (t, n, c); labels: (n, l), with blanks before, between and after them;
    skips: (n, l), True where an alignment may skip the blank before a label; ends: (n,), the
    position of each sample's last blank.
    """
    xp = array_module(log_probs)
    steps, n, _ = shape = log_probs.shape
    length = labels.shape[1]
    label_indices = xp.broadcast_to(labels, (steps, n, length))
    emissions = xp.maximum(xp.take_along_axis(log_probs, label_indices, 2), LOG_ZERO)
    # alpha is padded by two positions on the left; an alignment begins in the second of them.
    initial = xp.where(
        xp.arange(length + 2) == 1, emissions.dtype.type(0), emissions.dtype.type(LOG_ZERO)
    )
    alpha = xp.broadcast_to(initial, (n, length + 2))[None]
    padding = xp.full((1, n, 2), LOG_ZERO, emissions.dtype)
    history, transitions = [alpha[..., 2:]], []
    for t in range(steps):
        skipped = xp.where(skips, alpha[..., :-2], emissions.dtype.type(LOG_ZERO))
        sources = xp.concatenate([alpha[..., 2:], alpha[..., 1:-1], skipped])
        most = sources.max(0, keepdims=True)
        probabilities = xp.exp(sources - most)
        total = probabilities.sum(0, keepdims=True)
        transitions.append(probabilities / total)  # probabilities of the sources: stay, step, skip
        alpha = xp.concatenate([padding, most + xp.log(total) + emissions[t][None]], 2)
        history.append(alpha[..., 2:])
    last = xp.concatenate(history)[input_lengths, xp.arange(n)]
    two = xp.take_along_axis(last, xp.maximum(xp.stack([ends, ends - 1], 1), 0), 1)
    two = xp.where((ends[:, None] > 0) | (xp.arange(2) == 0), two, two.dtype.type(LOG_ZERO))
    most = two.max(1, keepdims=True)
    log_likelihood = most + xp.log(xp.exp(two - most).sum(1, keepdims=True))
    possible = log_likelihood > LOG_ZERO / 2
    counts = possible | (log_likelihood != log_likelihood)  # NaN is no missing alignment
    impossible_loss = 0.0 if zero_infinity else float("inf")
    losses = xp.where(counts, -log_likelihood, log_likelihood.dtype.type(impossible_loss))[:, 0]
    empty = (input_lengths == 0) & (ends == 0)

    def grad_log_probs(g: Array) -> Array:
        full = xp.zeros(shape, g.dtype)
        impossible_grad = 0.0 if zero_infinity else float("nan")
        final = xp.where(
            counts, -g[:, None] * xp.exp(two - log_likelihood), g.dtype.type(impossible_grad)
        )
        grad_alpha = xp.zeros((n, length), g.dtype)
        for t in reversed(range(steps)):
            ended = xp.flatnonzero(input_lengths == t + 1)
            kernels.add_at(final[ended, 0], (ended, ends[ended]), grad_alpha)
            inner = ended[ends[ended] > 0]
            kernels.add_at(final[inner, 1], (inner, ends[inner] - 1), grad_alpha)
            kernels.add_at(grad_alpha, (t, xp.arange(n)[:, None], labels), full)
            stay, step, skip = (grad_alpha * transitions[t][k] for k in range(3))
            earlier = xp.zeros((n, length + 2), g.dtype)
            earlier[:, 2:] = stay
            earlier[:, 1:-1] += step
            earlier[:, :-2] += skip
            grad_alpha = earlier[:, 2:]
        return full

    return xp.where(empty, losses.dtype.type(0), losses), (grad_log_probs,)


def _targets(x: Array, target: Array, weight: Array | None, ignore_index: int) -> tuple:
    """The mask of targets that count, their classes (n, 1, ...), weights by class and by target."""
    xp = array_module(x)
    kept = target != ignore_index
    check_targets(target, kept, x.shape[1])
    picked = xp.expand_dims(xp.where(kept, target, 0), 1)
    per_target = xp.ones(x.shape[1], x.dtype) if weight is None else weight
    return kept, picked, per_target, xp.where(kept, per_target[picked[:, 0]], x.dtype.type(0))


def _one_hot(picked: Array, shape: tuple[int, ...]) -> Array:
    """Whether each class is the picked one. picked: (n, 1, ...); returns (n, c, ...)."""
    classes = array_module(picked).arange(shape[1])
    return classes.reshape(1, -1, *(1,) * (len(shape) - 2)) == picked
