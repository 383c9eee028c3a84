"""Top-k: the largest numbers of each gradient are sent with their indices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import GradBuffer
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.parallel.compression.protocol import CompressedExchange

_WORD = np.dtype(np.uint32)


@dataclass(frozen=True)
class TopK:
    """The largest numbers, by magnitude, of each parameter's gradient (Lin et al. 2018).

    Every microbatch sends an index and a value for each number, 8 bytes in float32, to every
    rank, which adds them in microbatch order. The bytes grow with the number of microbatches of a
    step: use it with few ranks and a small `ratio`.

    Parameters
    ----------
    ratio : the fraction of each gradient's numbers that is sent, rounded up; 0 < ratio <= 1

    Raises
    ------
    ValueError
        If `ratio` is out of its range.

    >>> TopK(0.01)
    TopK(ratio=0.01)
    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(64, 64), compression=TopK(0.01))
    """

    ratio: float

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"TopK: expected 0 < ratio <= 1, got {self.ratio}")

    def init_memory(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int, dtype: np.dtype
    ) -> tuple[np.ndarray, list[slice]]:
        """Empty: top-k has errors alone."""
        return np.empty(0, dtype), [slice(0, 0)] * len(params)

    def exchange(self, step: CompressedExchange) -> np.ndarray:
        """All-gather the indices and values of all microbatches, and add them."""
        comm, count, out = step.comm, step.microbatches, step.out
        dtype = out.flat.dtype
        chosen = sum(math.ceil(self.ratio * view.numel()) for view in out.views)
        row = chosen * (1 + dtype.itemsize // _WORD.itemsize)
        rows = comm.empty(count * row, _WORD).reshape(count, row)
        low, high = microbatch_range(comm.rank, comm.size, count)
        for total, sent in zip(step.totals, rows[low:high]):
            indices = self._largest(total)
            sent[:chosen] = indices
            sent[chosen:] = total.flat[indices].view(_WORD)
            total.flat[indices] = 0
        bounds = [microbatch_range(rank, comm.size, count)[0] * row for rank in range(comm.size)]
        comm.all_gather_slices(rows.reshape(-1), [*bounds, count * row])
        out.flat[...] = 0
        for sent in rows:
            out.flat[sent[:chosen]] += sent[chosen:].view(dtype)
        out.flat /= dtype.type(count)
        return step.memory

    def _largest(self, grads: GradBuffer) -> np.ndarray:
        """Indices, in the flat array, of each parameter's largest numbers; of equals the first."""
        indices, start = [], 0
        for view in grads.views:
            size = np.abs(view.array.reshape(-1))
            size[np.isnan(size)] = np.inf  # NaN is always sent
            k = math.ceil(self.ratio * len(size))
            if k:
                least = np.partition(size, -k)[-k]
                above = np.flatnonzero(size > least)
                equal = np.flatnonzero(size == least)[: k - len(above)]
                indices.append(start + np.sort(np.concatenate([above, equal])))
            start += len(size)
        return np.concatenate(indices)
