"""Connectionist temporal classification: the rule; `nn.functional.ctc_loss` prepares its labels."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module

#: The logarithm of no chance at all: finite, so that differences of two are no NaN.
NEVER = -1e30


@op
def ctc_loss(
    log_probs: Array, *, labels: Array, skips: Array, input_lengths: Array, ends: Array,
    zero_infinity: bool,
):  # fmt: skip
    """-log of the chance of all alignments with the labels (Graves et al. 2006, section 4.1).

    log_probs: (t, n, c); labels: (n, l), with blanks before, between and after them;
    skips: (n, l), where a label may follow the one before the blank before it; ends: (n,), the
    position of a sample's last blank. Returns (n,).
    """
    xp = array_module(log_probs)
    steps, n, _ = shape = log_probs.shape
    length = labels.shape[1]
    label_indices = xp.broadcast_to(labels, (steps, n, length))
    emitted = xp.maximum(xp.take_along_axis(log_probs, label_indices, 2), NEVER)
    # Padded by two positions on the left; an alignment begins in the second of them.
    before = xp.where(xp.arange(length + 2) == 1, emitted.dtype.type(0), emitted.dtype.type(NEVER))
    reached = xp.broadcast_to(before, (n, length + 2))[None]
    nowhere = xp.full((1, n, 2), NEVER, emitted.dtype)
    history, ways = [reached[..., 2:]], []
    for t in range(steps):
        far = xp.where(skips, reached[..., :-2], emitted.dtype.type(NEVER))
        sources = xp.concatenate([reached[..., 2:], reached[..., 1:-1], far])
        most = sources.max(0, keepdims=True)
        chances = xp.exp(sources - most)
        total = chances.sum(0, keepdims=True)
        ways.append(chances / total)  # where a sample that is here came from
        reached = xp.concatenate([nowhere, most + xp.log(total) + emitted[t][None]], 2)
        history.append(reached[..., 2:])
    last = xp.concatenate(history)[input_lengths, xp.arange(n)]
    two = xp.take_along_axis(last, xp.maximum(xp.stack([ends, ends - 1], 1), 0), 1)
    two = xp.where((ends[:, None] > 0) | (xp.arange(2) == 0), two, two.dtype.type(NEVER))
    most = two.max(1, keepdims=True)
    log_chance = most + xp.log(xp.exp(two - most).sum(1, keepdims=True))
    possible = log_chance > NEVER / 2
    without = 0.0 if zero_infinity else float("inf")
    losses = xp.where(possible, -log_chance, log_chance.dtype.type(without))[:, 0]
    empty = (input_lengths == 0) & (ends == 0)

    def grad_log_probs(g):
        full = xp.zeros(shape, g.dtype)
        missing = 0.0 if zero_infinity else float("nan")
        final = xp.where(possible, -g[:, None] * xp.exp(two - log_chance), g.dtype.type(missing))
        here = xp.zeros((n, length), g.dtype)
        for t in reversed(range(steps)):
            ended = xp.flatnonzero(input_lengths == t + 1)
            xp.add.at(here, (ended, ends[ended]), final[ended, 0])
            inner = ended[ends[ended] > 0]
            xp.add.at(here, (inner, ends[inner] - 1), final[inner, 1])
            xp.add.at(full, (t, xp.arange(n)[:, None], labels), here)
            stay, step, skip = (here * ways[t][k] for k in range(3))
            earlier = xp.zeros((n, length + 2), g.dtype)
            earlier[:, 2:] = stay
            earlier[:, 1:-1] += step
            earlier[:, :-2] += skip
            here = earlier[:, 2:]
        return full

    return xp.where(empty, losses.dtype.type(0), losses), (grad_log_probs,)
