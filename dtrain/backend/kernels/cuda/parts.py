"""How a kernel that sums divides its work among blocks, and the layout that kernels read."""

from __future__ import annotations

from typing import Any

from dtrain.backend.array_module import Array

#: Sums are divided among at least so many blocks, if each then has at least so many elements.
BLOCKS, ELEMENTS = 256, 1 << 15


def count_parts(blocks: int, elements: int) -> int:
    """In how many parts each of `blocks` sums over `elements` is divided; none is empty."""
    parts = max(1, min(-(-BLOCKS // max(blocks, 1)), elements // ELEMENTS))
    length = max(1, -(-elements // parts))
    return max(1, -(-elements // length))


def contiguous(*arrays: Array | None, dtype: Any = None) -> Any:
    """The arrays, copied where they are not contiguous or not of the dtype."""
    import cupy

    return [None if a is None else cupy.ascontiguousarray(a, dtype) for a in arrays]
