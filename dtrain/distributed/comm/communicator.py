"""What the library asks of a set of ranks, and the communicator of a world of one.

A communicator moves bytes between ranks; what is added to what, and in which order, is decided
in `tree_reduce.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dtrain.backend import Array
from dtrain.distributed.comm.messages import Transfer
from dtrain.distributed.comm.tree_reduce import combine


class ArrayCollectives(Protocol):
    """The collectives on arrays; all ranks make the same calls in the same order.

    Arrays are contiguous, of one dimension, and of the same length and dtype on all ranks.

    A reduction adds `count` values, one a microbatch, in the order of the tree reduction. A rank
    contributes a partial sum for each of the tree nodes `contributed_nodes(rank, size, count)`.
    The call overwrites the partial sums.
    """

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        """Write the sum of all values, divided by `divisor`, into `out` on every rank.

        Parameters
        ----------
        partials : this rank's partial sums, (n,) each
        out : (n,); may be one of the partial sums
        count : the number of values on all ranks

        See Also
        --------
        MPI_Allreduce (MPI 4.1, section 6.9)
        """

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        """As `all_reduce`, but rank r gets ``out[bounds[r]:bounds[r + 1]]`` alone.

        The rest of `out` is undefined. `bounds` has size + 1 elements.
        """

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        """Complete `flat`, in place: before, rank r has the slice bounds[r]:bounds[r + 1] of it."""

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        """Replace `flat` by its sum over the ranks, divided, in the order that MPI or NCCL takes.

        The bits depend on the number of ranks.
        """


class Communicator(ArrayCollectives, Protocol):
    """A set of ranks that make the same calls in the same order; every call blocks.

    Attributes
    ----------
    rank, size : int
        This rank, from 0, and the number of ranks.
    node_size : int
        The number of ranks, this one included, that share memory with this one.
    over_network : bool
        Whether some ranks are on other machines: then messages take time, but no core.
    elastic : bool
        Whether survivors can go on when ranks fail; it is an `ElasticCommunicator` then.

    Raises
    ------
    RankFailedError
        From every call, if a rank that it waits for has failed.
    DesyncError
        From every call, if the ranks are in different calls, or give different arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from dtrain.distributed import run_ranks, world
    >>> from dtrain.distributed.comm.tree_reduce import contributed_nodes
    >>> def body():
    ...     comm = world.communicator()
    ...     nodes = contributed_nodes(comm.rank, comm.size, 4)  # of microbatches 0, 1, 2, 3
    ...     partials = [np.full(2, sum(range(*node)), np.float32) for node in nodes]
    ...     comm.all_reduce(partials, partials[0], count=4, divisor=4)
    ...     return comm.allgather(comm.rank), partials[0].tolist()
    >>> run_ranks(2, body)
    [([0, 1], [1.5, 1.5]), ([0, 1], [1.5, 1.5])]
    """

    rank: int
    size: int
    over_network: bool
    elastic: bool
    node_size: int

    def duplicate(self) -> Communicator:
        """The same ranks, whose calls do not mix with this one's: for another thread.

        All ranks call it (MPI_Comm_dup).
        """

    def subgroup(self, ranks: Sequence[int]) -> Communicator | None:
        """The communicator of some of these ranks, in ascending order; None on the other ranks.

        All ranks call it (MPI_Comm_split). A subgroup has no subgroups, and one duplicate.
        """

    def isend(self, flat: np.ndarray, to: int, tag: int = 0) -> Transfer:
        """Send a flat host array to another rank; it may change at once (MPI_Isend)."""

    def irecv(self, flat: np.ndarray, source: int | None, tag: int = 0) -> Transfer:
        """Receive into a flat host array, from any rank if `source` is None (MPI_Irecv)."""

    def clock_offset_ns(self) -> int:
        """Nanoseconds to add to this rank's `time.perf_counter_ns` for rank 0's."""

    def barrier(self) -> None:
        """Wait until every rank has called it."""

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """Return rank `root`'s value on every rank: an array, or a Python object (pickled)."""

    def allgather(self, value: Any, what: str = "a value") -> list[Any]:
        """Return every rank's value, in rank order: Python objects, small ones.

        `what` names the value. Ranks that gather different values raise DesyncError.
        """

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Allocate (size,) in host memory whose reduction needs no copies; not initialized."""

    def empty_on_node(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Allocate (size,) once on each machine: its ranks share one array; not initialized.

        All ranks call it. It is freed when no rank refers to it any more.
        """

    def complete_on_nodes(
        self, flats: Sequence[np.ndarray], bounds: Sequence[Sequence[int]]
    ) -> None:
        """Complete arrays of `empty_on_node`: before, rank r has written the slice
        bounds[i][r]:bounds[i][r + 1] of ``flats[i]``."""

    def all_to_all_slices(
        self, flats: Sequence[np.ndarray], bounds: Sequence[int], count: int
    ) -> list[np.ndarray]:
        """Return this rank's slice bounds[rank]:bounds[rank + 1] of all `count` values.

        `flats` are the values of this rank's microbatches, (n,) each (MPI_Alltoallv).
        """


class ElasticCommunicator(Communicator, Protocol):
    """A communicator whose survivors can go on when ranks fail (MPI's ULFM)."""

    def commit(self) -> bool:
        """End a transaction that this rank has done.

        Returns False if a rank failed and all survivors have to repeat the transaction.
        """

    def revoke(self) -> None:
        """End all calls of all ranks by a RankFailedError, now and until they `recover`."""

    def recover(self) -> bool:
        """Shrink the communicator to the survivors, all of whom call it.

        Returns whether the transaction is committed; otherwise all survivors repeat it.
        """


class SoloCommunicator(Communicator):
    """The communicator of a world of one."""

    rank: int = 0
    size: int = 1
    node_size: int = 1
    over_network: bool = False
    elastic: bool = False

    def duplicate(self) -> SoloCommunicator:
        return self

    def subgroup(self, ranks: Sequence[int]) -> SoloCommunicator | None:
        return self if ranks else None

    def isend(self, flat: np.ndarray, to: int, tag: int = 0) -> Transfer:
        raise ValueError("send: a world of one has no other rank")

    def irecv(self, flat: np.ndarray, source: int | None, tag: int = 0) -> Transfer:
        raise ValueError("recv: a world of one has no other rank")

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

    def empty_on_node(self, size: int, dtype: np.dtype) -> np.ndarray:
        return np.empty(size, dtype)

    def complete_on_nodes(
        self, flats: Sequence[np.ndarray], bounds: Sequence[Sequence[int]]
    ) -> None:
        pass

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
