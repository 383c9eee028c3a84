"""PyTorch's signatures of the products of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import bool_, category, int64, is_inexact, promote
from dtrain.functions.autocast import autocasts
from dtrain.functions.comparison import bitwise_and, bitwise_or
from dtrain.functions.complex_numbers import conj
from dtrain.functions.creation import ones_like, triu_indices
from dtrain.functions.diagonals import diagonal
from dtrain.functions.half_precision import in_float32
from dtrain.functions.inplace import make_inplace
from dtrain.functions.joining import cat
from dtrain.functions.operands import Number, normalize_dim, promote_pair, to
from dtrain.functions.shapes import broadcast_to, reshape, squeeze, unsqueeze
from dtrain.functions.sparse_tensor import SparseTensor
from dtrain.primitives import products as primitives, reductions


def same_dtype(input: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both factors; those of two dtypes, or on two devices, are refused, as in PyTorch."""
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        x, y = input.array, other.array
        if x.dtype is y.dtype and type(x) is type(y):  # what is common, first
            return input, other
    if isinstance(input, Tensor) and isinstance(other, Tensor) and input.dtype != other.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}; "
            "convert one with .to(dtype)"
        )
    return promote_pair(input, other)


def _numbers(name: str, input: Tensor) -> Tensor:
    if input.array.dtype.kind == "b":
        raise NotImplementedError(f"{name}: expected numbers, got a tensor of dtype bool")
    return input


@autocasts
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, with vectors and batches as in torch.matmul."""
    if isinstance(input, SparseTensor):
        return input.matmul(other)
    if isinstance(other, SparseTensor):
        return other.__rmatmul__(input)
    if not hasattr(other, "ndim"):
        raise TypeError(f"matmul: expected a tensor to multiply by, got {type(other).__name__}")
    if not input.array.ndim or not other.ndim:
        raise RuntimeError("matmul: both arguments need at least one dimension")
    x, y = same_dtype(_numbers("matmul", input), other)
    rows, columns = x.array.ndim, y.array.ndim
    left = unsqueeze(x, 0) if rows == 1 else x
    right = unsqueeze(y, 1) if columns == 1 else y
    if left.array.shape[-1] != right.array.shape[-2]:
        raise RuntimeError(f"matmul: shapes cannot be multiplied ({input.shape} and {other.shape})")
    out = primitives.matmul(left, right)
    out = squeeze(out, -2) if rows == 1 else out
    return squeeze(out, -1) if columns == 1 else out


@autocasts
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices (torch.mm)."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm: expected two matrices, got {input.shape} and {mat2.shape}")
    return matmul(input, mat2)


@autocasts
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of matrices, pair by pair of two batches (torch.bmm)."""
    if input.array.ndim != 3 or mat2.array.ndim != 3 or len(input.array) != len(mat2.array):
        raise RuntimeError(
            f"bmm: expected two batches of as many matrices, got {input.shape} and {mat2.shape}"
        )
    return matmul(input, mat2)


@autocasts
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector (torch.mv)."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"mv: expected a matrix and a vector, got {input.shape}, {vec.shape}")
    return matmul(input, vec)


@autocasts
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors (torch.dot)."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"dot: expected two vectors, got {input.shape} and {tensor.shape}")
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors (torch.outer)."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: expected two vectors, got {input.shape} and {vec2.shape}")
    return unsqueeze(input, 1) * vec2


def _added(name: str, input: Tensor, product: Tensor, beta: Number, alpha: Number) -> Tensor:
    """beta * input + alpha * product; with beta 0 the input counts for nothing, not even NaN."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: expected a tensor for input, got {type(input).__name__}")
    if not is_inexact(product.dtype):
        beta, alpha = int(beta), int(alpha)  # type: ignore[arg-type]  # not of complex ones
    input = broadcast_to(input, product.shape)
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


@autocasts
@in_float32
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * mat1 @ mat2 (torch.addmm)."""
    return _added("addmm", *same_dtype(input, mm(mat1, mat2)), beta, alpha)


@autocasts
@in_float32
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * mat @ vec (torch.addmv)."""
    return _added("addmv", *same_dtype(input, mv(mat, vec)), beta, alpha)


@autocasts
@in_float32
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2) (torch.addr)."""
    product = outer(vec1, vec2)
    dtype = promote(input.dtype, product.dtype)
    if dtype == bool_:
        input = broadcast_to(input, product.shape)
        return bitwise_or(bitwise_and(input, bool(beta)), bitwise_and(product, bool(alpha)))
    if not is_inexact(dtype) and (isinstance(beta, float) or isinstance(alpha, float)):
        raise RuntimeError(f"addr: expected integers for beta and alpha, got {beta} and {alpha}")
    return _added("addr", to(input, dtype), to(product, dtype), beta, alpha)


@autocasts
@in_float32
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * batch1 @ batch2, pair by pair (torch.baddbmm)."""
    return _added("baddbmm", *same_dtype(input, bmm(batch1, batch2)), beta, alpha)


@autocasts
@in_float32
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * the sum of batch1 @ batch2 over the batch (torch.addbmm)."""
    return _added(
        "addbmm", *same_dtype(input, bmm(batch1, batch2).sum(0, dtype=batch1.dtype)), beta, alpha
    )


@autocasts
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Inner products over the last dimensions (torch.inner)."""
    if not input.ndim or not other.ndim:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


@autocasts
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, the first conjugated (torch.vdot)."""
    return dot(conj(input), other)


@autocasts
@in_float32
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Inner products along a dimension, `x` conjugated; others broadcast (torch.linalg.vecdot)."""
    if not is_inexact(x.dtype):
        raise RuntimeError(f"linalg.vecdot: expected a floating dtype, got {x.dtype}")
    return (conj(x) * y).sum(dim)


@autocasts
@in_float32
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Products summed over the last dims of a and the first of b, or lists (torch.tensordot)."""
    dims = dims.tolist() if isinstance(dims, Tensor) else dims
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot: {dims} are no dims of shapes {a.shape} and {b.shape}")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    over_a, over_b = ([normalize_dim(d, x.ndim) for d in ds] for ds, x in zip(dims, (a, b)))
    fits = (1 in (n := (a.shape[i], b.shape[j])) or n[0] == n[1] for i, j in zip(over_a, over_b))
    if len(over_a) != len(over_b) or not all(fits):
        raise RuntimeError(
            f"tensordot: dimensions {over_a} of {a.shape} and {over_b} of {b.shape} do not match"
        )
    for i, j in zip(over_a, over_b):  # a dimension of size 1 meets the sum over the other
        if a.shape[i] != b.shape[j]:
            a = a if a.shape[i] == 1 else a.sum(i, True, dtype=a.dtype)
            b = b if b.shape[j] == 1 else b.sum(j, True, dtype=b.dtype)
    kept_a = [d for d in range(a.ndim) if d not in over_a]
    kept_b = [d for d in range(b.ndim) if d not in over_b]
    full = [a.shape[d] for d in kept_a] + [b.shape[d] for d in kept_b]
    rows = math.prod(a.shape[d] for d in kept_a)
    columns = math.prod(b.shape[d] for d in kept_b)
    shared = math.prod(a.shape[d] for d in over_a)
    left = reshape(a.permute(kept_a + over_a), rows, shared)
    right = reshape(b.permute(over_b + kept_b), shared, columns)
    return reshape(mm(left, right), full)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: blocks of `other`, one for each element of the input (torch.kron)."""
    ndim = max(input.ndim, other.ndim)
    a, b = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other))
    left = reshape(input, [n for size in a for n in (size, 1)])
    right = reshape(other, [n for size in b for n in (1, size)])
    return reshape(left * right, [n * m for n, m in zip(a, b)])


@autocasts
@in_float32
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross products along a dimension of size 3, the first there is if None (torch.cross)."""
    same_dtype(input, other)
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"cross: expected as many dimensions in both, got {input.shape} and {other.shape}"
        )
    if dim is None:
        found = [d for d, n in enumerate(input.shape) if n == 3]
        if not found:
            raise RuntimeError(f"cross: expected a dimension of size 3, got shape {input.shape}")
        dim = found[0] - input.ndim
    if input.size(dim) != 3 or other.size(dim) != 3:
        raise RuntimeError(
            f"cross: expected size 3 in dimension {dim}, got {input.shape} and {other.shape}"
        )
    dim = dim if dim < 0 else dim - input.ndim
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)


@autocasts
@in_float32
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """Distances, by the p-norm, of all rows of x1 to all rows of x2 (torch.cdist).

    `compute_mode` is for PyTorch's sake: distances are always those of the differences.
    """
    if compute_mode is not None and compute_mode not in _MODES:
        raise ValueError(f"cdist: expected compute_mode {_MODES}, got {compute_mode!r}")
    if p < 0:
        raise RuntimeError(f"cdist: expected p >= 0, got {p}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"cdist: expected rows of one length, got shapes {x1.shape} and {x2.shape}"
        )
    x1, x2 = same_dtype(x1, x2)
    return _distances(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, ignore_nan=True)


_MODES = [
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
]


def _distances(apart: Tensor, p: float, ignore_nan: bool) -> Tensor:
    """The p-norms of the rows; `ignore_nan`: in their largest element (p = inf)."""
    if not apart.shape[-1]:
        return apart.sum(-1)
    if p == math.inf:
        return reductions.largest_magnitude(apart, ignore_nan=ignore_nan)
    if p == 1:
        return reductions.sum_magnitudes(apart)
    return reductions.count_differences(apart) if p == 0 else apart.norm(p, -1)


@autocasts
@in_float32
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """Distances, by the p-norm, of each row to all rows after it (torch.pdist)."""
    if input.ndim != 2 or p < 0:
        raise RuntimeError(f"pdist: expected a matrix and p >= 0, got {input.shape} and {p}")
    first, second = triu_indices(len(input), len(input), 1)
    return _distances(input[first] - input[second], p, ignore_nan=False)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the elements of a vector, as rows, the highest first (torch.vander)."""
    if x.ndim != 1:
        raise RuntimeError(f"vander: expected a vector, got shape {x.shape}")
    powers = _powers(x, len(x) if N is None else N)
    return powers if increasing else powers.flip(-1)


def linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Powers 0 to N - 1 of each element, in a new last dimension (torch.linalg.vander)."""
    count = N if N is not None else x.shape[-1] if x.ndim else 1
    if count < 2:
        raise RuntimeError(f"linalg.vander: expected N > 1, got {count}")
    return _powers(x if x.ndim else reshape(x, 1), count)


def _powers(x: Tensor, count: int) -> Tensor:
    """x^0, x^1, ... x^(count - 1) along a new last dimension."""
    base = to(x, promote(x.dtype, int64)) if category(x.dtype) < 2 else x
    full = (*x.shape, max(count - 1, 0))
    ones = ones_like(unsqueeze(base, -1))
    powers = broadcast_to(unsqueeze(base, -1), full).cumprod(-1)
    return cat([ones, powers], -1).narrow(-1, 0, count)


@autocasts
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix (torch.trace)."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got shape {input.shape}")
    return diagonal(_numbers("trace", input)).sum()


@autocasts
def chain_matmul(*check_matrices: Tensor) -> Tensor:
    """The product of several matrices, in the order that costs least (torch.chain_matmul)."""
    return multi_dot(check_matrices) if len(check_matrices) > 1 else check_matrices[0]


@autocasts
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices; the first and the last may be vectors (linalg.multi_dot)."""
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot: expected two tensors or more, got {count}")
    chain = list(tensors)
    lone = [chain[0].ndim == 1, chain[-1].ndim == 1]
    chain[0] = unsqueeze(chain[0], 0) if lone[0] else chain[0]
    chain[-1] = unsqueeze(chain[-1], 1) if lone[1] else chain[-1]
    sizes = [*(x.shape[0] for x in chain), chain[-1].shape[1]]
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i): (0, None) for i in range(count)}
    for length in range(1, count):  # Cormen et al., Introduction to Algorithms, section 15.2
        for i in range(count - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        k = best[i, j][1]
        return chain[i] if i == j else mm(product(i, k), product(k + 1, j))

    out = product(0, count - 1)
    out = squeeze(out, 0) if lone[0] else out
    return squeeze(out, -1) if lone[1] else out


INPLACE = {
    f"{function.__name__}_": make_inplace(f"{function.__name__}_", function)
    for function in (addbmm, addmm, addmv, addr, baddbmm)
}
