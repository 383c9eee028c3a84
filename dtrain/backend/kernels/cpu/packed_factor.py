"""A matrix that is the right factor of many products on AMX: it is packed once."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.amx import aligned_memory
from dtrain.backend.kernels.cpu.amx_pack import DEPTH, NOT_FINITE, PARTS
from dtrain.backend.kernels.cpu.product import (
    MULTIPLY,
    PACK,
    fills_tiles,
    in_rows,
    run,
)
from dtrain.backend.settings import get_matmul_precision


class PackedFactor:
    """A float32 matrix (k, n) for products of rows (m, k) with it.

    >>> factor = PackedFactor(np.eye(256, dtype=np.float32))
    >>> rows, out = np.ones((2, 16, 256), np.float32)
    >>> factor.multiply(rows, out)
    >>> np.array_equal(rows, out)
    True
    """

    def __init__(self, y: np.ndarray) -> None:
        (k, n), self._y = y.shape, y
        y, stride, by_k = in_rows(y)
        size = 2 * PARTS * -(-k // DEPTH) * DEPTH * -(-n // 32) * 32
        self._memory = aligned_memory(size)
        self._address = self._memory.ctypes.data
        self._sizes = np.array([0, n, k, 0, stride, 0, 1, not by_k, PACK, 0], np.int64)
        self._addresses = np.array([[0], [y.__array_interface__["data"][0]], [0]], np.int64)
        self._found = run(self._addresses, self._sizes, self._address)
        self._sizes[8:] = MULTIPLY, self._found

    def multiply(self, x: np.ndarray, out: np.ndarray) -> None:
        """out = x @ this matrix; the rows of both are contiguous."""
        sizes, addresses = self._sizes, self._addresses
        sizes[0], sizes[3], sizes[5] = len(x), x.strides[0], out.strides[0]
        addresses[0] = x.__array_interface__["data"][0]
        addresses[2] = out.__array_interface__["data"][0]
        if self._found & NOT_FINITE or run(addresses, sizes, self._address) & NOT_FINITE:
            np.matmul(x, self._y, out)


def pack_if_worthwhile(y: np.ndarray, rows: int) -> PackedFactor | None:
    """y, packed, if AMX multiplies so many rows with it faster; None if the BLAS does."""
    is_exact = get_matmul_precision() == "ieee"
    return PackedFactor(y) if fills_tiles(rows, y.shape[1], len(y)) and not is_exact else None
