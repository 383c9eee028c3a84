"""`CompressionState`: the error feedback of all ranks, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import wrap
from dtrain.distributed.comm.blocks import broadcast_in_blocks
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import equal_bounds, microbatch_range
from dtrain.parallel.compression.compressed_reducer import CompressedBucketReducer


class CompressionState:
    """What compression has left out so far; pass it to `save_checkpoint` with the model.

    Each rank holds the errors of its own microbatches, which take two gradients of memory for each
    while a step runs. A checkpoint has the errors of all microbatches, and can be loaded on any
    number of ranks. `DataParallel.compression_state` is one of these.

    Parameters
    ----------
    comm : the ranks
    reducers : one for each bucket
    names : the parameters' names, by the parameters' id

    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(2, 1), compression="bfloat16")
    >>> state = model.compression_state
    >>> state.consolidate_state_dict()
    >>> state.state_dict()["compression"]
    "HalfPrecisionCompression(dtype='bfloat16')"
    """

    def __init__(
        self,
        comm: Communicator,
        reducers: Sequence[CompressedBucketReducer],
        names: Mapping[int, str],
    ):
        self._comm = comm
        self._reducers = reducers
        self._names = [[names[id(p)] for p in reducer.bucket.params] for reducer in reducers]
        self._consolidated: tuple[int, dict[str, Any]] | None = None

    def clear(self) -> None:
        """Forget all errors, as before the first step; every rank calls it."""
        for reducer in self._reducers:
            reducer.clear()
        self._consolidated = None

    def _now(self) -> dict[str, Any]:
        first = self._reducers[0] if self._reducers else None
        return {
            "compression": repr(first and first.compression),
            "microbatches": first.count if first else 0,
            "steps": first.steps if first else 0,
        }

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state on rank `to`, for its `state_dict()`; every rank calls it."""
        state = {**self._now(), "errors": {}, "memory": {}}
        for reducer, names in zip(self._reducers, self._names):
            memory = reducer.memory.copy()
            self._comm.all_gather_slices(memory, equal_bounds(len(memory), self._comm.size))
            errors = self._gather_errors(reducer, keep=self._comm.rank == to)
            for name, part, error in zip(names, reducer.memory_slices, errors):
                state["errors"][name] = wrap(error)
                state["memory"][name] = wrap(memory[part])
        self._comm.barrier()  # on threads errors came as the other ranks' own memory
        if self._comm.rank == to:
            self._consolidated = state["steps"], state

    def _gather_errors(self, reducer: CompressedBucketReducer, keep: bool) -> list[np.ndarray]:
        """For each parameter the errors of all microbatches: (microbatches, *shape)."""
        params = reducer.bucket.params
        rows = reducer.count if keep else 0
        errors = [np.empty((rows, *param.shape), reducer.memory.dtype) for param in params]
        for rank in range(self._comm.size):
            for index in range(*microbatch_range(rank, self._comm.size, reducer.count)):
                own = reducer.errors.get(index)
                flat = broadcast_in_blocks(self._comm, own and own.flat, rank)
                for error, part in zip(errors, reducer.param_slices) if keep else ():
                    error[index] = flat[part].reshape(error.shape[1:])
        return errors

    def copy_own(self) -> dict[str, Any]:
        """This rank's errors, and its memory of each parameter, for a copy of the model."""
        own: dict[str, Any] = {**self._now(), "errors": {}, "memory": {}}
        for reducer, names in zip(self._reducers, self._names):
            for position, (name, part) in enumerate(zip(names, reducer.memory_slices)):
                own["memory"][name] = reducer.memory[part].copy()
                own["errors"][name] = {
                    index: error.views[position].array.copy()
                    for index, error in reducer.errors.items()
                }
        return own

    def restore_own(self, own: Mapping[str, Any]) -> None:
        """Go on from what `copy_own` has returned."""
        for reducer, names in zip(self._reducers, self._names):
            reducer.count, reducer.steps = own["microbatches"], own["steps"]
            for position, (name, part) in enumerate(zip(names, reducer.memory_slices)):
                reducer.memory[part] = own["memory"][name]
                for index, value in own["errors"][name].items():
                    error = reducer.errors.get(index)
                    if error is None:
                        error = reducer.errors[index] = reducer.new_sum()
                    error.views[position].array[...] = value

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks.

        Raises
        ------
        RuntimeError
            If it was not gathered here by `consolidate_state_dict` since the last step.
        """
        if self._consolidated is None or self._consolidated[0] != self._now()["steps"]:
            raise RuntimeError(
                "compression_state: it is sharded over the ranks: call consolidate_state_dict() "
                "on every rank, then state_dict() on rank 0"
            )
        return self._consolidated[1]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the errors of this rank's microbatches from a whole state.

        Raises
        ------
        ValueError
            If it belongs to another compression, or to another model.
        """
        self._check(state_dict)
        count = state_dict["microbatches"]
        for reducer, names in zip(self._reducers, self._names):
            reducer.clear()
            reducer.count, reducer.steps = count, state_dict["steps"]
            for name, part in zip(names, reducer.memory_slices):
                reducer.memory[part] = state_dict["memory"][name].numpy()
            for index in range(*microbatch_range(self._comm.rank, self._comm.size, count)):
                error = reducer.errors[index] = reducer.new_sum()
                for name, view in zip(names, error.views):
                    view.array[...] = state_dict["errors"][name].numpy()[index]
        self._consolidated = None

    def _check(self, state: Mapping[str, Any]) -> None:
        have, own = state["compression"], self._now()["compression"]
        if have != own:
            raise ValueError(
                f"compression_state: expected the state of {own}, got the state of {have}"
            )
        params = {
            name: param
            for reducer, names in zip(self._reducers, self._names)
            for name, param in zip(names, reducer.bucket.params)
        }
        shapes = {name: (state["microbatches"], *param.shape) for name, param in params.items()}
        given = {name: tuple(error.shape) for name, error in state["errors"].items()}
        if given != shapes:
            name = next(n for n in {**shapes, **given} if shapes.get(n) != given.get(n))
            raise ValueError(
                f"compression_state: expected for {name} errors of shape {shapes.get(name)}, "
                f"got {given.get(name)}"
            )
