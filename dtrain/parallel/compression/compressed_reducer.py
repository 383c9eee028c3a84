"""Compressed gradients: what goes over the wire is less than the gradients; the rest is kept.

What is compressed is each microbatch's gradient, with what its last compression left out (error
feedback, Karimireddy et al. 2019), and the order of all additions is fixed. So the bits depend on
the compression, never on the number of ranks. How gradients are compressed is in
`compression_*.py`; here is the memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.autograd.tensor import wrap
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import equal_bounds, microbatch_range
from dtrain.parallel.bucket_reducer import BucketReducer


class Compression(Protocol):
    """A way to compress."""

    def start(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int
    ) -> tuple[np.ndarray, list[slice]]:
        """The memory that the microbatches share, a flat array, and each parameter's part of it.

        Each rank has to have its slice of it right (`equal_bounds`). `keys` are the parameters'
        numbers in the model.
        """

    def mean(
        self,
        comm: Communicator,
        totals: Sequence[GradBuffer],
        count: int,
        memory: np.ndarray,
        step: int,
        out: GradBuffer,
    ) -> np.ndarray:
        """Put the mean of `count` microbatches' totals into `out`; returns the memory after it.

        Leaves in the totals of this rank's microbatches what was not sent of them.
        """


def parts_of(sizes: Sequence[int]) -> list[slice]:
    """The slices of a flat array that has parts of these sizes.

    >>> parts_of([2, 3])
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(a, b) for a, b in itertools.pairwise(itertools.accumulate(sizes, initial=0))]


class CompressedBucketReducer(BucketReducer):
    """A `BucketReducer` that exchanges compressed gradients.

    A step changes the memory when its result is there, and only for parameters that were used
    and whose mean is finite: one that is left, or skipped for its NaN, is as if it had not been.
    """

    def __init__(self, bucket: Bucket, compression: Compression, keys: Sequence[int], seed: int):
        super().__init__(bucket, exact=True)
        self.compression = compression
        self._keys, self._seed = keys, seed
        self._parts = parts_of([param.numel() for param in bucket.params])
        self._mean: GradBuffer | None = None
        self.clear()

    def clear(self) -> None:
        """Forget all that was left out."""
        #: how many microbatches a step has, once there was one
        self.count = 0
        self.steps = 0
        #: what was left out of this rank's microbatches
        self.errors: dict[int, GradBuffer] = {}
        self.memory, self.memory_parts = self.compression.start(
            self.bucket.params, self._keys, self._seed
        )

    def begin(self, rank: int, size: int, sizes: Sequence[int]) -> None:
        if self.bucket.bounds is not None:
            raise ValueError(
                "ZeroRedundancyOptimizer: works with exact gradients, got those of "
                f"DataParallel(compression={self.compression!r}): leave out one of the two"
            )
        super().begin(rank, size, sizes)
        self._sum = _Apart()
        self._mean = None

    def _weight(self, index: int) -> float:
        # Of one scale in all steps, for errors of one are added to gradients of the next.
        return 1 if self._even else self._sizes[index] * len(self._sizes) / sum(self._sizes)

    def set_aside(self) -> None:
        if self.count not in (0, len(self._sizes)):
            raise RuntimeError(
                f"DataParallel: compression has a memory for each of {self.count} microbatches, "
                f"but this step has {len(self._sizes)}: train with one number of microbatches, "
                "or call compression_state.clear() between"
            )
        super().set_aside()

    def reduce(self, comm: Communicator) -> None:
        self._mean = self._fresh()
        with np.errstate(all="ignore"):  # NaN and infinity are values here
            for index, _, total in self._sum.partials:
                if index in self.errors:
                    total.flat += self.errors[index].flat
            self._new_memory = self.compression.mean(
                comm,
                [total for _, _, total in self._sum.partials],
                len(self._sizes),
                self.memory,
                self.steps,
                self._mean,
            )

    def _take_result(self, used: list[bool]) -> GradBuffer:
        assert self._mean is not None
        keep = [
            there and bool(np.isfinite(view.array).all())
            for there, view in zip(used, self._mean.views)
        ]
        for index, _, error in self._sum.partials:
            before = self.errors.get(index)
            _take_back(error.flat, before.flat if before else None, self._parts, keep)
            if before is not None:
                self._buffer_pool.append(before)
            self.errors[index] = error
        _take_back(self._new_memory, self.memory, self.memory_parts, keep)
        self.memory = self._new_memory
        self.count = len(self._sizes)
        self.steps += 1
        return self._mean

    def abandon(self, begun: bool) -> None:
        if self._mean is not None:
            self._buffer_pool.append(self._mean)
        super().abandon(begun)


def _take_back(
    new: np.ndarray, old: np.ndarray | None, parts: Sequence[slice], keep: Sequence[bool]
) -> None:
    """Undo in `new` what is not to be kept."""
    for part, there in zip(parts, keep):
        if not there:
            new[part] = 0 if old is None else old[part]


class _Apart:
    """The values of a run one by one, with TreeAccumulator's face."""

    def __init__(self) -> None:
        self.partials: list[tuple[int, int, GradBuffer]] = []

    def push(self, index: int, value: GradBuffer) -> None:
        self.partials.append((index, index + 1, value))


class CompressionState:
    """What compression has left out so far: give it to `save_checkpoint` with the model.

    Each rank has it of its own microbatches, and holds two gradients for each of them while a
    step runs. In a checkpoint it is whole, a gradient for each microbatch of a step, and is
    dealt to any number of ranks.

    Parameters
    ----------
    names : of the parameters, by their id

    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(2, 1), compression="bfloat16")
    >>> state = model.compression_state
    >>> state.consolidate_state_dict()
    >>> state.state_dict()["compression"]
    "HalfPrecisionCompression(dtype='bfloat16')"
    """

    def __init__(
        self, comm: Communicator, sums: Sequence[CompressedBucketReducer], names: Mapping[int, str]
    ):
        self._comm = comm
        self._sums = sums
        self._names = [[names[id(param)] for param in total.bucket.params] for total in sums]
        self._consolidated: tuple[int, dict[str, Any]] | None = None

    def clear(self) -> None:
        """Forget it all, as before the first step; to be called by every rank."""
        for total in self._sums:
            total.clear()
        self._consolidated = None

    def _now(self) -> dict[str, Any]:
        first = self._sums[0] if self._sums else None
        return {
            "compression": repr(first and first.compression),
            "microbatches": first.count if first else 0,
            "steps": first.steps if first else 0,
        }

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state on the rank `to`, for `state_dict()`; to be called by every rank."""
        state = {**self._now(), "errors": {}, "memory": {}}
        for total, names in zip(self._sums, self._names):
            memory = total.memory.copy()
            self._comm.all_gather_slices(memory, equal_bounds(len(memory), self._comm.size))
            errors = self._gather_errors(total, keep=self._comm.rank == to)
            for name, part, error in zip(names, total.memory_parts, errors):
                state["errors"][name] = wrap(error)
                state["memory"][name] = wrap(memory[part])
        self._comm.barrier()  # on threads errors came as the other ranks' own memory
        if self._comm.rank == to:
            self._consolidated = state["steps"], state

    def _gather_errors(self, total: CompressedBucketReducer, keep: bool) -> list[np.ndarray]:
        """Of each parameter the errors of all microbatches: (microbatches, *shape)."""
        params = total.bucket.params
        rows = total.count if keep else 0
        errors = [np.empty((rows, *param.shape), param.dtype) for param in params]
        for rank in range(self._comm.size):
            for index in range(*microbatch_range(rank, self._comm.size, total.count)):
                own = total.errors.get(index)
                flat = self._comm.broadcast(own and own.flat, rank)
                for error, part in zip(errors, total._parts) if keep else ():
                    error[index] = flat[part].reshape(error.shape[1:])
        return errors

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks.

        Raises
        ------
        RuntimeError
            If it was not gathered here by `consolidate_state_dict` since the last step.
        """
        if self._consolidated is None or self._consolidated[0] != self._now()["steps"]:
            raise RuntimeError(
                "compression_state: it is spread over the ranks: call consolidate_state_dict() "
                "on every rank, then state_dict() on rank 0"
            )
        return self._consolidated[1]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take this rank's part of a whole state.

        Raises
        ------
        ValueError
            If it is of another compression, or of another model.
        """
        self._check(state_dict)
        count = state_dict["microbatches"]
        for total, names in zip(self._sums, self._names):
            total.clear()
            total.count, total.steps = count, state_dict["steps"]
            for name, part in zip(names, total.memory_parts):
                total.memory[part] = state_dict["memory"][name].numpy()
            for index in range(*microbatch_range(self._comm.rank, self._comm.size, count)):
                error = total.errors[index] = total.bucket.new_grads()
                for name, view in zip(names, error.views):
                    view.array[...] = state_dict["errors"][name].numpy()[index]
        self._consolidated = None

    def _check(self, state: Mapping[str, Any]) -> None:
        have, own = state["compression"], self._now()["compression"]
        if have != own:
            raise ValueError(f"compression_state: expected that of {own}, got that of {have}")
        params = {
            name: param
            for total, names in zip(self._sums, self._names)
            for name, param in zip(names, total.bucket.params)
        }
        shapes = {name: (state["microbatches"], *param.shape) for name, param in params.items()}
        given = {name: tuple(error.shape) for name, error in state["errors"].items()}
        if given != shapes:
            name = next(n for n in {**shapes, **given} if shapes.get(n) != given.get(n))
            raise ValueError(
                f"compression_state: expected for {name} errors of shape {shapes.get(name)}, "
                f"got {given.get(name)}"
            )
