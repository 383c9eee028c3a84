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
    header = array("q", [len(data), sequence_number, zlib.crc32(data)])
    told = array("q", [-1]) * (_FIELDS * comm.Get_size())
    comm.Allgather(header, told)
    headers = [told[start : start + _FIELDS] for start in range(0, len(told), _FIELDS)]
    for rank, (length, number, _) in enumerate(headers):
        if number != sequence_number or length < 0:
            raise IncompleteMessageError(
                f"rank {rank}'s header is of message {number}, expected {sequence_number}"
            )
    lengths = [length for length, _, _ in headers]
    received = bytearray(sum(lengths))
    comm.Allgatherv([data, len(data)], [received, lengths])
    values, start = [], 0
    for rank, (length, _, checksum) in enumerate(headers):
        message = memoryview(received)[start : start + length]
        if zlib.crc32(message) != checksum:
            raise IncompleteMessageError(
                f"rank {rank}'s message {sequence_number} was not received"
            )
        values.append(pickle.loads(message))
        start += length
    return values
