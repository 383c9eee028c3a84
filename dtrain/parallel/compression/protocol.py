"""What a way to compress gradients implements.

Each microbatch's gradient is compressed by itself, together with its error feedback: what earlier
compressions of this microbatch left out (Karimireddy et al. 2019). The order of all additions is
fixed. So the bits depend on the compression, never on the number of ranks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import GradBuffer
from dtrain.distributed.comm.communicator import Communicator


class CompressedExchange(NamedTuple):
    """The arguments of one exchange of compressed gradients, of one bucket in one step."""

    comm: Communicator
    #: gradient plus error feedback of each of this rank's microbatches; the exchange leaves in
    #: them what it did not send
    totals: Sequence[GradBuffer]
    #: how many microbatches the step has, on all ranks
    microbatches: int
    #: the memory that all microbatches share, as the last step left it; not changed
    memory: np.ndarray
    #: steps before this one
    step: int
    #: where the mean over all microbatches is written
    out: GradBuffer


class Compression(Protocol):
    """A way to compress gradients; its repr names it in saved states."""

    def init_memory(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int, dtype: np.dtype
    ) -> tuple[np.ndarray, list[slice]]:
        """The memory that the microbatches share, and each parameter's slice of it.

        The memory is a flat array, of which each rank keeps its slice (`equal_bounds`) right.
        `keys` are the parameters' positions in the model; `dtype` is that of their sums.
        """

    def exchange(self, step: CompressedExchange) -> np.ndarray:
        """Write the mean over all microbatches into `step.out`; returns the new memory."""


def make_slices(sizes: Sequence[int]) -> list[slice]:
    """Consecutive slices of these sizes.

    >>> make_slices([2, 3])
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(a, b) for a, b in itertools.pairwise(itertools.accumulate(sizes, initial=0))]
