"""Copies arrays from rank 0 to all ranks in blocks: any size, with little memory beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dtrain.backend import Array, array_module, on_device_of, to_host
from dtrain.distributed.comm.communicator import Communicator

_BLOCK_BYTES = 16 << 20


def copy_from_rank_0(
    comm: Communicator, arrays: Sequence[Array], block_bytes: int = _BLOCK_BYTES
) -> None:
    """Overwrite `arrays` by those of rank 0; every rank calls it, with arrays of the same shapes.

    Parameters
    ----------
    comm : the ranks
    arrays : any shapes, dtypes and devices
    block_bytes : how many bytes are copied at once; one such block is allocated
    """
    total = sum(array.nbytes for array in arrays)
    if comm.size == 1 or not total:
        return
    block = comm.empty(min(block_bytes, total), np.dtype(np.uint8))
    bounds = [0] + [len(block)] * comm.size  # rank 0 has the whole block
    for parts in _split(arrays, len(block)):
        if comm.rank == 0:
            for start, part in parts:
                block[start : start + len(part)] = to_host(part)
        comm.all_gather_slices(block, bounds)
        if comm.rank:
            for start, part in parts:
                with on_device_of(part):
                    part[...] = array_module(part).asarray(block[start : start + len(part)])


def _split(arrays: Sequence[Array], size: int) -> Iterator[list[tuple[int, Array]]]:
    """The bytes of all arrays in blocks: for each block where its parts begin, and the parts."""
    parts: list[tuple[int, Array]] = []
    filled = 0
    for array in arrays:
        flat = _as_bytes(array)
        done = 0
        while done < len(flat):
            part = flat[done : done + size - filled]
            parts.append((filled, part))
            done, filled = done + len(part), filled + len(part)
            if filled == size:
                yield parts
                parts, filled = [], 0
        if not array.flags.c_contiguous:  # what came is in a copy
            yield parts
            parts, filled = [], 0
            array[...] = flat.view(array.dtype).reshape(array.shape)
    if parts:
        yield parts


def _as_bytes(array: Array) -> Array:
    """The bytes of an array, as a view if it is contiguous."""
    return array_module(array).ascontiguousarray(array).reshape(-1).view(np.uint8)
