"""The communicator over MPI: shared memory within a node, messages between the nodes' leaders.

Device arrays go by NCCL; through host memory where NCCL cannot be had.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array
from dtrain.distributed.comm.communicator import (
    ArrayCollectives,
    ElasticCommunicator,
    SoloCommunicator,
)
from dtrain.distributed.comm.host_staging import HostStagedCollectives
from dtrain.distributed.comm.inter_node import InterNodeExchange, cut_slices, exchange
from dtrain.distributed.comm.messages import MessageChannel, Transfer
from dtrain.distributed.comm.nccl import NcclCollectives, connect
from dtrain.distributed.comm.node_local import NodeLocalGroup
from dtrain.distributed.comm.objects import (
    IncompleteMessageError,
    allgather_objects,
    broadcast_object,
)
from dtrain.distributed.comm.recovery import RecoveryState
from dtrain.distributed.comm.tree_reduce import (
    Interval,
    combine,
    contributed_nodes,
    covering_nodes,
    divide,
    equal_bounds,
    microbatch_range,
)
from dtrain.distributed.trace import clock
from dtrain.distributed.watchdog.call_site import find_call_site
from dtrain.distributed.watchdog.collective_log import (
    CollectiveLog,
    MessageLog,
    collective,
    describe_array,
)
from dtrain.distributed.watchdog.monitor import Watchdog
from dtrain.errors import DesyncError, RankFailedError

#: the tag of messages that nobody sends
_NO_MESSAGE = 32766
_NATIVE_ELEMENTS = 1 << 28  #: in one call of MPI's own Allreduce, which counts to 2**31


class MpiCommunicator(ElasticCommunicator):
    """All ranks of an mpi4py communicator; every call blocks.

    Parameters
    ----------
    comm : mpi4py's communicator, which nothing else may use
    elastic : whether survivors can go on when ranks fail (Open MPI's ULFM)
    watchdog : the watchdog of the communicator that this one duplicates, or is a subgroup of
    logs : of a subgroup: its collective log and its duplicate's, which the watchdog knows
    """

    def __init__(
        self,
        comm: Any,
        elastic: bool = False,
        watchdog: Watchdog | None = None,
        logs: Sequence[CollectiveLog] = (),
    ):
        from mpi4py import MPI

        self._mpi = MPI
        self.elastic = elastic
        self.collective_log: CollectiveLog = logs[0] if logs else CollectiveLog()
        self._reserved_logs = list(logs[1:])
        self._owns_watchdog = watchdog is None
        self.watchdog: Watchdog | None = watchdog or self._new_watchdog(comm)
        self._duplicates: list[MpiCommunicator] = []
        try:
            self._recovery = RecoveryState(comm)
            self._join(comm)
        except Exception as error:
            failure = self.failure(error)
            if failure is error:
                raise
            raise failure from error

    def _join(self, comm: Any) -> None:
        """Take the ranks of `comm` as this communicator's."""
        if (nccl := self.__dict__.pop("_nccl", None)) is not None:
            nccl.leave()  # a failed rank is in it
        self._comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self._world_ranks: Sequence[int] = range(self.size)
        self.node: NodeLocalGroup = NodeLocalGroup(comm, self.elastic, self.collective_log)
        self.node_size: int = self.node.size
        self._inter_node = (
            InterNodeExchange(comm, self.node) if len(self.node.all_ranks) > 1 else None
        )
        self.over_network: bool = self._inter_node is not None
        self.collective_log.sequence_number = 0  # survivors had begun different numbers of calls
        for duplicate in self._duplicates:
            duplicate._join(comm.Dup())
        if self.watchdog is not None and self._owns_watchdog:
            self.watchdog.join(comm.Dup())

    def _new_watchdog(self, comm: Any) -> Watchdog | None:
        threads_may_call = self._mpi.Query_thread() == self._mpi.THREAD_MULTIPLE
        has_others = comm.size > 1 or self.elastic
        return (
            Watchdog(self.collective_log, self.elastic) if has_others and threads_may_call else None
        )

    @collective()
    def duplicate(self) -> MpiCommunicator:
        reserved, self._reserved_logs = self._reserved_logs, []
        made = MpiCommunicator(self._comm.Dup(), self.elastic, self.watchdog, reserved)
        self._duplicates.append(made)
        if self.watchdog is not None and not reserved:
            self.watchdog.add_log(made.collective_log)
        return made

    @collective(lambda ranks: f" of ranks {', '.join(map(str, ranks))}")
    def subgroup(self, ranks: Sequence[int]) -> MpiCommunicator | None:
        # The other ranks have the logs, too: all watchdogs number the communicators alike.
        logs = [CollectiveLog(ranks=frozenset(ranks)) for _ in range(2)]
        if self.watchdog is not None:
            for log in logs:
                self.watchdog.add_log(log)
        color = 0 if self.rank in ranks else self._mpi.UNDEFINED
        comm = self._comm.Split(color, self.rank)
        if color != 0:
            return None
        made = MpiCommunicator(comm, watchdog=self.watchdog, logs=logs)
        made._world_ranks = sorted(ranks)
        return made

    # --- messages between two ranks ---

    def isend(self, flat: np.ndarray, to: int, tag: int = 0) -> Transfer:
        return self._messages.isend(flat, to, tag)

    def irecv(self, flat: np.ndarray, source: int | None, tag: int = 0) -> Transfer:
        return self._messages.irecv(flat, source, tag)

    @property
    def _messages(self) -> MessageChannel:
        log = MessageLog() if self.watchdog is None else self.watchdog.message_log
        return MessageChannel(self._comm, log, self._world_ranks, self.failure)

    # --- failed ranks ---

    def failure(self, error: Exception) -> Exception:
        """The exception that a collective raises for `error`: under ULFM, MPI errors mean that a
        rank failed."""
        if self.elastic and isinstance(error, (self._mpi.Exception, IncompleteMessageError)):
            return RankFailedError(f"a rank failed: {error}")
        return error

    def commit(self) -> bool:
        self._recovery.begin_commit()
        try:
            self.barrier()
        except RankFailedError:
            return self.recover()
        self._recovery.end_commit()
        return True

    def revoke(self) -> None:
        comms = [
            self._comm,
            self.node.comm,
            *(self._inter_node.comms() if self._inter_node else []),
        ]
        for comm in comms:
            comm.Revoke()
        for duplicate in self._duplicates:
            duplicate.revoke()
        if self.watchdog is not None and self._owns_watchdog:
            self.watchdog.revoke()

    def recover(self) -> bool:
        comm = self._comm
        while True:
            self.revoke()
            comm.Revoke()
            comm = comm.Shrink()
            try:
                survivors = self._recovery.exchange(comm)
                self._join(comm)
                break
            except (self._mpi.Exception, IncompleteMessageError):  # one more rank failed meanwhile
                continue
        return self._recovery.continue_with(survivors)

    # --- calls ---

    @collective()
    def clock_offset_ns(self) -> int:
        return clock.measure_clock_offset_ns(self._comm)

    @collective()
    def barrier(self) -> None:
        self._comm.Barrier()

    @collective(lambda value, root=0: f" from rank {root}")
    def broadcast(self, value: Any, root: int = 0) -> Any:
        return broadcast_object(self._comm, value, self.collective_log.sequence_number, root)

    @collective(lambda value, what="a value": f" for {what}")
    def allgather(self, value: Any, what: str = "a value") -> list[Any]:
        number = self.collective_log.sequence_number
        told = allgather_objects(self._comm, (what, value), number)
        if any(theirs != what for theirs, _ in told):
            sites = allgather_objects(self._comm, find_call_site(sys._getframe()), number)
            raise DesyncError(
                "the ranks call different collectives: "
                + ", ".join(
                    f"rank {rank} {theirs} ({site})"
                    for rank, ((theirs, _), site) in enumerate(zip(told, sites))
                )
            )
        return [theirs for _, theirs in told]

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        return self.node.empty(size, dtype)

    @collective(lambda size, dtype: f" of {size} x {dtype}")
    def empty_on_node(self, size: int, dtype: np.dtype) -> np.ndarray:
        return self.node.empty_once(size, dtype)

    @collective()
    def complete_on_nodes(
        self, flats: Sequence[np.ndarray], bounds: Sequence[Sequence[int]]
    ) -> None:
        self.node.barrier()
        if self._inter_node is not None:
            if self.node.rank == 0:
                for flat, slices in zip(flats, bounds):
                    self._inter_node.all_gather(flat, self._inter_node.bounds(slices))
            self.node.barrier()

    @collective(lambda partials, out, *_, **__: describe_array(out))
    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        if not isinstance(out, np.ndarray):
            with out.device:
                self._for_device(out).all_reduce(partials, out, count, divisor)
            return
        parts, outs = self._open(partials, out, count)
        if self._inter_node is None:
            combine(parts, (0, count), outs, self.node.slice_for(len(out)), divisor)
            self.node.barrier()
        else:
            sums = self._combine_in_node(parts, len(out), count)
            if self.node.rank == 0:
                bounds = self._inter_node.bounds(equal_bounds(len(out), self.size))
                self._inter_node.reduce_scatter(sums, outs[0], bounds, count, divisor)
                self._inter_node.all_gather(outs[0], bounds)
            self._copy_from_leader(outs, slice(None))
        if outs[self.node.rank] is not out:
            out[...] = outs[self.node.rank]

    @collective(lambda partials, out, *_, **__: describe_array(out))
    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        if not isinstance(out, np.ndarray):
            with out.device:
                self._for_device(out).reduce_scatter(partials, out, bounds, count, divisor)
            return
        own = slice(bounds[self.rank], bounds[self.rank + 1])
        parts, outs = self._open(partials, out, count)
        if self._inter_node is None:
            combine(parts, (0, count), [outs[self.node.rank]], own, divisor)
            self.node.barrier()
        else:
            sums = self._combine_in_node(parts, len(out), count)
            if self.node.rank == 0:
                self._inter_node.reduce_scatter(
                    sums, outs[0], self._inter_node.bounds(bounds), count, divisor
                )
            self._copy_from_leader(outs, own)
        if outs[self.node.rank] is not out:
            out[own] = outs[self.node.rank][own]

    @collective(lambda flats, *_, **__: describe_array(flats[0]))
    def all_to_all_slices(
        self, flats: Sequence[np.ndarray], bounds: Sequence[int], count: int
    ) -> list[np.ndarray]:
        ranges = [microbatch_range(rank, self.size, count) for rank in range(self.size)]
        length = bounds[self.rank + 1] - bounds[self.rank]
        values = [np.empty(length, flats[0].dtype) for _ in range(count)]
        for turn in range(max(high - low for low, high in ranges)):
            senders = [rank for rank, (low, high) in enumerate(ranges) if turn < high - low]
            flat = flats[turn] if turn < len(flats) else None
            for slices in cut_slices(bounds, flats[0].itemsize):
                own = slices[self.rank]
                here = slice(own.start - bounds[self.rank], own.stop - bounds[self.rank])
                received = exchange(
                    self._comm, self.node.runner, flat, flats[0].dtype, slices, senders
                )
                for sender, part in zip(senders, received):
                    values[ranges[sender][0] + turn][here] = part
        return values

    @collective(lambda flat, *_, **__: describe_array(flat))
    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        if not isinstance(flat, np.ndarray):
            with flat.device:
                self._for_device(flat).all_gather_slices(flat, bounds)
            return
        node = self.node
        flats = [arrays[0] for arrays in node.open([flat], 1)]
        for rank, theirs in zip(node.ranks, flats):
            part = slice(bounds[rank], bounds[rank + 1])
            if theirs is not flats[node.rank] and (self._inter_node is None or node.rank == 0):
                flats[node.rank][part] = theirs[part]
        node.barrier()
        if self._inter_node is not None:
            if node.rank == 0:
                self._inter_node.all_gather(flats[0], self._inter_node.bounds(bounds))
            self._copy_from_leader(flats, slice(None))
        if flats[node.rank] is not flat:
            flat[...] = flats[node.rank]

    @collective(lambda flat, *_, **__: describe_array(flat))
    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        if not isinstance(flat, np.ndarray):
            with flat.device:
                self._for_device(flat).native_all_reduce(flat, divisor)
            return
        if flat.dtype not in (np.float32, np.float64):  # MPI has no halves
            self.all_reduce([flat], flat, self.size, divisor)
            return
        for start in range(0, len(flat), _NATIVE_ELEMENTS):
            self._comm.Allreduce(self._mpi.IN_PLACE, flat[start : start + _NATIVE_ELEMENTS])
        if divisor != 1:
            divide(flat, divisor)

    def _for_device(self, array: Array) -> ArrayCollectives:
        """The collectives for device arrays of this dtype; collective at the first call."""
        if self.size == 1:
            return SoloCommunicator()
        if self._nccl is None or not self._nccl.takes(array):
            return HostStagedCollectives(self)
        return self._nccl

    @functools.cached_property
    def _nccl(self) -> NcclCollectives | None:
        check_ranks = self._check_ranks if self.elastic else None
        return connect(self._comm, self.collective_log, check_ranks)

    def _check_ranks(self) -> None:
        """Raise MPI's exception if a rank has failed, or a survivor has noticed that one has."""
        self._comm.Iprobe(self._mpi.ANY_SOURCE, _NO_MESSAGE)

    def _open(
        self, partials: Sequence[Array], out: Array, count: int
    ) -> tuple[dict[Interval, np.ndarray], list[np.ndarray]]:
        """The partial sums of all ranks of the node by tree node, and their `out` arrays."""
        plans = [contributed_nodes(rank, self.size, count) for rank in self.node.ranks]
        opened = self.node.open([out, *partials], most=1 + max(map(len, plans)))
        parts = {
            interval: partial
            for plan, (_, *theirs) in zip(plans, opened)
            for interval, partial in zip(plan, theirs)
        }
        return parts, [theirs[0] for theirs in opened]

    def _combine_in_node(
        self, parts: dict[Interval, np.ndarray], length: int, count: int
    ) -> list[np.ndarray]:
        """The node's own partial sums, in the memory of the first partial sum of each."""
        low, high = min(low for low, _ in parts), max(high for _, high in parts)
        starts = {low: partial for (low, _), partial in parts.items()}
        sums = []
        for interval in covering_nodes(low, high, count):
            sums.append(starts[interval[0]])
            combine(parts, interval, sums[-1:], self.node.slice_for(length))
        self.node.barrier()
        return sums

    def _copy_from_leader(self, flats: Sequence[np.ndarray], part: slice) -> None:
        self.node.barrier()
        if self.node.rank:
            flats[self.node.rank][part] = flats[0][part]
        self.node.barrier()  # the leader may overwrite its own only now
