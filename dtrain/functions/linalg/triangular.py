"""PyTorch's signatures of equations with triangular matrices, and with their products."""

from __future__ import annotations

from typing import NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.errors import LinAlgError
from dtrain.functions.autocast import autocasts
from dtrain.functions.joining import broadcast_shapes
from dtrain.functions.linalg.factorizations import check_matrices, eye_like, mH, mT
from dtrain.functions.products import same_dtype
from dtrain.functions.shapes import broadcast_to
from dtrain.primitives import triangular as primitives


@autocasts
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """`solve` by the upper or lower triangle of A alone (torch.linalg.solve_triangular).

    A 0 on the diagonal gives infinity or NaN, no error.
    """
    check_matrices("solve_triangular", A, square=True)
    check_matrices("solve_triangular", B)
    same_dtype(A, B)
    if not left:
        flipped = solve_triangular(mT(A), mT(B), upper=not upper, unitriangular=unitriangular)
        return mT(flipped)
    if A.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"linalg.solve_triangular: {A.shape} and {B.shape} do not fit")
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    A, B = (broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, B))
    return primitives.solve_triangular(A, B, upper=upper, unitriangular=unitriangular)


class TriangularSolve(NamedTuple):
    """What `triangular_solve` gives."""

    solution: Tensor
    cloned_coefficient: Tensor


@autocasts
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolve:
    """`solve_triangular`, and a copy of A (torch.triangular_solve)."""
    if transpose:
        solution = solve_triangular(mT(A), b, upper=not upper, unitriangular=unitriangular)
    else:
        solution = solve_triangular(A, b, upper=upper, unitriangular=unitriangular)
    return TriangularSolve(solution, A.clone())


@autocasts
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with L @ L.mH @ X = B, or L.mH @ L @ X = B if `upper` (torch.cholesky_solve)."""
    lower = mH(L) if upper else L
    return solve_triangular(mH(lower), solve_triangular(lower, B, upper=False), upper=True)


@autocasts
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
    check_matrices("cholesky_inverse", L, square=True)
    if (L.array.diagonal(0, -2, -1) == 0).any():
        raise LinAlgError("cholesky_inverse: L is singular: its diagonal has a 0")
    return cholesky_solve(eye_like(L), L, upper)
