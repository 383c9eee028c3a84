"""The worker threads of a loader: for samples that are read, or decoded by code without the GIL."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError as FutureTimeoutError
from typing import Any

from dtrain.data.batches import BatchMaker, BatchTask
from dtrain.data.keyed_random import SharedStateError, holds_globals, restored_globals
from dtrain.data.workers.info import WorkerInfo, become_worker
from dtrain.data.workers.thread_pool import ThreadPool
from dtrain.distributed import world
from dtrain.distributed.watchdog.activity import activity


class ThreadWorkers:
    """Worker threads, which share the dataset.

    A dataset that draws from `random` or `numpy.random`, whose states all threads share, is
    loaded by the program's own thread, to the same bits. The first batch, which it loads in any
    case, shows it; a dataset that draws later only may change the program's states once.
    """

    def __init__(
        self,
        num_workers: int,
        dataset: Any,
        maker: BatchMaker,
        init_fn: Callable[[int], None] | None,
        seed: int,
        timeout_s: float,
    ):
        self._dataset, self._maker, self._timeout_s = dataset, maker, timeout_s
        communicator = world.communicator()
        self._failures: list[BaseException] = []  # of init_fn
        failures = self._failures

        def begin(number: int) -> None:
            world.set_communicator(communicator)  # the dataset may ask for its rank
            become_worker(WorkerInfo(number, num_workers, seed + number, dataset))
            if init_fn is not None:
                try:
                    with restored_globals():
                        init_fn(number)
                except BaseException as error:  # a thread that ended would leave its batches
                    failures.append(error)

        self._pool = ThreadPool(num_workers, "dtrain-loader", begin)
        self._pending: dict[int, tuple[BatchTask, Future[Any]]] = {}
        self._next_ticket = 0
        self.is_broken: bool = False
        self._warned = False

    def submit(self, task: BatchTask) -> int:
        """Have a thread make a batch; returns its ticket."""
        ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
        future: Future[Any] = Future()
        if not ticket:
            try:
                future.set_result(self._maker.make(self._dataset, task))
            except Exception as error:
                future.set_exception(error)
        elif self._maker.samples.draws_globally:  # made where its result is asked for
            future.set_exception(SharedStateError())
        else:
            future = self._pool.submit(_make, self._failures, self._maker, self._dataset, task)
        self._pending[ticket] = task, future
        return ticket

    def forget(self, ticket: int) -> None:
        """Drop a batch that nobody will ask for."""
        self._pending.pop(ticket)[1].cancel()

    def result(self, ticket: int) -> Any:
        """Wait for a batch; each is given once.

        Raises
        ------
        RuntimeError
            If it is not there in time. An error of the dataset is raised here, too.
        """
        task, future = self._pending.pop(ticket)
        if holds_globals():  # a dataset that iterates over this loader: the threads wait for it
            return self._maker.make(self._dataset, task)
        try:
            with activity(f"waiting for a DataLoader's thread, which loads {task.describe()}"):
                return future.result(self._timeout_s or None)
        except SharedStateError:
            batch = self._maker.make(self._dataset, task)
            if self._maker.samples.draws_globally and not self._warned:
                self._warned = True  # once for each start of the threads
                warnings.warn(
                    f"DataLoader: {type(self._dataset).__name__} or its collate_fn draws from "
                    "random or numpy.random, whose states threads share: its batches are loaded "
                    "without overlap. Draw by dtrain's functions, or use worker_type='process'",
                    stacklevel=2,
                )
            return batch
        except FutureTimeoutError:
            if future.done():  # the dataset's own error
                raise
            self.is_broken = True
            raise RuntimeError(
                f"DataLoader: a thread gave no batch for {self._timeout_s:g} s (timeout="
                f"{self._timeout_s:g}): it loads {task.describe()}"
            ) from None

    def close(self) -> None:
        """End the threads when they have finished their batches."""
        self._pool.close()


def _make(failures: list[BaseException], maker: BatchMaker, dataset: Any, task: BatchTask) -> Any:
    if failures:
        raise RuntimeError(
            f"DataLoader: worker_init_fn raised {failures[0]!r} in a thread"
        ) from failures[0]
    return maker.make(dataset, task, beside=True)
