"""Messages between two ranks: arrays whose dtype and length the receiver compares with its own.

A message is a header and the bytes of an array. It is sent and received without waiting; a
`Transfer` waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dtrain.distributed.comm.polling import poll
from dtrain.distributed.watchdog.collective_log import MessageLog, describe_array
from dtrain.errors import DesyncError

_HEADER_BYTES = 32  # the name of the dtype, and the number of elements
_PART_BYTES = 1 << 30  # of one MPI message: MPI counts in 32 bits


class Transfer(Protocol):
    """A message in flight."""

    def is_complete(self) -> bool:
        """Whether the message has been sent, or received."""

    def wait(self) -> int:
        """Wait until the message has been sent or received; returns the other rank.

        Raises
        ------
        DesyncError
            If the message is of another dtype or length than the array that receives it.
        RankFailedError
            If the other rank has ended.
        """


def require_same_kind(sent: np.ndarray, expected: np.ndarray, source: int, tag: int) -> None:
    """Compare a message with the array that is to hold it; both are flat."""
    if (sent.dtype, len(sent)) != (expected.dtype, len(expected)):
        raise _different_message(describe_array(sent), expected, source, tag)


def _different_message(sent: str, expected: np.ndarray, source: int, tag: int) -> DesyncError:
    return DesyncError(
        f"recv: rank {source} has sent a tensor{sent} (tag {tag}), but the tensor that receives "
        f"it is{describe_array(expected).removeprefix(' of')}: give tensors of one dtype and shape "
        "on both ranks"
    )


class MpiTransfer(Transfer):
    """A message over MPI; `MessageChannel.isend` and `irecv` return it.

    Parameters
    ----------
    requests : mpi4py's, one for each part of the message
    packed : the header and the bytes
    flat : the array that receives the bytes; None where they are sent
    peer : the other rank; None for any
    channel : the channel that sends or receives it
    """

    def __init__(
        self,
        requests: list[Any],
        packed: np.ndarray,
        flat: np.ndarray | None,
        peer: int | None,
        tag: int,
        channel: MessageChannel,
    ):
        self._requests, self._packed, self._flat = requests, packed, flat
        self._peer, self._tag, self._channel = peer, tag, channel
        self._source: int | None = None

    def is_complete(self) -> bool:
        from mpi4py import MPI

        if self._source is not None:
            return True
        statuses = [MPI.Status() for _ in self._requests]
        try:
            if not MPI.Request.Testall(self._requests, statuses):
                return False
        except MPI.Exception as error:
            codes = [MPI.Get_error_class(s.Get_error()) for s in statuses]
            codes.append(error.Get_error_class())
            if self._flat is None or MPI.ERR_TRUNCATE not in codes:
                raise
            source = statuses[0].Get_source() if self._peer is None else self._peer
            raise _different_message(" of more bytes", self._flat, source, self._tag) from None
        self._source = statuses[0].Get_source() if self._peer is None else self._peer
        if self._flat is not None:
            self._unpack(self._flat, self._source)
        return True

    def _unpack(self, flat: np.ndarray, source: int) -> None:
        name = self._packed[:24].tobytes().rstrip(b"\0").decode()
        (length,) = self._packed[24:_HEADER_BYTES].view(np.int64)
        if (name, length) != (flat.dtype.name, len(flat)):
            raise _different_message(f" of {length} x {name}", flat, source, self._tag)
        flat.view(np.uint8)[...] = self._packed[_HEADER_BYTES:]

    def wait(self) -> int:
        peer = None if self._peer is None else self._channel.world_ranks[self._peer]
        what = "send to" if self._flat is None else "recv from"
        try:
            with self._channel.log.waiting(what, peer):
                poll(self.is_complete)
        except Exception as error:
            failure = self._channel.failure(error)
            if failure is error:
                raise
            raise failure from error
        assert self._source is not None
        return self._source


@dataclass(frozen=True)
class MessageChannel:
    """Sends and receives messages over MPI.

    Parameters
    ----------
    comm : mpi4py's communicator
    log : where the watchdog sees that the rank waits
    world_ranks : the number in the world of each rank of `comm`
    failure : the exception to raise for one of MPI's
    """

    comm: Any
    log: MessageLog
    world_ranks: Sequence[int]
    failure: Callable[[Exception], Exception]

    def isend(self, flat: np.ndarray, to: int, tag: int) -> MpiTransfer:
        """Send a flat array; it may change at once."""
        packed = _new_packed(flat)
        packed[:24] = np.frombuffer(flat.dtype.name.encode().ljust(24, b"\0"), np.uint8)
        packed[24:_HEADER_BYTES].view(np.int64)[0] = len(flat)
        packed[_HEADER_BYTES:] = flat.view(np.uint8)
        requests = [self.comm.Isend(part, to, tag) for part in _split(packed)]
        return MpiTransfer(requests, packed, None, to, tag, self)

    def irecv(self, flat: np.ndarray, source: int | None, tag: int) -> MpiTransfer:
        """Receive into a flat array: of a rank's messages of a tag in the order of the sends."""
        from mpi4py import MPI

        packed = _new_packed(flat)
        parts = _split(packed)
        if len(parts) > 1 and source is None:
            raise ValueError(
                f"recv: a tensor of {flat.nbytes} bytes comes in parts: name the rank that sends it"
            )
        sender = MPI.ANY_SOURCE if source is None else source
        requests = [self.comm.Irecv(part, sender, tag) for part in parts]
        return MpiTransfer(requests, packed, flat, source, tag, self)


def _new_packed(flat: np.ndarray) -> np.ndarray:
    return np.empty(_HEADER_BYTES + flat.nbytes, np.uint8)


def _split(packed: np.ndarray) -> Sequence[np.ndarray]:
    return [packed[a : a + _PART_BYTES] for a in range(0, len(packed), _PART_BYTES)]
