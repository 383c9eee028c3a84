"""PyTorch's signatures of diagonals and triangles of matrices."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.functions.inplace import make_inplace
from dtrain.functions.operands import normalize_dim
from dtrain.functions.shapes import reshape
from dtrain.primitives import casts, diagonals as primitives


def two_axes(name: str, ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    """Two dimensions of a tensor as axes, which must be different ones."""
    axes = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if axes[0] == axes[1]:
        raise RuntimeError(f"{name}: expected two different dimensions, got {dim1} and {dim2}")
    return axes


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices in two dimensions, as a last one; a view (torch.diagonal)."""
    axis1, axis2 = two_axes("diagonal", input.ndim, dim1, dim2)
    return primitives.diagonal(input, offset=offset, axis1=axis1, axis2=axis2)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the rows of the input on a diagonal (torch.diag_embed)."""
    axis1, axis2 = two_axes("diag_embed", input.ndim + 1, dim1, dim2)
    rows = input if input.ndim else reshape(input, 1)
    return primitives.diag_embed(rows, offset=offset, axis1=axis1, axis2=axis2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix, copied (torch.diag)."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {input.shape}")
    return casts.clone(primitives.diagonal(input, offset=diagonal, axis1=0, axis2=1))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements on a diagonal (torch.diagflat)."""
    return diag_embed(reshape(input, input.numel()), offset)


def _matrices(name: str, input: Tensor) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: expected at least 2 dimensions, got shape {input.shape}")
    return input


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle, zeros elsewhere (torch.tril)."""
    return primitives.tril(_matrices("tril", input), diagonal=diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle, zeros elsewhere (torch.triu)."""
    return primitives.triu(_matrices("triu", input), diagonal=diagonal)


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Write a number on the diagonal, of a matrix that is tall and with `wrap` on further ones
    below it; of more dimensions, of one length, where all indices are equal.
    """
    if input.ndim < 2:
        raise RuntimeError(f"fill_diagonal_: expected 2 dimensions or more, got {input.shape}")
    if input.ndim > 2:
        if len(set(input.shape)) > 1:
            raise RuntimeError(
                f"fill_diagonal_: expected all dimensions of one length, got {input.shape}"
            )
        for i in range(len(input)):
            input[(i,) * input.ndim] = fill_value
        return input
    rows, columns = input.shape
    for first in range(0, rows, columns + 1) if wrap else (0,):
        primitives.diagonal(input[first:], offset=0, axis1=0, axis2=1)[:] = fill_value
    return input


INPLACE = {"tril_": make_inplace("tril_", tril), "triu_": make_inplace("triu_", triu)}
