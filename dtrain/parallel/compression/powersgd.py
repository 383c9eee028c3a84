"""PowerSGD: gradients of matrices are sent as two low-rank factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import GradBuffer
from dtrain.backend.random import COMPRESSION_STREAM, normal, philox_bits, random_key, words_for
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import TreeAccumulator, microbatch_range
from dtrain.parallel.compression.protocol import CompressedExchange, make_slices


@dataclass(frozen=True)
class PowerSGD:
    """Low-rank gradients, by one power iteration a step (Vogels et al. 2019, algorithm 1).

    The gradient M of a parameter of shape (n, ...) is a matrix of n rows and m columns, sent as
    factors P (n, rank) and Q (m, rank): (n + m) * rank numbers, however many microbatches a rank
    has. Vectors, and matrices for which that saves too little, are sent whole.

    Parameters
    ----------
    matrix_approximation_rank : columns of each factor, >= 1
    start_powerSGD_iter : the number of first steps that send everything whole, >= 0
    min_compression_rate : a matrix is compressed if n * m numbers are more than this many times
        the numbers of its factors

    Raises
    ------
    ValueError
        If an option is out of its range.

    See Also
    --------
    torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook.PowerSGDState

    >>> PowerSGD(2, start_powerSGD_iter=10)
    PowerSGD(matrix_approximation_rank=2, start_powerSGD_iter=10, min_compression_rate=2)
    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(64, 64), compression=PowerSGD(2))
    """

    matrix_approximation_rank: int = 1
    start_powerSGD_iter: int = 1000
    min_compression_rate: float = 2

    def __post_init__(self) -> None:
        if self.matrix_approximation_rank < 1 or self.start_powerSGD_iter < 0:
            raise ValueError(
                "PowerSGD: expected matrix_approximation_rank >= 1 and start_powerSGD_iter >= 0, "
                f"got {self.matrix_approximation_rank} and {self.start_powerSGD_iter}"
            )

    def _rank(self, param: Tensor) -> int:
        """How many columns the factors of a gradient have; 0 if it is sent whole."""
        if param.ndim < 2 or not param.numel():
            return 0
        rows, columns = _as_matrix(param.array).shape
        rank = min(self.matrix_approximation_rank, rows, columns)
        sent = (rows + columns) * rank
        return rank if sent * self.min_compression_rate < rows * columns else 0

    def init_memory(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int, dtype: np.dtype
    ) -> tuple[np.ndarray, list[slice]]:
        """Q of each parameter: random, the same on every rank."""
        factors = []
        for param, key in zip(params, keys):
            size = self._rank(param) * math.prod(param.shape[1:])
            words = words_for(size + size % 2, dtype)
            bits = philox_bits(words, random_key(seed, COMPRESSION_STREAM, key, 0, 0))
            factors.append(normal(bits, dtype, size))
        return np.concatenate(factors), make_slices([len(factor) for factor in factors])

    def exchange(self, step: CompressedExchange) -> np.ndarray:
        """All-reduce P = M Q, orthogonalize it, all-reduce Q = M^T P; the mean is P Q^T."""
        comm, count, memory, out = step.comm, step.microbatches, step.memory, step.out
        active = step.step >= self.start_powerSGD_iter
        ranks = [self._rank(view) if active else 0 for view in out.views]
        old = self._factors(out.views, memory)

        def project(total: GradBuffer) -> np.ndarray:
            """What a microbatch sends first: M Q, or the whole gradient, which leaves no error."""
            sent = []
            for view, rank, q in zip(total.views, ranks, old):
                sent.append((_as_matrix(view.array) @ q if rank else view.array).reshape(-1))
            return _concatenate(comm, sent)

        def project_back(total: GradBuffer) -> np.ndarray:
            """What it sends then: M^T P; the error M - P (M^T P)^T stays in `total`."""
            sent = [total.flat[:0]]
            for view, rank, p in zip(total.views, ranks, bases):
                if not rank:
                    view.array[...] = 0
                    continue
                matrix = _as_matrix(view.array)
                q = matrix.T @ p
                matrix -= p @ q.T
                sent.append(q.reshape(-1))
            return _concatenate(comm, sent)

        first = _mean(comm, map(project, step.totals), count)
        parts = make_slices([len(v) * r if r else v.numel() for v, r in zip(out.views, ranks)])
        bases = [
            np.linalg.qr(first[part].reshape(-1, rank))[0] if rank else first[part]
            for part, rank in zip(parts, ranks)
        ]
        new = _mean(comm, map(project_back, step.totals), count)
        if not active:
            new = memory.copy()
        for view, rank, p, q in zip(out.views, ranks, bases, self._factors(out.views, new)):
            view.array[...] = (p @ q.T if rank else p).reshape(view.shape)
        return new

    def _factors(self, params: Sequence[Tensor], flat: np.ndarray) -> list[np.ndarray]:
        """Views of Q of each parameter, (columns, rank), in the flat memory."""
        ranks = [self._rank(param) for param in params]
        parts = make_slices([rank * math.prod(p.shape[1:]) for rank, p in zip(ranks, params)])
        return [flat[part].reshape(-1, max(rank, 1)) for part, rank in zip(parts, ranks)]


def _as_matrix(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


def _concatenate(comm: Communicator, arrays: Sequence[np.ndarray]) -> np.ndarray:
    out = comm.empty(sum(map(len, arrays)), arrays[0].dtype)
    return np.concatenate(arrays, out=out)


def _mean(comm: Communicator, values: Iterable[np.ndarray], count: int) -> np.ndarray:
    """The mean over all ranks of the microbatches' flat arrays, added by the tree."""
    total: TreeAccumulator[np.ndarray] = TreeAccumulator(count, lambda a, b: np.add(a, b, out=a))
    low, _ = microbatch_range(comm.rank, comm.size, count)
    for index, value in enumerate(values, low):
        total.push(index, value)
    partials = [partial for _, _, partial in total.partials]
    comm.all_reduce(partials, partials[0], count, count)
    return partials[0]
