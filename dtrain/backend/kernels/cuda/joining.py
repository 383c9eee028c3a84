"""Arrays written side by side, many in one launch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each_block

#: How many arrays a launch takes, and how many elements a block writes; joining.cu has both, too.
_MANY, _CHUNK = 64, 4096
#: The arguments of a launch: each array's address, where it begins, its size, its first block.
_PARTS = np.dtype([(name, np.int64, _MANY) for name in ("source", "start", "size", "block")])


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for first in range(0, len(arrays), _MANY):
        some = arrays[first : first + _MANY]
        parts = np.zeros(1, _PARTS)
        blocks = [-(-array.size // _CHUNK) for array in some]
        parts["source"][0, : len(some)] = [array.data.ptr for array in some]
        parts["start"][0, : len(some)] = starts[first : first + _MANY]
        parts["size"][0, : len(some)] = [array.size for array in some]
        parts["block"][0, : len(some)] = np.cumsum([0, *blocks[:-1]])
        for_each_block("joining", "write_parts", sum(blocks), flat, parts, len(some))
