"""Copying arrays that are views of a mapped file in blocks, whose pages are released at once."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

from dtrain.backend.array_module import Array

_BLOCK_BYTES = 1 << 23


class FileMapping(mmap.mmap):
    """A read-only mapping: released pages are read from the file again."""


def mapped_blocks(flat: Array) -> Iterator[slice]:
    """Slices in which to copy a flat array: blocks of a mapped file, else the whole array.

    The pages of a block are released when the next block is asked for.

    >>> list(mapped_blocks(np.zeros(5)))
    [slice(0, 5, None)]
    """
    mapping = _find_mapping(flat)
    if mapping is None:
        yield slice(0, len(flat))
        return
    start = np.frombuffer(mapping, np.uint8).ctypes.data
    count = max(1, _BLOCK_BYTES // flat.itemsize)
    for low in range(0, len(flat), count):
        block = flat[low : low + count]
        yield slice(low, low + len(block))
        offset = block.ctypes.data - start
        page = offset // mmap.PAGESIZE * mmap.PAGESIZE
        mapping.madvise(mmap.MADV_DONTNEED, page, offset - page + block.nbytes)


def _find_mapping(flat: Array) -> FileMapping | None:
    """The mapped file of which a host array is a view, or None."""
    base = flat
    while isinstance(base, np.ndarray):
        base = base.base
        if isinstance(base, memoryview):
            base = base.obj
    return base if isinstance(base, FileMapping) else None
