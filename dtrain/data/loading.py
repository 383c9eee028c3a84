"""Loads the batches that a DataLoader has assigned: in the program's thread, or by workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.backend.profiler import span
from dtrain.data.assignment import Samples, as_indices
from dtrain.data.batches import BatchMaker, BatchTask, pin_batch
from dtrain.data.keyed_random import Key, StreamReader
from dtrain.data.options import is_stream, other_parts_error
from dtrain.data.worker_options import WorkerSettings
from dtrain.data.workers.lookahead import Lookahead, Workers
from dtrain.distributed import world

if TYPE_CHECKING:
    from dtrain.data.workers.streams import StreamWorkers


class WorkerPool:
    """Starts a loader's workers for each epoch, or keeps them (`persistent_workers`)."""

    def __init__(self, settings: WorkerSettings, dataset: Any, maker: BatchMaker, seed: int):
        self.settings: WorkerSettings = settings
        self._dataset, self._maker, self._seed = dataset, maker, seed
        self._kept: Workers | None = None
        if settings.count and not settings.threads:
            from dtrain.data.workers.server import start_fork_server_early

            start_fork_server_early()  # it starts while the program goes on

    def take(self) -> Workers:
        """The workers for an epoch, which `put_back` ends."""
        kept, self._kept = self._kept, None
        if kept is not None:
            return kept
        settings = self.settings
        options = (
            settings.count, self._dataset, self._maker, settings.init_fn, self._seed,
            settings.timeout_s,
        )  # fmt: skip
        if settings.threads:
            from dtrain.data.workers.threads import ThreadWorkers

            return ThreadWorkers(*options)
        from dtrain.data.workers.processes import ProcessWorkers

        replaces = world.communicator().elastic
        return ProcessWorkers(*options, pins=settings.pins, replaces=replaces)

    def put_back(self, workers: Workers) -> None:
        """Keep the workers for the next epoch, or end them."""
        if self.settings.persistent and not workers.is_broken and self._kept is None:
            self._kept = workers
        else:
            workers.close()


class EpochLoader:
    """Loads the batches of one iteration over a loader.

    Parameters
    ----------
    pool : has the workers; the calling thread loads if there are none
    maker : makes the batches of the dataset's samples
    sampler : gives an index that the dataset has; None if it has index 0
    key : of the samples' random numbers
    """

    def __init__(
        self,
        pool: WorkerPool,
        maker: BatchMaker,
        dataset: Any,
        sampler: Iterable[Any] | None,
        key: Key,
    ):
        self._pool, self._maker, self._dataset = pool, maker, dataset
        self._sampler = sampler
        self.key: Key = key
        self._workers: Workers | None = None
        self._lookahead: Lookahead | None = None
        self._stream: StreamWorkers | None = None

    def open_stream(
        self, order: Iterable[Any], shard: int, chunk: int, parts: int | None
    ) -> StreamReader | StreamWorkers:
        """Make the reader of a stream of samples or of indices.

        Parameters
        ----------
        order : the dataset, or a sampler
        shard : the rank where each rank reads a stream of its own; 0 otherwise
        chunk : the samples of a step
        parts : the number of parts that the stream must have; None: any number
        """
        settings = self._pool.settings
        if order is not self._dataset or not settings.count:
            if parts not in (None, 1):
                raise other_parts_error(parts, 1)
            return StreamReader(iter(order), self.key, shard)
        from dtrain.data.workers.processes import ProcessWorkers
        from dtrain.data.workers.streams import StreamWorkers

        self._workers = workers = self._pool.take()
        assert isinstance(workers, ProcessWorkers)
        name, count = type(order).__name__, settings.count
        ahead, size = settings.ahead // count, -(-chunk // count)
        self._stream = StreamWorkers(workers, count, name, self.key, shard, size, ahead, parts)
        return self._stream

    @property
    def stream_parts(self) -> int:
        """The number of workers that each read a part of the stream; 1 without workers."""
        return 1 if self._stream is None else self._stream.parts or 1

    def read_ahead(
        self,
        steps: Iterator[list[Samples]],
        own: Callable[[], tuple[int, int]],
        per_rank: float,
    ) -> Iterator[list[Samples]]:
        """The same steps; workers begin to load the batches of those to come.

        Parameters
        ----------
        steps : the microbatches of each step
        own : gives the range of microbatches that this rank runs
        per_rank : the microbatches of a step on a rank, the same number on all ranks
        """
        settings = self._pool.settings
        if not settings.count or is_stream(self._dataset):
            return steps
        self._workers = self._pool.take()
        steps_ahead = max(1, int(-(-settings.ahead // per_rank)))
        self._lookahead = Lookahead(
            self._workers,
            steps,
            own,
            self._dataset,
            self._make_task,
            steps_ahead,
            settings.ahead,
        )
        return iter(self._lookahead)

    def load(self, samples: Samples) -> Any:
        """The batch of a microbatch."""
        with span("load"):
            if self._lookahead is None or samples.source is not self._dataset:
                batch = self._maker.make(samples.source, self._make_task(samples))
            else:
                batch = self._lookahead.load(samples)
            return pin_batch(batch) if self._pool.settings.pins else batch

    def _make_task(self, samples: Samples) -> BatchTask:
        if len(samples.indices):
            return BatchTask(samples.indices, self.key)
        # A batch of 0 samples has the shapes of one with samples.
        index = np.zeros(1, np.int64)
        if samples.source is self._dataset and self._sampler is not None:
            index = as_indices(islice(self._sampler, 1))
        return BatchTask(index, self.key, is_empty=True)

    def load_one(self, index: Any) -> Any:
        """One sample as it is in the dataset, loaded in this thread."""
        return self._maker.samples.load(
            self._dataset.__getitem__, [index], lambda samples: samples[0], self.key
        )

    def close(self) -> None:
        """End the iteration."""
        if self._lookahead is not None:
            self._lookahead.close()
        if self._stream is not None:
            self._stream.close()
        if self._workers is not None:
            self._pool.put_back(self._workers)
        self._workers = self._lookahead = None
