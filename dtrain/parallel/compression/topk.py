"""Top-k: of each gradient the few largest numbers, with their places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import GradBuffer
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import microbatch_range

_WORD = np.dtype(np.uint32)


@dataclass(frozen=True)
class TopK:
    """The largest numbers, by magnitude, of each parameter's gradient (Lin et al. 2018).

    Every microbatch sends a place and a value for each number, 8 bytes in float32, to every
    rank, which adds them in the order of the microbatches. With few ranks and a small `ratio`
    that is little; it grows with the number of microbatches of a step.

    Parameters
    ----------
    ratio : which part of each gradient's numbers is sent, rounded up

    >>> TopK(0.01)
    TopK(ratio=0.01)
    """

    ratio: float

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"TopK: expected 0 < ratio <= 1, got {self.ratio}")

    def start(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int
    ) -> tuple[np.ndarray, list[slice]]:
        """Nothing."""
        return np.empty(0, params[0].dtype), [slice(0, 0)] * len(params)

    def mean(
        self,
        comm: Communicator,
        totals: Sequence[GradBuffer],
        count: int,
        memory: np.ndarray,
        step: int,
        out: GradBuffer,
    ) -> np.ndarray:
        dtype = out.flat.dtype
        chosen = sum(math.ceil(self.ratio * view.numel()) for view in out.views)
        row = chosen * (1 + dtype.itemsize // _WORD.itemsize)
        rows = comm.empty(count * row, _WORD).reshape(count, row)
        low, high = microbatch_range(comm.rank, comm.size, count)
        for total, sent in zip(totals, rows[low:high]):
            places = self._largest(total)
            sent[:chosen] = places
            sent[chosen:] = total.flat[places].view(_WORD)
            total.flat[places] = 0
        bounds = [microbatch_range(rank, comm.size, count)[0] * row for rank in range(comm.size)]
        comm.all_gather_slices(rows.reshape(-1), [*bounds, count * row])
        out.flat[...] = 0
        for sent in rows:
            out.flat[sent[:chosen]] += sent[chosen:].view(dtype)
        out.flat /= dtype.type(count)
        return memory

    def _largest(self, grads: GradBuffer) -> np.ndarray:
        """The places in the flat array of each parameter's largest numbers; of equals the first."""
        places, start = [], 0
        for view in grads.views:
            size = np.abs(view.array.reshape(-1))
            size[np.isnan(size)] = np.inf  # is to be seen
            k = math.ceil(self.ratio * len(size))
            if k:
                least = np.partition(size, -k)[-k]
                above = np.flatnonzero(size > least)
                equal = np.flatnonzero(size == least)[: k - len(above)]
                places.append(start + np.sort(np.concatenate([above, equal])))
            start += len(size)
        return np.concatenate(places)
