"""The protocol of communicators, and the one of a world of one.

A communicator moves bytes between ranks; what is added to what, and in which order, is decided
in `tree_reduce.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dtrain.backend import Array
from dtrain.distributed.comm.tree_reduce import combine


class Communicator(Protocol):
    """What the library asks of a set of ranks; all make the same calls in the same order.

    Reductions are of `count` values, one a microbatch. A rank contributes a partial sum for each
    of the tree nodes `contributed_nodes(rank, size, count)`: flat arrays of one length, which are
    overwritten.
    """

    rank: int
    size: int
    #: whether some ranks are on other machines, so that messages take time without a processor
    over_network: bool
    #: whether it is an ElasticCommunicator
    elastic: bool

    def duplicate(self) -> Communicator:
        """The same ranks, whose calls do not mix with this one's; for another thread."""

    def clock_offset_ns(self) -> int:
        """From this rank's `time.perf_counter_ns` to that of rank 0; every rank asks for it."""

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """The root's value, on every rank: a Python object or an array."""

    def allgather(self, value: Any, what: str = "a value") -> list[Any]:
        """Every rank's value, in rank order; for small Python objects. `what` it is for is
        compared, so that no rank takes another's for its own."""

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Host memory whose reduction needs no copies; not initialized."""

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        """The sum of all values, divided, in every `out`; it may be one of the partial sums."""

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        """As `all_reduce`, but rank r gets bounds[r]:bounds[r + 1] alone; the rest is undefined."""

    def all_to_all_slices(
        self, flats: Sequence[np.ndarray], bounds: Sequence[int], count: int
    ) -> list[np.ndarray]:
        """Slice bounds[r]:bounds[r + 1] of all `count` values, in order; a rank has its run's."""

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        """Fill in `flat`, of which rank r holds the right slice bounds[r]:bounds[r + 1]."""

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        """The sum of every rank's `flat`, divided, in the order that the library below takes."""


class ElasticCommunicator(Communicator, Protocol):
    """One whose ranks can go on when some are lost; see `recovery`."""

    def commit(self) -> bool:
        """End a stage that this rank has done; False if all are to do it again."""

    def revoke(self) -> None:
        """End all calls of all ranks, now and until they recover, by a RankFailedError."""

    def recover(self) -> bool:
        """Be the ranks that are left, all of whom call it; whether the stage is done."""


class SoloCommunicator:
    """A world of one: there is nobody to talk to."""

    rank: int
    size: int
    over_network: bool
    elastic: bool

    rank, size, over_network, elastic = 0, 1, False, False

    def duplicate(self) -> SoloCommunicator:
        return self

    def clock_offset_ns(self) -> int:
        return 0

    def barrier(self) -> None:
        pass

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return value

    def allgather(self, value: Any, what: str = "a value") -> list[Any]:
        return [value]

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        return np.empty(size, dtype)

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        (partial,) = partials
        combine({(0, count): partial}, (0, count), [out], slice(None), divisor)

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        self.all_reduce(partials, out, count, divisor)

    def all_to_all_slices(
        self, flats: Sequence[np.ndarray], bounds: Sequence[int], count: int
    ) -> list[np.ndarray]:
        return list(flats)

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        pass

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        self.all_reduce([flat], flat, 1, divisor)
