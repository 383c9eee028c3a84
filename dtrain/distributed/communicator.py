"""The protocol of communicators, and the one of a world of one.

A communicator moves bytes between ranks; what is added to what, and in which order, is decided
in `reduce.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dtrain.backend import Array


class Communicator(Protocol):
    """What the library asks of a set of ranks; all make the same calls in the same order."""

    rank: int
    size: int

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """The root's value, on every rank: a Python object or an array."""

    def allgather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order; for small Python objects."""

    def exchange(self, flat: Array, bounds: Sequence[int], senders: Sequence[int]) -> list[Array]:
        """Each sender gives rank r the slice bounds[r]:bounds[r + 1] of its flat array.

        Returns the slices for this rank, one a sender. They may be the senders' own memory:
        read them before `gather_slices`. `flat` of a rank that is no sender tells the dtype.
        """

    def gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        """Fill in `flat`, of which rank r holds the right slice bounds[r]:bounds[r + 1]."""


class SoloCommunicator:
    """A world of one: there is nobody to talk to."""

    rank, size = 0, 1

    def barrier(self) -> None:
        pass

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return value

    def allgather(self, value: Any) -> list[Any]:
        return [value]

    def exchange(self, flat: Array, bounds: Sequence[int], senders: Sequence[int]) -> list[Array]:
        return [flat]

    def gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        pass
