"""Products of matrices by cuBLAS: transposed operands by flags, views by leading dimensions, so
that neither is copied; halves are added in float32. Factors of float32 may be TensorFloat32."""

from __future__ import annotations

import functools
import math

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda import cublas
from dtrain.backend.settings import get_float32_matmul_precision

#: dtype -> cudaDataType, cublasComputeType_t
_TYPES = {"f": (0, 68), "d": (1, 70), "e": (2, 68), "E": (14, 68)}
_TENSOR_FLOAT = 0, 77


@functools.cache
def _scalar(value: float, compute: int) -> np.ndarray:
    return np.array(value, np.float64 if compute == 70 else np.float32)


@functools.cache
def _address(value: float, compute: int) -> int:
    """The address of a factor in host memory."""
    return _scalar(value, compute).ctypes.data


def matmul(x: Array, y: Array) -> Array:
    """x @ y over the last two axes; leading axes broadcast."""
    import cupy

    if not x.ndim or not y.ndim or x.dtype != y.dtype or x.dtype.char not in _TYPES:
        return x @ y
    if x.ndim == 1:
        return matmul(x[None], y)[..., 0, :] if y.ndim > 1 else matmul(x[None], y)[0]
    if y.ndim == 1:
        return matmul(x, y[:, None])[..., 0]
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    (m, k), n = x.shape[-2:], y.shape[-1]
    if y.shape[-2] != k:
        return x @ y  # which says what is wrong
    out = cupy.empty((*lead, m, n), x.dtype)
    if not out.size:
        return out
    if not k:
        out[...] = 0
        return out
    batch = math.prod(lead)
    _multiply(*_operand(x, lead), *_operand(y, lead), out, (m, n, k, batch))
    return out


def _operand(x: Array, lead: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """The array, whether it is transposed, its leading dimension and the step between matrices."""
    import cupy

    item, (rows, columns) = x.itemsize, x.shape[-2:]
    down, right = (s // item for s in x.strides[-2:])
    step = _step([s // item for s in x.strides[:-2]], x.shape[:-2], lead)
    if step is not None:
        if (right == 1 or columns == 1) and (down >= columns or rows == 1):
            return x, 0, max(down if rows > 1 else columns, columns), step
        if (down == 1 or rows == 1) and (right >= rows or columns == 1):
            return x, 1, max(right if columns > 1 else rows, rows), step
    x = cupy.ascontiguousarray(cupy.broadcast_to(x, (*lead, rows, columns)) if step is None else x)
    return x, 0, columns, _step([s // item for s in x.strides[:-2]], x.shape[:-2], lead) or 0


def _step(strides: list[int], shape: tuple[int, ...], lead: tuple[int, ...]) -> int | None:
    """The one step between the matrices of a batch; None if there is none."""
    strides = [0] * (len(lead) - len(shape)) + strides
    shape = (1,) * (len(lead) - len(shape)) + shape
    step, covered = 0, 1  # of the axes from the last one on: the step, and how many matrices
    for stride, size, wanted in zip(reversed(strides), reversed(shape), reversed(lead)):
        if wanted == 1:
            continue
        here = 0 if size == 1 else stride
        if covered == 1:
            step = here
        elif here != step * covered:
            return None
        covered *= wanted
    return step


def _multiply(
    x: Array, x_t: int, x_ld: int, x_step: int, y: Array, y_t: int, y_ld: int, y_step: int,
    out: Array, sizes: tuple[int, int, int, int],
) -> None:  # fmt: skip
    """cuBLAS counts by columns: it computes out^T = y^T x^T."""
    m, n, k, batch = sizes
    kind, compute = _TYPES[out.dtype.char]
    if out.dtype.char == "f" and get_float32_matmul_precision() != "highest":
        kind, compute = _TENSOR_FLOAT
    one, zero = (_address(value, compute) for value in (1.0, 0.0))
    cublas.call(
        "cublasGemmStridedBatchedEx", cublas.handle(), y_t, x_t, n, m, k, one,
        y.data.ptr, kind, y_ld, y_step, x.data.ptr, kind, x_ld, x_step, zero,
        out.data.ptr, kind, n, m * n, batch, compute, -1,
    )  # fmt: skip
