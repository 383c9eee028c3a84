"""What should be the same on all ranks: digests of arrays, and the first entry that differs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from dtrain.backend import Array, to_host

T = TypeVar("T")


@dataclass(frozen=True)
class Difference(Generic[T]):
    """The first entry at which the ranks' lists differ.

    Attributes
    ----------
    position : int
        Its place in the lists.
    entries : list
        The entry of each rank; None where the rank's list has ended.
    others : list of int
        The ranks whose lists are unlike rank 0's, here or further on.
    """

    position: int
    entries: list[T | None]
    others: list[int]

    @property
    def rank(self) -> int:
        """The lowest rank whose entry is unlike rank 0's."""
        return next(r for r, entry in enumerate(self.entries) if entry != self.entries[0])

    def describe_entries(self) -> str:
        """Rank 0's entry, the first unlike it, and all ranks whose lists are unlike rank 0's."""
        here, there = self.entries[0] or "no more", self.entries[self.rank] or "no more"
        return (
            f"where rank 0 has {here}, rank {self.rank} has {there} "
            f"(ranks unlike rank 0: {self.others})"
        )

    def describe_groups(self) -> str:
        """The ranks that have the same entry, in words: "rank 0, 2 unlike rank 1"."""
        groups: dict[T | None, list[int]] = {}
        for rank, entry in enumerate(self.entries):
            groups.setdefault(entry, []).append(rank)
        return " unlike ".join(f"rank {', '.join(map(str, group))}" for group in groups.values())


def find_difference(ranks: Sequence[Sequence[T]]) -> Difference[T] | None:
    """The first difference between lists that should be the same; None if there is none.

    Parameters
    ----------
    ranks : the list of each rank; its entries can be hashed

    >>> find_difference([["a", "b"], ["a", "c"], ["a", "b"]]).describe_groups()
    'rank 0, 2 unlike rank 1'
    >>> find_difference([["a"], ["a"]])
    """
    others = [rank for rank, entries in enumerate(ranks) if entries != ranks[0]]
    for index in range(max(map(len, ranks)) if others else 0):
        at_index = [entries[index] if index < len(entries) else None for entries in ranks]
        if any(entry != at_index[0] for entry in at_index):
            return Difference(index, at_index, others)
    return None


def digest_arrays(arrays: Iterable[Array]) -> bytes:
    """A digest of the bytes of arrays, on the host or a device."""
    hasher = hashlib.blake2b(digest_size=16)
    for array in arrays:
        flat = np.ascontiguousarray(to_host(array)).reshape(-1)
        hasher.update(flat.view(np.uint8).data)
    return hasher.digest()
