"""The tree reduction: sums over ranks whose bits do not depend on the number of ranks.

M values, one a microbatch, are added by one fixed binary tree over [0, M): a node [low, high)
splits at low + the largest power of two below its length. A rank is assigned a contiguous range of
the microbatches. It adds what the tree adds within that range (`TreeAccumulator`), and `combine`
adds the ranks' partial sums in the tree's order. Any number of ranks up to M gives the same bits.
Where the number of ranks is a power of two, each rank has one partial sum, and sends and receives
as many bytes as the best allreduce.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from dtrain.backend import Array, array_module, kernels, on_device_of, pieces
from dtrain.backend.dtypes import real_dtype

_PIECE = 1 << 16  # elements that are added at once, small enough for a core's cache

#: microbatches [low, high): a node of the tree, or a rank's range
Interval = tuple[int, int]


def microbatch_range(rank: int, size: int, count: int) -> Interval:
    """The contiguous range of microbatches that a rank is assigned, equal to within one.

    >>> [microbatch_range(rank, 3, 8) for rank in range(3)]
    [(0, 2), (2, 5), (5, 8)]
    """
    return rank * count // size, (rank + 1) * count // size


def split(low: int, high: int) -> int:
    """Where the tree splits the node [low, high).

    >>> split(0, 8), split(0, 6), split(4, 6)
    (4, 4, 5)
    """
    return low + (1 << ((high - low - 1).bit_length() - 1))


@functools.lru_cache(maxsize=1024)
def covering_nodes(low: int, high: int, count: int) -> tuple[Interval, ...]:
    """The largest nodes of the tree over [0, count) that together cover [low, high).

    >>> covering_nodes(2, 5, 8)
    ((2, 4), (4, 5))
    """

    def descend(a: int, b: int) -> tuple[Interval, ...]:
        if b <= low or high <= a:
            return ()
        if low <= a and b <= high:
            return ((a, b),)
        middle = split(a, b)
        return descend(a, middle) + descend(middle, b)

    return descend(0, count) if low < high else ()


T = TypeVar("T")


class Accumulator(Protocol[T]):
    """Adds the values of a contiguous range of microbatches, given one after another."""

    #: partial sums over [low, high), ascending: (low, high, value)
    partials: list[tuple[int, int, T]]

    def push(self, index: int, value: T) -> None:
        """Add the value of microbatch `index`, which follows the last one; takes it over."""


class TreeAccumulator(Generic[T]):
    """The partial sums of a contiguous range of values, as far as the tree adds them within it.

    Values are added as they come, like a binary counter; at most log2(count) + 1 are held.

    Parameters
    ----------
    count : values in the whole tree, of all ranks
    add : adds its second argument to its first, in place
    """

    def __init__(self, count: int, add: Callable[[T, T], object]):
        self._count = count
        self._add = add
        self.partials: list[tuple[int, int, T]] = []

    def push(self, index: int, value: T) -> None:
        """Add the value of microbatch `index`: the one after the last, or the range's first."""
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
    """The tree nodes whose partial sums a rank contributes to a reduction.

    >>> contributed_nodes(1, 3, 8)
    ((2, 4), (4, 5))
    """
    return covering_nodes(*microbatch_range(rank, size, count), count)


def equal_bounds(length: int, size: int) -> list[int]:
    """Bounds of `size` slices of `length` elements, equal to within one: slice r is [b[r], b[r+1]).

    >>> equal_bounds(10, 4)
    [0, 2, 5, 7, 10]
    """
    return [rank * length // size for rank in range(size + 1)]


def combine(
    partials: Mapping[Interval, Array],
    node: Interval,
    outs: Sequence[Array],
    elements: slice,
    divisor: float = 1,
) -> None:
    """Add partial sums in the tree's order, divide, and write the result into all `outs`.

    Parameters
    ----------
    partials : by tree node: flat arrays (n,) of one dtype, which cover `node` or more
    node : the microbatches to add
    outs : flat arrays (n,); each may be one of the partial sums
    elements : which of the n elements to add; the others of `outs` stay as they are
    divisor : of the sum

    >>> import numpy as np
    >>> partials = {(0, 2): np.array([1.0, 2.0]), (2, 3): np.array([3.0, 4.0])}
    >>> out = np.zeros(2)
    >>> combine(partials, (0, 3), [out], slice(None), divisor=2)
    >>> out
    array([2., 3.])
    """
    inverse = _exact_inverse(outs[0].dtype, divisor)
    is_real = outs[0].dtype.kind != "c"
    if is_real and inverse is not None and _are_both_halves(partials, node, outs):
        with on_device_of(outs[0]):
            kernels.mean_of_both(outs[0][elements], outs[1][elements], inverse)
        return
    start, stop, _ = elements.indices(len(outs[0]))
    is_in_place = partials.get(node) is outs[0]
    with on_device_of(outs[0]):
        for here in pieces(outs[0], _PIECE, start, stop):
            first, *others = (out[here] for out in outs)
            if not is_in_place:
                _sum_node(partials, *node, here, into=first)
            if divisor != 1:
                divide(first, divisor)
            for other in others:
                other[...] = first


def _are_both_halves(
    partials: Mapping[Interval, Array], node: Interval, outs: Sequence[Array]
) -> bool:
    """Whether two ranks have one partial sum each, which are the two arrays of `outs`."""
    low, high = node
    if len(outs) != 2 or high - low < 2:
        return False
    middle = split(low, high)
    return partials.get((low, middle)) is outs[0] and partials.get((middle, high)) is outs[1]


def divide(flat: Array, divisor: float) -> None:
    """Divide `flat` in place; by a multiplication where that gives the same bits."""
    if flat.dtype.kind == "c":  # both parts, as real numbers: infinity stays infinity
        flat = flat.view(real_dtype(flat.dtype))
    inverse = _exact_inverse(flat.dtype, divisor)
    if inverse is None:
        flat /= flat.dtype.type(divisor)
    else:
        flat *= inverse


@functools.lru_cache(maxsize=1024)
def _exact_inverse(dtype: np.dtype, divisor: float) -> Any:
    """The factor whose product has the bits of the quotient; None if there is no such factor.

    On the host a division takes about as long as all the rest of a reduction.
    """
    number, inverse = dtype.type(divisor), dtype.type(1 / divisor)
    is_power_of_two = math.frexp(divisor)[0] == 0.5
    return inverse if is_power_of_two and number * inverse == 1 else None  # None: of integers, too


def _sum_node(
    partials: Mapping[Interval, Array], low: int, high: int, here: slice, into: Array | None = None
) -> Array:
    """The sum over a node of the tree: in `into`, else a new array or a view of a partial sum."""
    partial = partials.get((low, high))
    if partial is not None:
        total = partial[here]
        if into is not None:
            into[...] = total
        return total
    middle = split(low, high)
    left = _sum_node(partials, low, middle, here)
    right = _sum_node(partials, middle, high, here)
    return array_module(left).add(left, right, out=into)
