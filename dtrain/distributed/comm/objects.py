"""Python objects as messages that a rank can verify: a length, a sequence number, a checksum.

Open MPI's Allgatherv may report success and leave the receive buffer untouched when a rank dies in
it. What then lies there is garbage, or the message before.
"""

from __future__ import annotations

import pickle
import zlib
from array import array
from typing import Any

_FIELDS = 3  # of a header: length, sequence number, checksum
_BLOCK_BYTES = 1 << 30  # of one broadcast: MPI counts in 32 bits


class IncompleteMessageError(Exception):
    """A message did not arrive as its sender's header says, although MPI reported success."""


def allgather_objects(comm: Any, value: Any, sequence_number: int) -> list[Any]:
    """Every rank's value, in rank order.

    Parameters
    ----------
    comm : mpi4py's communicator
    value : any object that can be pickled
    sequence_number : the same on all ranks, and another in the next call

    Raises
    ------
    IncompleteMessageError
        If a message is not of this call, or differs from what was sent.
    """
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    told = array("q", [-1]) * (_FIELDS * comm.Get_size())
    comm.Allgather(_make_header(data, sequence_number), told)
    headers = [told[start : start + _FIELDS] for start in range(0, len(told), _FIELDS)]
    for rank, header in enumerate(headers):
        _check_header(header, rank, sequence_number)
    lengths = [length for length, _, _ in headers]
    received = bytearray(sum(lengths))
    comm.Allgatherv([data, len(data)], [received, lengths])
    values, start = [], 0
    for rank, header in enumerate(headers):
        message = memoryview(received)[start : start + lengths[rank]]
        values.append(_load_message(message, header, rank))
        start += lengths[rank]
    return values


def broadcast_object(comm: Any, value: Any, sequence_number: int, root: int = 0) -> Any:
    """Rank `root`'s value, on every rank; the parameters and exceptions of `allgather_objects`."""
    is_root = comm.Get_rank() == root
    data = bytearray(pickle.dumps(value, pickle.HIGHEST_PROTOCOL) if is_root else b"")
    header = _make_header(data, sequence_number) if is_root else array("q", [-1]) * _FIELDS
    comm.Bcast(header, root)
    _check_header(header, root, sequence_number)
    message = memoryview(data if is_root else bytearray(header[0]))
    for start in range(0, len(message), _BLOCK_BYTES):
        comm.Bcast(message[start : start + _BLOCK_BYTES], root)
    return value if is_root else _load_message(message, header, root)


def _make_header(data: bytes | bytearray, sequence_number: int) -> array[int]:
    return array("q", [len(data), sequence_number, zlib.crc32(data)])


def _check_header(header: array[int], rank: int, sequence_number: int) -> None:
    length, number, _ = header
    if number != sequence_number or length < 0:
        raise IncompleteMessageError(
            f"rank {rank}'s header is of message {number}, expected {sequence_number}"
        )


def _load_message(message: memoryview, header: array[int], rank: int) -> Any:
    """The object in a message that rank `rank` sent under `header`."""
    _, number, checksum = header
    if zlib.crc32(message) != checksum:
        raise IncompleteMessageError(f"rank {rank}'s message {number} was not received")
    return pickle.loads(message)
