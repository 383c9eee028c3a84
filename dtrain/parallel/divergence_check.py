"""``DTRAIN_DEBUG=detail``: the ranks compare their weights and the state of their optimizers.

With the vote at the end of every DTRAIN_DEBUG_EVERY-th step (100 by default) each rank sends a
digest of its parameters and its optimizers' state, as the step before left them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dtrain import env
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.differences import digest_arrays, find_difference
from dtrain.distributed.step import Step
from dtrain.errors import DesyncError
from dtrain.parallel.bucket_layout import BucketLayout
from dtrain.parallel.shard import find_shard


def make_divergence_check(comm: Communicator, layout: BucketLayout) -> DivergenceCheck | None:
    """The check that the environment asks for, if any."""
    if env.DEBUG.read() is None:
        return None
    return DivergenceCheck(comm, layout, env.DEBUG_EVERY.read())


class DivergenceCheck:
    """Compares, over the ranks of `comm`, what must have the same bits on all of them.

    Parameters
    ----------
    layout : the buckets of the model; their optimizers' state is compared too
    every : the number of steps from one comparison to the next
    """

    def __init__(self, comm: Communicator, layout: BucketLayout, every: int):
        self._comm, self._layout, self._every = comm, layout, every
        self._unnumbered = 0  # steps outside of a loader

    def digest(self, step: Step) -> bytes | None:
        """The digest of all weights and states; None in a step without a comparison."""
        number = step.number
        if number < 0:
            number, self._unnumbered = self._unnumbered, self._unnumbered + 1
        if number % self._every:
            return None
        buckets = self._layout.buckets
        return digest_arrays(array for bucket in buckets for _, array in _compared_arrays(bucket))

    def compare(self, digests: Sequence[bytes | None], step: Step) -> None:
        """Compare the digests of all ranks.

        Raises
        ------
        DesyncError
            If they differ; names the first parameter that differs, the step and the ranks.
        """
        if all(digest == digests[0] for digest in digests):
            return
        own = [
            (name, what, digest_arrays([array]))
            for name, what, array in self._arrays_by_parameter()
        ]
        difference = find_difference(self._comm.allgather(own, "the weights that differ"))
        entry = difference and difference.entries[difference.rank]
        if difference and entry and difference.entries[0]:
            name, what, _ = entry
            number = f" {step.number}" if step.number >= 0 else ""
            raise DesyncError(
                f"DTRAIN_DEBUG=detail: at the end of step{number}, before the optimizer's "
                f"update, {what} of {name} is not the same on all ranks: "
                + difference.describe_groups()
            )
        raise DesyncError(
            "DTRAIN_DEBUG=detail: the optimizers of the ranks have not updated the same parameters"
        )

    def _arrays_by_parameter(self) -> Iterator[tuple[str, str, Array]]:
        """Name of a parameter, kind of array, and its part of that array."""
        buckets = self._layout.buckets
        for name, param in zip(self._layout.names, self._layout.params):
            bucket = param._bucket
            if bucket is not None and bucket in buckets:
                start = bucket.starts[param._bucket_index]
                for what, array in _compared_arrays(bucket):
                    yield name, what, array[start : start + param.numel()]


def _compared_arrays(bucket: Bucket) -> Iterator[tuple[str, Array]]:
    """The weights, and the optimizers' state, unless they are sharded."""
    if bucket.has_all_values:
        yield "the value", bucket.data
    shard = find_shard(bucket)
    if shard is None or shard.count == 1:
        for state in list(bucket.states.values()):
            for name, array in state.items():
                yield f"the optimizer's {name}", array
