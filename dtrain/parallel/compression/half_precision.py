"""Gradients in halves: float16 or bfloat16 on the wire, what was rounded off in memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import GradBuffer
from dtrain.backend import dtypes, pieces
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import combine, equal_bounds
from dtrain.parallel.compression.compressed_reducer import parts_of

_BITS = np.dtype(np.uint16)
_PIECE = 1 << 15  # elements


@dataclass(frozen=True)
class HalfPrecisionCompression:
    """Rounds each microbatch's gradients, and their mean, to `dtype`."""

    dtype: str

    def start(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int
    ) -> tuple[np.ndarray, list[slice]]:
        """The means' rounded-off rest, of which each rank has its slice."""
        parts = parts_of([param.numel() for param in params])
        return np.zeros(parts[-1].stop, params[0].dtype), parts

    def mean(
        self,
        comm: Communicator,
        totals: Sequence[GradBuffer],
        count: int,
        memory: np.ndarray,
        step: int,
        out: GradBuffer,
    ) -> np.ndarray:
        size = len(out.flat)
        bounds = equal_bounds(size, comm.size)
        own = slice(*bounds[comm.rank : comm.rank + 2])
        halves = [comm.empty(size, _BITS) for _ in totals]
        for total, half in zip(totals, halves):
            self._round(total.flat, half)
        slices = comm.all_to_all_slices(halves, bounds, count)
        rest = comm.empty(size, memory.dtype)
        self._add(slices, memory[own], rest[own])
        whole = comm.empty(size, _BITS)
        self._round(rest[own], whole[own])
        comm.all_gather_slices(whole, bounds)
        for here in pieces(whole, _PIECE):
            out.flat[here] = _values(self.dtype, whole[here])
        return rest

    def _round(self, flat: np.ndarray, halves: np.ndarray) -> None:
        """Write `flat` to `halves`; what is rounded off stays."""
        for here in pieces(flat, _PIECE):
            halves[here] = _to_bits(self.dtype, flat[here])
            flat[here] -= _values(self.dtype, halves[here])

    def _add(self, slices: Sequence[np.ndarray], rest: np.ndarray, out: np.ndarray) -> None:
        """The mean of halves, added by the tree, and the rest of the means before."""
        count = len(slices)
        for here in pieces(out, _PIECE):
            parts = {
                (index, index + 1): _values(self.dtype, half[here]).astype(out.dtype, copy=False)
                for index, half in enumerate(slices)
            }
            combine(parts, (0, count), [out[here]], slice(None), count)
            out[here] += rest[here]


@functools.cache
def _table(dtype: str) -> np.ndarray:
    """The value of each half, by its bits; NumPy's own conversion is slower."""
    halves = np.arange(1 << 16, dtype=np.uint32).astype(_BITS)
    with np.errstate(all="ignore"):
        return halves.view(getattr(dtypes, dtype)).astype(np.float32)


def _values(dtype: str, bits: np.ndarray) -> np.ndarray:
    return np.take(_table(dtype), bits, mode="wrap")


def _to_bits(dtype: str, x: np.ndarray) -> np.ndarray:
    """The bits of the nearest halves."""
    x = x.astype(np.float32, copy=False)
    return _to_float16_bits(x) if dtype == "float16" else x.astype(dtypes.bfloat16).view(_BITS)


#: the bits, as float32, of 2**-14, of float16's largest number, and of infinity
_NORMAL, _LARGEST, _INFINITE = 0x38800000, 0x477FE000, 0x7F800000


def _to_float16_bits(x: np.ndarray) -> np.ndarray:
    """Nearest float16, ties to even; finite numbers saturate.

    NumPy's own conversion takes 40 times as long for numbers below 2**-14, as gradients are.
    """
    bits = x.view(np.uint32)
    sign = (bits >> np.uint32(16)).astype(_BITS) & _BITS.type(0x8000)
    size = bits & np.uint32(0x7FFFFFFF)
    special = size >= _INFINITE
    np.minimum(size, np.uint32(_LARGEST), out=size)
    # Floats from 0.5 to 1 are as far apart as float16's subnormal numbers.
    half = np.float32(0.5)
    small = (size.view(np.float32) + half).view(np.uint32) - half.view(np.uint32)
    normal = size - np.uint32((127 - 15) << 23)
    normal += np.uint32(0xFFF) + (size >> np.uint32(13) & np.uint32(1))
    normal >>= np.uint32(13)
    found = np.where(size < _NORMAL, small, normal).astype(_BITS)
    if special.any():
        found[special] = np.where(np.isnan(x[special]), 0x7E00, 0x7C00)
    return found | sign
