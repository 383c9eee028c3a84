"""The protocol of communicators, and the one of a world of one.

A communicator moves bytes between ranks; what is added to what, and in which order, is decided
in `reduce.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dtrain.backend import Array


class Communicator(Protocol):
    """What the library asks of a set of ranks. Every rank makes the same calls in the same order."""

    rank: int
    size: int

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """The root's value, on every rank: a Python object or an array."""

    def allgather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order; for small Python objects."""

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Send `parts[r]` to rank r; returns what each rank sent here, in rank order.

        Part r has one length on all ranks, that of rank r's slice, or is empty. The arrays
        returned may be other ranks' memory: they hold until the next call.
        """

    def gather_slices(self, slices: Sequence[Array]) -> None:
        """Fill in `slices`, of which rank r holds the right values in the r-th, on every rank."""


class SoloCommunicator:
    """A world of one: there is nobody to talk to."""

    rank, size = 0, 1

    def barrier(self) -> None:
        pass

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return value

    def allgather(self, value: Any) -> list[Any]:
        return [value]

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        return list(parts)

    def gather_slices(self, slices: Sequence[Array]) -> None:
        pass
