"""Exchanges in which each rank sends something else to each (torch.distributed.all_to_all), and
barriers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.distributed.collectives import describe, flatten_to_host, write_values
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.process_group import Group, require_member
from dtrain.distributed.work import Work
from dtrain.errors import DesyncError

_TAG = 32_000  # of messages between the ranks of an exchange; MPI has tags up to 32,767


def all_to_all(
    output_tensor_list: Sequence[Tensor],
    input_tensor_list: Sequence[Tensor],
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Send the r-th input to rank r, and write what rank r has sent into the r-th output.

    As torch.distributed.all_to_all; the tensors may have different shapes.
    """
    found = require_member(group, "all_to_all")
    if found is None:
        return None
    for name, tensors in (("output", output_tensor_list), ("input", input_tensor_list)):
        if len(tensors) != found.size():
            raise ValueError(
                f"all_to_all: expected {name}_tensor_list of {found.size()} tensors, one a rank, "
                f"got {len(tensors)}"
            )

    def call(comm: Communicator) -> None:
        _exchange(comm, "all_to_all", input_tensor_list, output_tensor_list)

    return found.run(call, async_op, [*output_tensor_list])


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Send the r-th part of `input`, cut along dimension 0, to rank r (torch's).

    Parts are of equal length where no sizes are given.
    """
    found = require_member(group, "all_to_all_single")
    if found is None:
        return None
    sent = _split("input", input, input_split_sizes, found.size())
    received = _split("output", output, output_split_sizes, found.size())

    def call(comm: Communicator) -> None:
        _exchange(comm, "all_to_all_single", sent, received)

    return found.run(call, async_op, [output])


def _split(name: str, tensor: Tensor, sizes: Sequence[int] | None, ranks: int) -> list[Tensor]:
    length = tensor.shape[0] if tensor.ndim else 0
    if not sizes:
        if length % ranks:
            raise ValueError(
                f"all_to_all_single: {name} has {length} rows, which {ranks} ranks do not divide: "
                f"give {name}_split_sizes"
            )
        sizes = [length // ranks] * ranks
    if len(sizes) != ranks or sum(sizes) != length:
        raise ValueError(
            f"all_to_all_single: expected {name}_split_sizes of {ranks} lengths that add up to "
            f"{length}, got {list(sizes)}"
        )
    data = tensor.detach()
    return [data[a:b] for a, b in itertools.pairwise(itertools.accumulate(sizes, initial=0))]


def _exchange(
    comm: Communicator, name: str, sent: Sequence[Tensor], received: Sequence[Tensor]
) -> None:
    told = comm.allgather([list(map(describe, sent)), list(map(describe, received))], name)
    for source, (theirs, _) in enumerate(told):
        for to, (_, expected) in enumerate(told):
            if theirs[to] != expected[source]:
                raise DesyncError(
                    f"{name}: rank {source} sends {theirs[to]} to rank {to}, which expects "
                    f"{expected[source]}"
                )
    transfers: list[Any] = []
    for rank in range(comm.size):
        out, own = received[rank], sent[rank]
        if rank == comm.rank:
            write_values(out, own.array)
            continue
        inbox = np.empty(out.numel(), out.dtype)
        transfers.append((comm.irecv(inbox, rank, _TAG), inbox, out))
    pending = [
        comm.isend(flatten_to_host(own), rank, _TAG)
        for rank, own in enumerate(sent)
        if rank != comm.rank
    ]
    for transfer, inbox, out in transfers:
        transfer.wait()
        write_values(out, inbox)
    for transfer in pending:
        transfer.wait()


def barrier(
    group: Group = None, async_op: bool = False, device_ids: Sequence[int] | None = None
) -> Work | None:
    """Wait until every rank has called it (torch.distributed.barrier).

    Raises
    ------
    RankFailedError
        If a rank raised or exited instead.

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.barrier()
    """
    found = require_member(group, "barrier")
    return None if found is None else found.run(lambda comm: comm.barrier(), async_op, [])


def monitored_barrier(
    group: Group = None, timeout: timedelta | None = None, wait_all_ranks: bool = False
) -> None:
    """`barrier`, which names late ranks by itself (torch.distributed.monitored_barrier).

    The watchdog names them after ``dtrain run --stall-warning`` seconds, and ends the job after
    ``--stall-timeout``; `timeout` and `wait_all_ranks` have no effect.
    """
    barrier(group)
