"""The reduction whose bits do not depend on the number of ranks.

M values, of microbatches 0 ... M - 1, are added by one fixed binary tree over [0, M): a node
[low, high) splits at low + the largest power of two below its length. A rank has a contiguous
run of the values. It adds what the tree adds within its run (`TreeSum`), and `all_reduce` folds
the ranks' blocks in the tree's order. Any number of ranks up to M gives the same bits; with a
power of two, each rank has one block, and sends and receives what the best allreduce does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.backend import Array
from dtrain.distributed.communicator import Communicator

Interval = tuple[int, int]


def run_of(rank: int, size: int, count: int) -> Interval:
    """The microbatches of a rank: a run of them, of equal length to within one.

    >>> [run_of(rank, 3, 8) for rank in range(3)]
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
def blocks_of(low: int, high: int, count: int) -> tuple[Interval, ...]:
    """The largest nodes of the tree over [0, count) that make up the run [low, high).

    >>> blocks_of(2, 5, 8)
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


class TreeSum:
    """The sum of a run of values, as far as the tree adds them within the run.

    Values are added as they come, like a binary counter; at most log2(count) + 1 are held.
    """

    def __init__(self, count: int, add: Callable[[Any, Any], None]):
        self._count = count
        self._add = add  # adds its second argument to its first, in place
        self.blocks: list[tuple[int, int, Any]] = []

    def push(self, index: int, value: Any) -> None:
        """Take the value of microbatch `index`: the one after the last, or the run's first."""
        assert not self.blocks or self.blocks[-1][1] == index
        self.blocks.append((index, index + 1, value))
        while len(self.blocks) > 1:
            (low, middle, left), (_, high, right) = self.blocks[-2:]
            if blocks_of(low, high, self._count) != ((low, high),):
                break
            assert split(low, high) == middle
            self._add(left, right)
            self.blocks[-2:] = [(low, high, left)]


def all_reduce(
    comm: Communicator, blocks: Sequence[Array], out: Array, count: int, divisor: float = 1
) -> None:
    """Fold all ranks' blocks in the tree's order, divide, and leave the result in every `out`.

    Parameters
    ----------
    blocks : flat arrays of one length, this rank's values for `blocks_of` its run
    out : flat array for the result; may be one of the blocks
    count : the number of microbatches
    """
    bounds = [rank * len(out) // comm.size for rank in range(comm.size + 1)]
    plans = [blocks_of(*run_of(rank, comm.size, count), count) for rank in range(comm.size)]
    assert len(blocks) == len(plans[comm.rank])
    parts: dict[Interval, Array] = {}
    for turn in range(max(len(plan) for plan in plans)):
        senders = [rank for rank, plan in enumerate(plans) if turn < len(plan)]
        flat = blocks[turn] if turn < len(blocks) else out
        for sender, part in zip(senders, comm.exchange(flat, bounds, senders)):
            parts[plans[sender][turn]] = part
    own = out[bounds[comm.rank] : bounds[comm.rank + 1]]
    total = _fold(parts, 0, count)
    if total is not out:  # in a world of one it is
        own[...] = total
    if divisor != 1:
        own /= own.dtype.type(divisor)
    comm.gather_slices(out, bounds)


def _fold(parts: dict[Interval, Array], low: int, high: int) -> Array:
    if (low, high) in parts:
        return parts[low, high]
    middle = split(low, high)
    return _fold(parts, low, middle) + _fold(parts, middle, high)
