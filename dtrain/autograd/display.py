"""How a tensor looks: PyTorch's `repr`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtrain.backend import to_host
from dtrain.backend.dtypes import get_default_dtype, is_half

if TYPE_CHECKING:
    from dtrain.autograd.tensor import Tensor


def display(tensor: Tensor) -> str:
    """The values to four digits, and what is not implied by them."""
    host = to_host(tensor._array)
    if is_half(host.dtype):
        host = host.astype(np.float32)
    with np.errstate(all="ignore"):
        whole = bool((np.isfinite(host) & (host == np.round(host))).all())
    text = np.array2string(
        host,
        separator=", ",
        precision=4,
        floatmode="maxprec" if whole else "fixed",
        prefix="tensor(",
        threshold=1000,
    )
    implied = (get_default_dtype(), np.dtype(np.int64), np.dtype(np.bool_))
    extras = [] if tensor.dtype in implied else [f"dtype={tensor.dtype}"]
    if 0 in tensor.shape and tensor.shape != (0,):
        extras.append(f"size={tensor.shape}")
    if tensor.is_cuda:
        extras.append(f"device='{tensor.device}'")
    if tensor._node is not None:
        extras.append(f"grad_fn={tensor._node!r}")
    elif tensor._requires_grad:
        extras.append("requires_grad=True")
    return f"tensor({', '.join([text, *extras])})"
