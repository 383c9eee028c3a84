"""Deferred buffer updates on GPUs between the ranks: what there is in the vote, the arrays by one
collective call for each dtype, so that none is copied to the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from dtrain.backend import Array, array_module, is_cupy, kernels, on_device_of
from dtrain.distributed.comm.communicator import Communicator
from dtrain.nn.deferred_updates import BufferUpdate

#: By microbatch and layer.
Updates = dict[int, list[list[BufferUpdate]]]


@dataclass(frozen=True)
class OnDevice:
    """Stands for an array on a GPU."""

    shape: tuple[int, ...]
    dtype: np.dtype


def take_out(updates: Updates) -> tuple[Updates, list[Array]]:
    """The updates with `OnDevice` in place of arrays on a GPU, and these, in the order in which
    `gather` puts them back."""
    arrays: list[Array] = []

    def describe(value: Any) -> Any:
        if not is_cupy(value):
            return value
        arrays.append(array_module(value).ascontiguousarray(value))
        return OnDevice(value.shape, value.dtype)

    return _replace(updates, describe), arrays


def gather(
    comm: Communicator, updates: Sequence[Updates], arrays: Sequence[Array], like: Array
) -> list[Updates]:
    """Every rank's updates with its arrays, from what `take_out` gave on each.

    updates: of all ranks; arrays: of this one; like: on the device where the arrays are to be.
    """
    described = [list(_descriptions(of_rank)) for of_rank in updates]
    parts: dict[np.dtype, Iterator[Array]] = {}
    for dtype in sorted({d.dtype for of_rank in described for d in of_rank}, key=str):
        sizes = [
            [int(np.prod(d.shape)) for d in of_rank if d.dtype == dtype] for of_rank in described
        ]
        bounds = list(accumulate((sum(of_rank) for of_rank in sizes), initial=0))
        with on_device_of(like):
            flat = array_module(like).empty(bounds[-1], dtype)
            starts = list(accumulate(sizes[comm.rank], initial=bounds[comm.rank]))[:-1]
            own = [array for array in arrays if array.dtype == dtype]
            kernels.write_parts(flat, own, starts)
            comm.all_gather_slices(flat, bounds)
        ends = list(accumulate(size for of_rank in sizes for size in of_rank))
        parts[dtype] = iter(
            [flat[end - size : end] for end, size in zip(ends, (n for s in sizes for n in s))]
        )

    def put_back(value: Any) -> Any:
        return next(parts[value.dtype]).reshape(value.shape) if _stands(value) else value

    return [_replace(of_rank, put_back) for of_rank in updates]


def _stands(value: Any) -> bool:
    return isinstance(value, OnDevice)


def _descriptions(updates: Updates) -> Iterator[OnDevice]:
    for index in sorted(updates):
        for layer in updates[index]:
            for update in layer:
                yield from filter(_stands, update)


def _replace(updates: Updates, change: Any) -> Updates:
    """The updates with each value changed, in the order of `_descriptions`."""
    return {
        index: [[tuple(map(change, update)) for update in layer] for layer in updates[index]]
        for index in sorted(updates)
    }
