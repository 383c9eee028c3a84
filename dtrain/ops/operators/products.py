"""PyTorch's signatures of the products of vectors and matrices."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.ops import matmul as rules
from dtrain.ops.operators.operands import Number, pair
from dtrain.ops.operators.shapes import squeeze, unsqueeze


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, with vectors and batches as in torch.matmul."""
    if not input.ndim or not other.ndim:
        raise RuntimeError("matmul: both arguments need at least one dimension")
    x, y = pair(input, other)
    left = unsqueeze(x, 0) if x.ndim == 1 else x
    right = unsqueeze(y, 1) if y.ndim == 1 else y
    if left.shape[-1] != right.shape[-2]:
        raise RuntimeError(f"matmul: shapes cannot be multiplied ({input.shape} and {other.shape})")
    out = rules.matmul(left, right)
    out = squeeze(out, -2) if x.ndim == 1 else out
    return squeeze(out, -1) if y.ndim == 1 else out


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices (torch.mm)."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm: expected two matrices, got {input.shape} and {mat2.shape}")
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of matrices, pair by pair of two batches (torch.bmm)."""
    if input.ndim != 3 or mat2.ndim != 3 or len(input) != len(mat2):
        raise RuntimeError(
            f"bmm: expected two batches of as many matrices, got {input.shape} and {mat2.shape}"
        )
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector (torch.mv)."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"mv: expected a matrix and a vector, got {input.shape}, {vec.shape}")
    return matmul(input, vec)


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


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2 (torch.addmm)."""
    product = mm(mat1, mat2)
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else product + (input if beta == 1 else input * beta)
