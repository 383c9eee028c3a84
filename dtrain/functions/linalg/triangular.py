"""PyTorch's signatures of equations with triangular matrices, and with their products."""

from __future__ import annotations

from typing import NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.functions.autocast import autocasts
from dtrain.functions.diagonals import tril, triu
from dtrain.functions.joining import broadcast_shapes
from dtrain.functions.linalg.factorizations import call_primitive, check_matrices, eye_like, mT
from dtrain.functions.products import same_dtype
from dtrain.functions.shapes import broadcast_to
from dtrain.primitives import linalg as primitives


@autocasts
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """`solve` with only the upper or lower triangle of A (torch.linalg.solve_triangular)."""
    check_matrices("solve_triangular", A, square=True)
    check_matrices("solve_triangular", B)
    same_dtype(A, B)
    if not left:
        flipped = solve_triangular(mT(A), mT(B), upper=not upper, unitriangular=unitriangular)
        return mT(flipped)
    if A.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"linalg.solve_triangular: {A.shape} and {B.shape} do not fit")
    part = triu if upper else tril
    A = part(A, 1 if upper else -1) + eye_like(A) if unitriangular else part(A)
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return call_primitive(
        primitives.solve, *(broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, B))
    )


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
    """X with L @ L.mT @ X = B, or L.mT @ L @ X = B if `upper` (torch.cholesky_solve)."""
    lower = mT(L) if upper else L
    return solve_triangular(mT(lower), solve_triangular(lower, B, upper=False), upper=True)


@autocasts
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
    return cholesky_solve(eye_like(check_matrices("cholesky_inverse", L, square=True)), L, upper)
