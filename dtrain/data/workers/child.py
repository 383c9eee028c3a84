"""A worker process: takes tasks from its loader, and answers by batches in shared memory.

It is a copy of the fork server, which has imported dtrain and knows nothing of MPI. To the dataset
it has the rank and the world size of its loader, and it talks to no other rank.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dtrain.backend import manual_seed
from dtrain.data.batches import BatchMaker, BatchTask
from dtrain.data.keyed_random import Key, StreamReader
from dtrain.data.workers.info import WorkerInfo, become_worker, was_asked
from dtrain.data.workers.packing import pack, pack_program, unpack
from dtrain.data.workers.segments import SegmentWriter, Written, cut, send_descriptor
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.distributed.world import set_communicator

#: the ticket of a worker's first message, which no task has
READY = -1
#: a smaller answer travels in the message itself
_INLINE_BYTES = 1024
#: a larger array has a segment of its own, so that it does not keep the rest of its batch alive
_LARGE_BYTES = 1 << 16


class Start(NamedTuple):
    """The first message to a worker."""

    id: int
    num_workers: int
    seed: int
    rank: int
    world_size: int
    sizes: tuple[int, ...]  # of the pickle of (dataset, maker, init_fn), and of its arrays


class ReadTask(NamedTuple):
    """The next samples of a stream."""

    key: Key
    shard: int
    length: int
    iteration: int  # another one for each time that the stream is read

    def describe(self) -> str:
        return f"{self.length} samples of the stream"


class ReadSamples(NamedTuple):
    """The answer to a `ReadTask`."""

    samples: list[Any]  # fewer than asked for at the stream's end
    is_sharded: bool  # whether the stream asked which worker reads it


class Failure(NamedTuple):
    """The answer to a task that raised."""

    error: Exception
    text: str  # its traceback


class Answer(NamedTuple):
    """The answer to one task: a packed result, in the message or in segments."""

    ticket: int
    failed: bool
    inline: bytes
    written: list[Written]  # the pickle with the small arrays, then each of the large ones
    is_large: list[bool]  # of each array


class _WorkerCommunicator(SoloCommunicator):
    """The communicator in a worker: it has the rank and size of the loader, and sends nothing."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError(
            "a DataLoader's worker process cannot communicate with other ranks: do it in the "
            "program, before the loader starts, and give the dataset the result"
        )

    allgather = barrier = broadcast = duplicate = subgroup = isend = irecv = _refuse
    all_reduce = reduce_scatter = all_gather_slices = all_to_all_slices = _refuse
    native_all_reduce = _refuse


def run_worker(conn: Connection, memory: np.ndarray) -> None:
    """Answer tasks until the loader closes the connection.

    Parameters
    ----------
    conn : to the loader
    memory : the pickle of dataset and functions, and the arrays in it, private to this process
    """
    start: Start = conn.recv()
    set_communicator(_WorkerCommunicator(start.rank, start.world_size))
    worker = _Worker(conn)
    try:
        data, *buffers = cut(memory, start.sizes)
        dataset, maker, init_fn = unpack(data.tobytes(), buffers)
        become_worker(WorkerInfo(start.id, start.num_workers, start.seed + start.id, dataset))
        manual_seed(start.seed)
        if init_fn is not None:
            init_fn(start.id)
    except Exception as error:
        worker.answer(READY, _describe_failure(error), failed=True)
        return
    with contextlib.suppress(ConnectionError, EOFError):  # the loader has ended
        worker.answer(READY, None, failed=False)
        worker.serve(dataset, maker)


class _Worker:
    def __init__(self, conn: Connection):
        self._conn = conn
        self._segments = SegmentWriter()
        self._stream: StreamReader | None = None
        self._iteration = -1  # the one of the stream

    def serve(self, dataset: Any, maker: BatchMaker) -> NoReturn:
        """Answer tasks until the connection ends."""
        while True:
            ticket, task, released = self._conn.recv()
            for segment in released:
                self._segments.release(segment)
            try:
                result, failed = self._run(dataset, maker, task), False
            except Exception as error:
                result, failed = _describe_failure(error), True
            self.answer(ticket, result, failed)

    def _run(self, dataset: Any, maker: BatchMaker, task: BatchTask | ReadTask) -> Any:
        if isinstance(task, BatchTask):
            return maker.make(dataset, task)
        if self._stream is None or self._iteration != task.iteration:
            self._stream = StreamReader(iter(dataset), task.key, task.shard)
            self._iteration = task.iteration
        return ReadSamples(self._stream.read(task.length), was_asked())

    def answer(self, ticket: int, result: Any, failed: bool) -> None:
        """Send a result; its arrays are copied to shared memory."""
        try:
            data, buffers = pack(result)
        except Exception:  # of a class that the program itself defines
            try:
                data, buffers, _ = pack_program(result, "batch")
            except TypeError as error:
                failed = True
                data, buffers = pack(_describe_failure(error))
        if not buffers and len(data) <= _INLINE_BYTES:
            self._conn.send(Answer(ticket, failed, data, [], []))
            return
        is_large = [len(buffer) > _LARGE_BYTES for buffer in buffers]
        small = [buffer for buffer, large in zip(buffers, is_large) if not large]
        parts: list[list[bytes | memoryview]] = [[data, *small]]
        parts += [[b] for b, large in zip(buffers, is_large) if large]
        written = [self._segments.write(part) for part in parts]
        self._conn.send(Answer(ticket, failed, b"", [w for w, _ in written], is_large))
        for _, fd in written:
            if fd is not None:
                send_descriptor(self._conn, fd)
                os.close(fd)


def _describe_failure(error: Exception) -> Failure:
    """The exception and its traceback; a RuntimeError instead of one that cannot be pickled."""
    text = "".join(traceback.format_exception(error))
    try:
        unpack(*pack_program(error, "error")[:2])
    except Exception:
        error = RuntimeError(f"{type(error).__qualname__}: {error}")
    return Failure(error.with_traceback(None), text)
