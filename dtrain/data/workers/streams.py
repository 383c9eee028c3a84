"""Reads a stream by worker processes: each iterates over its copy, and reads its own part."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterable
from typing import Any

from dtrain.data.keyed_random import Key, hash_number
from dtrain.data.options import other_parts_error
from dtrain.data.workers.child import ReadSamples, ReadTask
from dtrain.data.workers.processes import ProcessWorkers

_iterations = itertools.count()


class StreamWorkers:
    """As `StreamReader`: the samples of a stream that workers read.

    The parts of the workers are joined sample by sample, in turn: a stream that gives worker i
    the samples i, i + n, i + 2n, … of n workers comes in its own order. A stream that does not ask
    `get_worker_info` has no parts: the first worker alone reads it.

    Parameters
    ----------
    workers, count : the workers, one for each part, and how many they are
    name : of the stream, for messages
    key, shard : of the random numbers
    chunk : samples that a worker reads at once
    ahead : chunks that each worker reads ahead
    expected_parts : in how many parts the stream was read where it is resumed
    """

    def __init__(
        self,
        workers: ProcessWorkers,
        count: int,
        name: str,
        key: Key,
        shard: int,
        chunk: int,
        ahead: int,
        expected_parts: int | None,
    ):
        self._workers, self._key, self._shard, self._name = workers, key, shard, name
        self._chunk, self._ahead = chunk, ahead
        self._asked: list[deque[int]] = [deque() for _ in range(count)]  # tickets
        self._held: list[deque[Any]] = [deque() for _ in range(count)]
        self._ended = [False] * count
        self._readers = list(range(count))  # whose samples come next, in turn
        self._turn = 0
        self._expected_parts = expected_parts
        self._iteration = next(_iterations)
        #: the number of parts; None before the first sample
        self.parts: int | None = None

    def skip(self, count: int) -> None:
        """Read `count` samples and forget them."""
        while count and (read := len(self.read(min(count, self._chunk)))):
            count -= read

    def read(self, count: int) -> list[Any]:
        """The next `count` samples; fewer at the end of the stream."""
        taken: list[Any] = []
        while len(taken) < count and self._readers:
            self._turn %= len(self._readers)
            worker = self._readers[self._turn]
            if self._held[worker] or self._receive(worker):
                taken.append(self._held[worker].popleft())
                self._turn += 1
            else:
                self._readers.remove(worker)
        return taken

    def _receive(self, worker: int) -> bool:
        """Receive the worker's next samples; whether there are any."""
        if self._ended[worker]:
            return False
        self._ask()
        answer: ReadSamples = self._workers.result(self._asked[worker].popleft())
        self._note_parts(answer.is_sharded)
        self._held[worker].extend(answer.samples)
        self._ended[worker] = len(answer.samples) < self._chunk
        self._ask()
        return bool(answer.samples)

    def _ask(self) -> None:
        """Have the workers read ahead."""
        for worker in self._readers:
            while not self._ended[worker] and len(self._asked[worker]) < self._ahead:
                # A part of its own for each worker: the key of its random numbers.
                shard = hash_number((self._shard, worker)) if worker else self._shard
                task = ReadTask(self._key, shard, self._chunk, self._iteration)
                self._asked[worker].append(self._workers.submit(task, worker))

    def _note_parts(self, is_sharded: bool) -> None:
        """Note, after the first worker's first samples, whether the stream is read in parts."""
        parts = len(self._held) if is_sharded else 1
        if self.parts is None:
            if self._expected_parts not in (None, parts):
                raise other_parts_error(self._expected_parts, parts)
            self.parts = parts
            if parts < len(self._held):
                self._forget(self._asked[1:])
                self._readers = [0]
                warnings.warn(
                    f"DataLoader: one of {len(self._held)} workers reads the {self._name}: the "
                    "stream does not ask get_worker_info() which part of it a worker reads",
                    stacklevel=2,
                )
        elif parts > self.parts:
            raise RuntimeError(
                f"DataLoader: the {self._name} asked get_worker_info() after its first samples, "
                "when one worker read it as a whole: ask at the begin of __iter__()"
            )

    def _forget(self, asked: Iterable[deque[int]]) -> None:
        for tickets in asked:
            for ticket in tickets:
                self._workers.forget(ticket)
            tickets.clear()

    def close(self) -> None:
        """Drop the samples that were read ahead."""
        self._forget(self._asked)
