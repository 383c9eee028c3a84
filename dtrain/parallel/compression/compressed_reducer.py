"""The reducer of a bucket whose gradients are exchanged compressed, and its error feedback."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import Accumulator
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.compression.protocol import CompressedExchange, Compression, make_slices


class CompressedBucketReducer(BucketReducer):
    """A `BucketReducer` that exchanges compressed gradients.

    The error feedback changes at `commit`, and only for parameters that were used and whose mean
    is finite: a step that is rolled back, or skipped because of NaN, leaves it unchanged.

    Parameters
    ----------
    keys : positions of the bucket's parameters in the model
    seed : of the random numbers that a compression may draw
    """

    param_slices: list[slice]
    memory: np.ndarray
    memory_slices: list[slice]
    count: int
    steps: int

    def __init__(self, bucket: Bucket, compression: Compression, keys: Sequence[int], seed: int):
        super().__init__(bucket, exact=True)
        self.compression: Compression = compression
        self._keys, self._seed = keys, seed
        self.param_slices: list[slice] = make_slices([param.numel() for param in bucket.params])
        self._mean: GradBuffer | None = None
        self.memory: np.ndarray
        self.memory_slices: list[slice]
        self.clear()

    def clear(self) -> None:
        """Forget the error feedback and the shared memory."""
        #: how many microbatches a step has; 0 before the first step
        self.count: int = 0
        self.steps: int = 0
        #: the error feedback of this rank's microbatches, by their index
        self.errors: dict[int, GradBuffer] = {}
        dtype = np.dtype(np.float32) if self._in_float32 else self.bucket.data.dtype
        self.memory, self.memory_slices = self.compression.init_memory(
            self.bucket.params, self._keys, self._seed, dtype
        )

    def begin(self, rank: int, size: int, sizes: Sequence[int]) -> None:
        if self._gradient_bounds() is not None:
            raise ValueError(
                "ZeroRedundancyOptimizer: expected exact gradients, got those of "
                f"DataParallel(compression={self.compression!r}): omit one of the two"
            )
        super().begin(rank, size, sizes)
        self._mean = None

    def _new_accumulator(self, count: int) -> Accumulator[GradBuffer]:
        return _NoSum()

    def _weight(self, index: int) -> float:
        # The same scale in all steps: errors of one step are added to gradients of the next.
        return 1 if self._even else self._sizes[index] * len(self._sizes) / sum(self._sizes)

    def set_aside(self) -> None:
        if self.count not in (0, len(self._sizes)):
            raise RuntimeError(
                f"DataParallel: compression has a memory for each of {self.count} microbatches, "
                f"but this step has {len(self._sizes)}: train with one number of microbatches, "
                "or call compression_state.clear() between"
            )
        super().set_aside()

    def _exchange(self, comm: Communicator) -> None:
        self._mean = self._sums.take()
        totals = []
        for index, _, total in self._sum.partials:
            if index in self.errors:
                total.flat += self.errors[index].flat
            totals.append(total)
        self._new_memory = self.compression.exchange(
            CompressedExchange(comm, totals, len(self._sizes), self.memory, self.steps, self._mean)
        )

    def _take_result(self, used: list[bool]) -> GradBuffer:
        mean, self._mean = self._mean, None
        assert mean is not None
        keep = [
            there and bool(np.isfinite(view.array).all()) for there, view in zip(used, mean.views)
        ]
        for index, _, error in self._sum.partials:
            before = self.errors.get(index)
            _restore(error.flat, before.flat if before else None, self.param_slices, keep)
            if before is not None:
                self._sums.give_back(before)
            self.errors[index] = error
        _restore(self._new_memory, self.memory, self.memory_slices, keep)
        self.memory = self._new_memory
        self.count = len(self._sizes)
        self.steps += 1
        return mean

    def roll_back(self) -> None:
        if self._mean is not None:
            self._sums.give_back(self._mean)
            self._mean = None
        super().roll_back()


def _restore(
    new: np.ndarray, old: np.ndarray | None, slices: Sequence[slice], keep: Sequence[bool]
) -> None:
    """Write the old values into `new`, zeros if there are none, but for the slices to keep."""
    for here, kept in zip(slices, keep):
        if not kept:
            new[here] = 0 if old is None else old[here]


class _NoSum:
    """An accumulator that keeps the microbatches' gradients apart."""

    def __init__(self) -> None:
        self.partials: list[tuple[int, int, GradBuffer]] = []

    def push(self, index: int, value: GradBuffer) -> None:
        self.partials.append((index, index + 1, value))
