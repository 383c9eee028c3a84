"""The reduction whose bits do not depend on the number of ranks.

M values, of microbatches 0 ... M - 1, are added by one fixed binary tree over [0, M): a node
[low, high) splits at low + the largest power of two below its length. A rank has a contiguous
run of the values. It adds what the tree adds within its run (`TreeAccumulator`), and `fold` adds
the ranks' partial sums in the tree's order. Any number of ranks up to M gives the same bits; with a
power of two, each rank has one partial, and sends and receives what the best allreduce does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, array_module, kernels, on_device_of, pieces

_PIECE = 1 << 16  # elements

Interval = tuple[int, int]


def microbatch_range(rank: int, size: int, count: int) -> Interval:
    """The microbatches of a rank: a run of them, of equal length to within one.

    >>> [microbatch_range(rank, 3, 8) for rank in range(3)]
    [(0, 2), (2, 5), (5, 8)]
    """
    return rank * count // size, (rank + 1) * count // size


def split(low: int, high: int) -> int:
    """Where the tree splits a node.

    >>> split(0, 8), split(0, 6), split(4, 6)
    (4, 4, 5)
    """
    return low + (1 << ((high - low - 1).bit_length() - 1))


@functools.lru_cache(maxsize=1024)
def covering_nodes(low: int, high: int, count: int) -> tuple[Interval, ...]:
    """The largest nodes of the tree over [0, count) that make up the run [low, high).

    >>> covering_nodes(2, 5, 8)
    ((2, 4), (4, 5))
    """

    def inside(a: int, b: int) -> tuple[Interval, ...]:
        if b <= low or high <= a:
            return ()
        if low <= a and b <= high:
            return ((a, b),)
        middle = split(a, b)
        return inside(a, middle) + inside(middle, b)

    return inside(0, count) if low < high else ()


class TreeAccumulator:
    """The sum of a run of values, as far as the tree adds them within the run.

    Values are added as they come, like a binary counter; at most log2(count) + 1 are held.
    """

    def __init__(self, count: int, add: Callable[[Any, Any], None]):
        self._count = count
        self._add = add  # adds its second argument to its first, in place
        self.partials: list[tuple[int, int, Any]] = []

    def push(self, index: int, value: Any) -> None:
        """Take the value of microbatch `index`: the one after the last, or the run's first."""
        assert not self.partials or self.partials[-1][1] == index
        self.partials.append((index, index + 1, value))
        while len(self.partials) > 1:
            (low, middle, left), (_, high, right) = self.partials[-2:]
            if covering_nodes(low, high, self._count) != ((low, high),):
                break
            assert split(low, high) == middle
            self._add(left, right)
            self.partials[-2:] = [(low, high, left)]


@functools.lru_cache(maxsize=1024)
def contributed_nodes(rank: int, size: int, count: int) -> tuple[Interval, ...]:
    """The partial sums that a rank brings to a reduction.

    >>> contributed_nodes(1, 3, 8)
    ((2, 4), (4, 5))
    """
    return covering_nodes(*microbatch_range(rank, size, count), count)


def equal_bounds(length: int, size: int) -> list[int]:
    """Where `size` equal slices of so many elements begin, and the last ends."""
    return [rank * length // size for rank in range(size + 1)]


def combine(
    parts: Mapping[Interval, Array],
    interval: Interval,
    outs: Sequence[Array],
    part: slice,
    divisor: float = 1,
) -> None:
    """Add partial sums in the tree's order, divide, write one part of the elements to every out.

    Parameters
    ----------
    parts : flat arrays of the partial sums that make up `interval`, and maybe of others
    outs : flat arrays; each may be one of the partial sums
    part : the elements to add
    """
    inverse = _exact_inverse(outs[0].dtype, divisor)
    if inverse is not None and _are_both_halves(parts, interval, outs):
        with on_device_of(outs[0]):
            kernels.mean_of_both(outs[0][part], outs[1][part], inverse)
        return
    start, stop, _ = part.indices(len(outs[0]))
    there = parts.get(interval) is outs[0]
    with on_device_of(outs[0]):
        for here in pieces(outs[0], _PIECE, start, stop):
            first, *others = (out[here] for out in outs)
            if not there:
                _sum(parts, *interval, here, into=first)
            if divisor != 1:
                divide(first, divisor)
            for other in others:
                other[...] = first


def _are_both_halves(
    parts: Mapping[Interval, Array], interval: Interval, outs: Sequence[Array]
) -> bool:
    """Whether the partial sums of two ranks are all there is, and each is its rank's out."""
    low, high = interval
    if len(outs) != 2 or high - low < 2:
        return False
    middle = split(low, high)
    return parts.get((low, middle)) is outs[0] and parts.get((middle, high)) is outs[1]


def divide(flat: Array, divisor: float) -> None:
    """Divide in place."""
    inverse = _exact_inverse(flat.dtype, divisor)
    if inverse is None:
        flat /= flat.dtype.type(divisor)
    else:
        flat *= inverse


@functools.lru_cache(maxsize=1024)
def _exact_inverse(dtype: np.dtype, divisor: float) -> Any:
    """What to multiply by instead of dividing, to the same bits; None if there is no such number.

    On the host a division takes about as long as all the rest of a reduction.
    """
    number, inverse = dtype.type(divisor), dtype.type(1 / divisor)
    is_power_of_two = math.frexp(divisor)[0] == 0.5
    return inverse if is_power_of_two and number * inverse == 1 else None  # None: of integers, too


def _sum(
    parts: Mapping[Interval, Array], low: int, high: int, here: slice, into: Array | None = None
) -> Array:
    """The sum over a node of the tree, in `into`, or in memory of its own or of a partial."""
    partial = parts.get((low, high))
    if partial is not None:
        total = partial[here]
        if into is not None:
            into[...] = total
        return total
    middle = split(low, high)
    left, right = _sum(parts, low, middle, here), _sum(parts, middle, high, here)
    return array_module(left).add(left, right, out=into)
