"""``DTRAIN_DEBUG=detail``: the ranks compare their weights and the state of their optimizers.

With the agreement at the end of every DTRAIN_DEBUG_EVERY-th step (100 by default) each rank sends
a digest of what its parameters' optimizers left at the end of the step before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dtrain import env
from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array, to_host
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.step import Step
from dtrain.errors import DesyncError


def make_divergence_check(
    comm: Communicator, buckets: Sequence[Bucket], named: Mapping[str, Tensor]
) -> DivergenceCheck | None:
    """The comparison, if the environment asks for it."""
    if env.DEBUG.read() is None:
        return None
    return DivergenceCheck(comm, buckets, named, env.DEBUG_EVERY.read())


class DivergenceCheck:
    """Compares what is the same on all ranks of `comm`.

    Parameters
    ----------
    buckets : of the parameters, and so of their optimizers' state
    named : the parameters, in the order in which they are reported
    every : so many steps
    """

    def __init__(
        self,
        comm: Communicator,
        buckets: Sequence[Bucket],
        named: Mapping[str, Tensor],
        every: int,
    ):
        self._comm, self._buckets, self._named, self._every = comm, buckets, named, every
        self._unnumbered = 0  # steps outside of a loader

    def digest(self, step: Step) -> bytes | None:
        """Of all weights and states; None if the step is none of those that are compared."""
        number = step.number
        if number < 0:
            number, self._unnumbered = self._unnumbered, self._unnumbered + 1
        if number % self._every:
            return None
        return _digest(array for bucket in self._buckets for _, array in _arrays(bucket))

    def compare(self, digests: Sequence[bytes | None], step: Step) -> None:
        """Refuse digests of the ranks that differ.

        Raises
        ------
        DesyncError
            Names the first parameter that differs, the step and the ranks.
        """
        if all(digest == digests[0] for digest in digests):
            return
        own = [(name, what, _digest([a])) for name, what, a in self._parts()]
        ranks = self._comm.allgather(own, "the weights that differ")
        for parts in zip(*ranks):
            groups: dict[bytes, list[int]] = {}
            for rank, (_, _, digest) in enumerate(parts):
                groups.setdefault(digest, []).append(rank)
            if len(groups) > 1:
                name, what, _ = parts[0]
                place = f" {step.number}" if step.number >= 0 else ""
                raise DesyncError(
                    f"DTRAIN_DEBUG=detail: at the end of step{place}, before the optimizer's "
                    f"update, {what} of {name} is not the same on all ranks: "
                    + " unlike ".join(f"rank {', '.join(map(str, g))}" for g in groups.values())
                )
        raise DesyncError(
            "DTRAIN_DEBUG=detail: the optimizers of the ranks have not updated the same parameters"
        )

    def _parts(self) -> Iterator[tuple[str, str, Array]]:
        for name, param in self._named.items():
            bucket = param._bucket
            if bucket is not None and bucket in self._buckets:
                start = bucket.starts[param._bucket_index]
                for what, array in _arrays(bucket):
                    yield name, what, array[start : start + param.numel()]


def _arrays(bucket: Bucket) -> Iterator[tuple[str, Array]]:
    """The weights, and the optimizers' state where each rank has all of it (without ZeRO)."""
    yield "the value", bucket.data
    if not bucket.is_sharded:
        for state in list(bucket.states.values()):
            for name, array in state.items():
                yield f"the optimizer's {name}", array


def _digest(arrays: Any) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    for array in arrays:
        hasher.update(np.ascontiguousarray(to_host(array)).view(np.uint8).data)
    return hasher.digest()
