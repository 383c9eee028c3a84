"""`ReduceOp`, and the reduction of an array over ranks by each of them."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from dtrain.backend import Array
from dtrain.backend.dtypes import float32, is_half, is_inexact
from dtrain.distributed.comm.blocks import all_reduce_blocks
from dtrain.distributed.comm.communicator import Communicator


class ReduceOp(enum.Enum):
    """How a collective call combines the ranks' values (torch.distributed.ReduceOp).

    Wherever an operation is expected, its value, such as ``"sum"``, stands for it.
    """

    SUM = "sum"
    AVG = "mean"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    BAND = "band"
    BOR = "bor"
    BXOR = "bxor"

    @classmethod
    def _missing_(cls, value: object) -> Any:
        names = ", ".join(op.name for op in cls)
        raise ValueError(f"expected op ReduceOp.SUM, or another of {names}, got {value!r}")


_BITWISE = {ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR}
#: the operation that takes another's place for bool, where True + True is True
_OF_BOOL = {
    ReduceOp.SUM: ReduceOp.MAX,
    ReduceOp.PRODUCT: ReduceOp.MIN,
    ReduceOp.BAND: ReduceOp.MIN,
    ReduceOp.BOR: ReduceOp.MAX,
}


def require_op_takes(op: ReduceOp, dtype: np.dtype, call: str) -> None:
    """Refuse an operation that a dtype does not have."""
    if op is ReduceOp.AVG and not is_inexact(dtype):
        raise ValueError(
            f"{call}: ReduceOp.AVG takes a floating dtype, got {dtype}: sum in float32, or divide "
            "the sum"
        )
    if op in (ReduceOp.MIN, ReduceOp.MAX) and dtype.kind == "c":
        raise ValueError(
            f"{call}: ReduceOp.{op.name} takes real numbers, got {dtype}: reduce view_as_real()"
        )
    if op in _BITWISE and is_inexact(dtype):
        raise ValueError(f"{call}: ReduceOp.{op.name} takes an integer dtype or bool, got {dtype}")


def reduce_flat(comm: Communicator, flat: Array, op: ReduceOp) -> None:
    """Reduce a contiguous array of one dimension over the ranks, in place, in a fixed order.

    Halves are reduced in float32 and rounded once; a sum of bool is True if any value is.
    """
    if flat.dtype == bool:
        reduce_flat(comm, flat.view(np.uint8), _OF_BOOL.get(op, op))
    elif is_half(flat.dtype) and op not in (ReduceOp.MIN, ReduceOp.MAX):
        wide = flat.astype(float32)
        all_reduce_blocks(comm, wide, op.value)
        with np.errstate(all="ignore"):  # too large is infinity
            flat[...] = wide
    else:
        all_reduce_blocks(comm, flat, op.value)


def reduce_slices(comm: Communicator, flat: Array, out: Array, op: ReduceOp) -> None:
    """Combine over the ranks; of (ranks * n,) each rank writes its own (n,) to `out`.

    `flat` is overwritten.
    """
    bounds = range(0, len(flat) + 1, max(len(out), 1))
    own = slice(comm.rank * len(out), (comm.rank + 1) * len(out))
    if not len(out):
        return
    if op in (ReduceOp.SUM, ReduceOp.AVG) and flat.dtype != bool:
        wide = flat.astype(float32) if is_half(flat.dtype) else flat
        divisor = comm.size if op is ReduceOp.AVG else 1
        comm.reduce_scatter([wide], wide, bounds, comm.size, divisor)
        with np.errstate(all="ignore"):
            out[...] = wide[own]
    else:
        reduce_flat(comm, flat, op)
        out[...] = flat[own]
