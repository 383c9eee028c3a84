"""Half precision: gradients are sent as float16 or bfloat16, rounding errors are kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import dtypes, pieces
from dtrain.distributed.comm.tree_reduce import combine, equal_bounds
from dtrain.parallel.compression.protocol import CompressedExchange, make_slices

_BITS = np.dtype(np.uint16)
_PIECE = 1 << 15  # elements


@dataclass(frozen=True)
class HalfPrecisionCompression:
    """Rounds each microbatch's gradients, and their mean, to `dtype`."""

    dtype: str

    def init_memory(
        self, params: Sequence[Tensor], keys: Sequence[int], seed: int, dtype: np.dtype
    ) -> tuple[np.ndarray, list[slice]]:
        """The rounding errors of the means, of which each rank keeps its slice."""
        slices = make_slices([param.numel() for param in params])
        return np.zeros(slices[-1].stop, dtype), slices

    def exchange(self, step: CompressedExchange) -> np.ndarray:
        """All-to-all of rounded slices, tree sum, all-gather of the rounded mean."""
        comm, memory, out = step.comm, step.memory, step.out
        size = len(out.flat)
        bounds = equal_bounds(size, comm.size)
        own = slice(*bounds[comm.rank : comm.rank + 2])
        halves = [comm.empty(size, _BITS) for _ in step.totals]
        for total, half in zip(step.totals, halves):
            self._round(total.flat, half)
        slices = comm.all_to_all_slices(halves, bounds, step.microbatches)
        errors = comm.empty(size, memory.dtype)
        self._add(slices, memory[own], errors[own])
        whole = comm.empty(size, _BITS)
        self._round(errors[own], whole[own])
        comm.all_gather_slices(whole, bounds)
        for here in pieces(whole, _PIECE):
            out.flat[here] = _decode(self.dtype, whole[here])
        return errors

    def _round(self, flat: np.ndarray, halves: np.ndarray) -> None:
        """Write `flat`, rounded, to `halves`; leave the rounding errors in `flat`."""
        for here in pieces(flat, _PIECE):
            halves[here] = _round_to_bits(self.dtype, flat[here])
            flat[here] -= _decode(self.dtype, halves[here])

    def _add(self, slices: Sequence[np.ndarray], errors: np.ndarray, out: np.ndarray) -> None:
        """Write the mean of halves, added by the tree, plus the errors of the last mean."""
        count = len(slices)
        for here in pieces(out, _PIECE):
            partials = {
                (index, index + 1): _decode(self.dtype, half[here]).astype(out.dtype, copy=False)
                for index, half in enumerate(slices)
            }
            combine(partials, (0, count), [out[here]], slice(None), count)
            out[here] += errors[here]


@functools.cache
def _half_values(dtype: str) -> np.ndarray:
    """The value of each half as float32, by its bits; NumPy's own conversion is slower."""
    halves = np.arange(1 << 16, dtype=np.uint32).astype(_BITS)
    with np.errstate(all="ignore"):
        return halves.view(getattr(dtypes, dtype)).astype(np.float32)


def _decode(dtype: str, bits: np.ndarray) -> np.ndarray:
    return np.take(_half_values(dtype), bits, mode="wrap")


def _round_to_bits(dtype: str, x: np.ndarray) -> np.ndarray:
    """Round to the nearest halves; returns their bits."""
    x = x.astype(np.float32, copy=False)
    return (
        _round_to_float16_bits(x) if dtype == "float16" else x.astype(dtypes.bfloat16).view(_BITS)
    )


#: the bits, as float32, of 2**-14, of float16's largest number, and of infinity
_NORMAL, _LARGEST, _INFINITE = 0x38800000, 0x477FE000, 0x7F800000


def _round_to_float16_bits(x: np.ndarray) -> np.ndarray:
    """Round to the nearest float16, ties to even; finite numbers saturate. Returns the bits.

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
