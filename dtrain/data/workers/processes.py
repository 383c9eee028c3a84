"""The worker processes of a loader, as the loader sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from dtrain.data.batches import BatchMaker, BatchTask
from dtrain.data.workers.child import READY, Answer, Failure, ReadTask, Start
from dtrain.data.workers.packing import pack_program, unpack
from dtrain.data.workers.segments import (
    SegmentReader,
    create_segment,
    fill,
    lay_out,
    receive_descriptor,
)
from dtrain.data.workers.server import fork_server
from dtrain.distributed import world
from dtrain.distributed.watchdog.activity import activity

Task = BatchTask | ReadTask
_START_LIMIT_S = 120.0  # with a timeout, which begins when a worker has started


class _WorkerEnded(Exception):
    pass


@dataclass(eq=False)
class _Worker:
    id: int
    conn: Connection
    pid: int
    segments: SegmentReader
    tasks: dict[int, Task] = field(default_factory=dict)  # in the order of their answers
    is_ready: bool = False

    def send(self, ticket: int, task: Task) -> None:
        released = [self.segments.released.popleft() for _ in range(len(self.segments.released))]
        with contextlib.suppress(ConnectionError):  # its end is noticed where its answer is read
            self.conn.send((ticket, task, released))

    def receive(self) -> tuple[int, bool, list[Any]]:
        """The next answer: ticket, whether the task failed, and a pickle with its arrays."""
        try:
            answer: Answer = self.conn.recv()
            if not answer.written:
                return answer.ticket, answer.failed, [answer.inline]
            for written in answer.written:
                if written.is_new:
                    self.segments.map(written.segment, receive_descriptor(self.conn))
        except (EOFError, OSError) as reason:
            raise _WorkerEnded from reason
        (data, *small), *large = map(self.segments.read, answer.written)
        copies, own = iter(small), (memory for (memory,) in large)
        arrays = [next(own) if is_large else next(copies).copy() for is_large in answer.is_large]
        return answer.ticket, answer.failed, [data, *arrays]

    def describe_task(self) -> str:
        """The task that the worker runs."""
        return next(iter(self.tasks.values())).describe() if self.tasks else "nothing"

    def describe(self) -> str:
        return f"DataLoader: worker {self.id} (process {self.pid})"


class ProcessWorkers:
    """Worker processes, each with a copy of the dataset.

    Parameters
    ----------
    num_workers : how many
    dataset, maker : the samples, and the maker of their batches
    init_fn : called by each worker, with its number, at its start
    seed : of the workers' `WorkerInfo`
    timeout_s : for one result; 0 for none
    pins : whether the arrays of the results lie in pinned memory
    replaces : whether a worker that died is replaced, and its tasks done again
    """

    def __init__(
        self,
        num_workers: int,
        dataset: Any,
        maker: BatchMaker,
        init_fn: Callable[[int], None] | None,
        seed: int,
        timeout_s: float,
        pins: bool,
        replaces: bool,
    ):
        self._timeout_s, self._pins, self._replaces = timeout_s, pins, replaces
        self._server = fork_server()
        self._seed, self._count = seed, num_workers
        what = f"{type(dataset).__name__}, its collate_fn or its worker_init_fn"
        data, buffers, modules = pack_program((dataset, maker, init_fn), what)
        # Pillow and its file formats are mostly imported within a sample: once here, not by each.
        self._server.import_modules(modules | {n for n in sys.modules if n.startswith("PIL.")})
        parts = [memoryview(data), *buffers]
        self._sizes = tuple(len(part) for part in parts)
        self._memory_fd, memory = create_segment(max(lay_out(self._sizes)[-1], 1))
        fill(np.frombuffer(memory, np.uint8), parts)
        self._workers: list[_Worker] = []
        self._done: dict[int, tuple[_Worker, bool, Any]] = {}
        self._forgotten: set[int] = set()
        self._next_ticket = 0
        self.is_broken: bool = False
        self._deaths: dict[int, int] = {}  # by the ticket that was worked on
        self._finalizer = weakref.finalize(
            self, _end_workers, self._server, self._workers, self._memory_fd
        )
        for number in range(num_workers):
            self._workers.append(self._start(number))

    def _start(self, number: int) -> _Worker:
        own, its = socket.socketpair()
        with its:
            pid = self._server.start_worker(its, self._memory_fd)
        conn = Connection(own.detach())
        worker = _Worker(number, conn, pid, SegmentReader(self._pins))
        rank, size = world.rank(), world.world_size()
        conn.send(Start(number, self._count, self._seed, rank, size, self._sizes))
        return worker

    def submit(self, task: Task, worker: int | None = None) -> int:
        """Have a worker, or the one with the least to do, do a task; returns its ticket."""
        self._receive_waiting()  # a worker that waits for its answers to be read reads nothing
        chosen = (
            min(self._workers, key=lambda w: len(w.tasks))
            if worker is None
            else self._workers[worker]
        )
        ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
        chosen.tasks[ticket] = task
        chosen.send(ticket, task)
        return ticket

    def forget(self, ticket: int) -> None:
        """Drop the result of a task, which nobody will ask for."""
        if self._done.pop(ticket, None) is None:
            self._forgotten.add(ticket)

    def result(self, ticket: int) -> Any:
        """Wait for the result of a task; each is given once.

        Raises
        ------
        RuntimeError
            If the worker died, or did not answer in time. An error of the task is raised here, too.
        """
        if ticket not in self._done:
            self._receive_waiting()
        if ticket not in self._done:
            self._wait(ticket)
        worker, failed, parts = self._done.pop(ticket)
        data, *buffers = parts
        result = unpack(data, buffers)
        if failed:
            failure: Failure = result
            text = f"{worker.describe()} raised:\n{failure.text}"
            raise failure.error from RuntimeError(text)
        return result

    def _wait(self, ticket: int) -> None:
        began, was_ready = time.monotonic(), True
        worker = self._find_worker(ticket)
        waiting_for = f"waiting for a DataLoader's worker {worker.id} (process {worker.pid})"
        with activity(f"{waiting_for}, which loads {worker.describe_task()}"):
            while ticket not in self._done:
                worker = self._find_worker(ticket)  # another one, if it was replaced
                if worker.is_ready and not was_ready:
                    began = time.monotonic()
                was_ready = worker.is_ready
                limit = self._timeout_s if was_ready else max(_START_LIMIT_S, self._timeout_s)
                left = began + limit - time.monotonic() if self._timeout_s else None
                if left is not None and left <= 0:
                    self.is_broken = True
                    raise RuntimeError(
                        f"{worker.describe()} gave no batch for {limit:g} s (timeout="
                        f"{self._timeout_s:g}): it loads {worker.describe_task()}"
                    )
                self._receive_waiting(left)

    def _find_worker(self, ticket: int) -> _Worker:
        return next(worker for worker in self._workers if ticket in worker.tasks)

    def _receive_waiting(self, timeout_s: float | None = 0) -> None:
        """Receive the workers' answers."""
        by_conn = {worker.conn: worker for worker in self._workers}
        ready: Sequence[Any] = wait(list(by_conn), timeout_s)
        for conn in ready:
            worker = by_conn[conn]
            try:
                ticket, failed, parts = worker.receive()
            except _WorkerEnded:
                self._handle_death(worker)
                continue
            if ticket == READY and not failed:
                worker.is_ready = True
                continue
            if ticket == READY:
                failure: Failure = unpack(parts[0], parts[1:])
                self.is_broken = True
                raise RuntimeError(
                    f"{worker.describe()} could not start:\n{failure.text}"
                ) from failure.error
            del worker.tasks[ticket]
            if ticket in self._forgotten:
                self._forgotten.remove(ticket)
            else:
                self._done[ticket] = worker, failed, parts

    def _handle_death(self, worker: _Worker) -> None:
        """Raise an error that names the worker, or start another one for its tasks."""
        status = self._server.read_status(worker.pid) if self._server.is_usable() else None
        how = (
            f"was ended by {_signal_name(-status)}"
            if status is not None and status < 0
            else f"ended with exit status {'unknown' if status is None else status}"
        )
        text = f"{worker.describe()} {how} while it loaded {worker.describe_task()}"
        first = next(iter(worker.tasks), -1)
        self._deaths[first] = self._deaths.get(first, 0) + 1
        is_stream = any(isinstance(task, ReadTask) for task in worker.tasks.values())
        if not self._replaces or is_stream or self._deaths[first] > 2:
            self.is_broken = True
            raise RuntimeError(
                f"{text}. SIGKILL mostly means that memory ran out (fewer workers need less), "
                "SIGSEGV a fault in a library that the dataset calls"
            )
        print(f"dtrain: {text}; another one starts", file=sys.stderr, flush=True)
        worker.conn.close()
        replacement = self._start(worker.id)
        self._workers[self._workers.index(worker)] = replacement
        for ticket, task in worker.tasks.items():
            replacement.tasks[ticket] = task
            replacement.send(ticket, task)

    def close(self) -> None:
        """End the workers; batches that were given stay."""
        self._finalizer()


def _end_workers(server: Any, workers: list[_Worker], memory_fd: int) -> None:
    os.close(memory_fd)
    for worker in workers:
        worker.conn.close()
        with contextlib.suppress(OSError):  # the server is gone, and its workers with it
            server.end_worker(worker.pid)
    workers.clear()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
