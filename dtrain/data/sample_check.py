"""Whether the ranks' datasets hold the same samples: compared by the vote of a loader's first step.

A file list in another order, or with other files, gives each rank another sample under the same
index. Each rank loads a few samples that all ranks have, and describes them for the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import to_host
from dtrain.data.samplers import RandomSampler, SequentialSampler
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.differences import find_difference
from dtrain.errors import DesyncError

if TYPE_CHECKING:
    from dtrain.data.assignment import Samples

_COMPARED = 4  # samples


class SampleCheck:
    """Compares a few samples of a dataset over the ranks, and the dataset's length.

    Only samples that come out the same when they are loaded again are compared: random numbers
    that a dataset draws for itself are no difference between ranks.

    Parameters
    ----------
    load : gives the sample of an index
    indices : which samples are compared, the same on all ranks
    length : of the dataset; None if it has none
    """

    def __init__(self, load: Callable[[Any], Any], indices: Sequence[Any], length: int | None):
        self._load, self._length = load, length
        picked = np.linspace(0, len(indices) - 1, min(_COMPARED, len(indices)))
        self._indices = [indices[int(i)] for i in picked]

    def claim(self) -> list[Any]:
        """What this rank says of its dataset: the length, and a digest of each sample."""
        return [self._length, *map(self._digest, self._indices)]

    def _digest(self, index: Any) -> bytes | None:
        """The digest of a sample; None if it cannot be loaded here."""
        try:
            return digest_sample(self._load(index))
        except Exception:  # it is raised again where the program loads this sample
            return None

    def require_same(self, comm: Communicator, claims: Sequence[Sequence[Any]]) -> None:
        """Compare the claims of all ranks.

        Raises
        ------
        DesyncError
            If their datasets differ; names the first sample that differs, and the ranks.
        """
        if all(claim == claims[0] for claim in claims):
            return
        lengths = [claim[0] for claim in claims]
        if any(length != lengths[0] for length in lengths):
            by_rank = ", ".join(f"{n} on rank {rank}" for rank, n in enumerate(lengths))
            raise DesyncError(f"DataLoader: the dataset has {by_rank} samples{_ADVICE}")
        again = [self._digest(index) for index in self._indices]
        is_stable = [a is not None and a == b for a, b in zip(again, claims[comm.rank][1:])]
        told = comm.allgather(is_stable, "which samples are the same when loaded again")
        compared = [k for k, stable in enumerate(zip(*told), 1) if all(stable)]
        difference = find_difference([[claim[k] for k in compared] for claim in claims])
        if difference is not None:
            index = self._indices[compared[difference.position] - 1]
            raise DesyncError(
                f"DataLoader: sample {index!r} of the dataset is not the same on all ranks: "
                f"{difference.describe_groups()}{_ADVICE}"
            )


def make_sample_check(
    dataset: Any, sampler: Any, microbatches: Sequence[Samples], load: Callable[[Any], Any]
) -> SampleCheck:
    """Compare samples of the whole dataset, or of the step where a sampler may omit some."""
    indices: Sequence[Any]
    if isinstance(sampler, (RandomSampler, SequentialSampler)):
        indices = range(len(sampler.data_source))
    else:
        indices = [i for samples in microbatches for i in samples.indices.tolist()]
    return SampleCheck(load, indices, len(dataset) if hasattr(dataset, "__len__") else None)


_ADVICE = (
    ". The loader gives each rank its part of one dataset: list the samples in the same order on "
    "every rank, as by sorted(glob(...)) or sorted(os.listdir(...)); or, if each rank holds "
    "samples of its own: DataLoader(..., sharded=True)"
)


def digest_sample(sample: Any) -> bytes:
    """A digest that is the same on all ranks for the same sample, loaded by each for itself.

    Floating-point values count to three digits, for processors round differently; paths by their
    last part; objects of unknown types by their type.

    >>> digest_sample((np.arange(3), "a")) == digest_sample((np.arange(3), "b"))
    False
    """
    digest = blake2b(digest_size=16)
    _update(digest.update, sample)
    return digest.digest()


def _update(update: Callable[[bytes], object], value: Any) -> None:
    if isinstance(value, Tensor):
        value = to_host(value.array)
    elif hasattr(value, "__array_interface__") and not isinstance(value, np.generic):
        value = np.asarray(value)  # an image of PIL's, for instance
    if isinstance(value, np.ndarray) and value.dtype != object:
        update(repr((value.shape, str(value.dtype))).encode())
        is_exact = value.dtype.kind in "biuSUmM"
        update(np.ascontiguousarray(value).tobytes() if is_exact else _describe_numbers(value))
    elif isinstance(value, Mapping):
        _update(update, list(value.items()))
    elif isinstance(value, (list, tuple)):
        update(f"{len(value)} of".encode())
        for part in value:
            _update(update, part)
    elif isinstance(value, (float, np.floating)):
        update(f"{value:.3g}".encode())
    elif isinstance(value, (str, os.PathLike)):
        update(os.fspath(value).rpartition("/")[2].encode(errors="replace"))
    elif isinstance(value, (int, bytes, np.generic, type(None))):
        update(repr(value).encode())
    else:
        update(type(value).__qualname__.encode())


def _describe_numbers(values: np.ndarray) -> bytes:
    """Three statistics of real or complex values, of three digits each."""
    with np.errstate(all="ignore"):
        sizes = np.abs(values.reshape(-1)).astype(np.float64)
        ramp = np.linspace(0, 1, len(sizes))
        figures = (sizes.sum(), sizes.max(initial=0), (sizes * ramp).sum())
        return repr([f"{figure:.3g}" for figure in figures]).encode()
