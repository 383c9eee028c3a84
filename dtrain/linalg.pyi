"""Linear algebra under PyTorch's names (torch.linalg).

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from collections.abc import Sequence
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import DTypeLike
from dtrain.errors import LinAlgError as LinAlgError
from dtrain.functions.linalg.factorizations import CholeskyEx, Eigh, QR, SVD
from dtrain.functions.linalg.lu import LUFactor, LUFactorEx, PLU
from dtrain.functions.linalg.norms import Slogdet
from dtrain.functions.linalg.solvers import InvEx, Solution, SolveEx
from dtrain.functions.operands import Dims
from typing import Any

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

def cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """L with L @ L.mH = A, or L.mH if `upper` (torch.linalg.cholesky)."""
def cholesky_ex(
    A: Tensor,
    *,
    upper: bool = False,
    check_errors: bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> CholeskyEx:
    """`cholesky`, and which leading minor is not positive, or 0 (torch.linalg.cholesky_ex)."""
def cond(A: Tensor, p: float | str | None = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number, by the norm p, 2 if None (torch.linalg.cond)."""
def cross(
    input: Tensor,
    other: Tensor,
    *,
    dim: int = -1,
    out: Tensor | None = None,
) -> Tensor:
    """Cross products along a dimension of size 3 (torch.linalg.cross)."""
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant (torch.linalg.det)."""
def diagonal(
    A: Tensor,
    *,
    offset: int = 0,
    dim1: int = -2,
    dim2: int = -1,
    out: Tensor | None = None,
) -> Tensor:
    """The diagonals of matrices, a view (torch.linalg.diagonal)."""
def eigh(A: Tensor, UPLO: str = "L", *, out: tuple[Tensor, ...] | None = None) -> Eigh:
    """Eigenvalues, the smallest first, and eigenvectors of Hermitian matrices (linalg.eigh)."""
def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """Eigenvalues of Hermitian matrices, the smallest first (torch.linalg.eigvalsh)."""
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse (torch.linalg.inv)."""
def inv_ex(
    A: Tensor,
    *,
    check_errors: bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> InvEx:
    """`inv`, and where elimination met a 0, counted from 1, or 0 (torch.linalg.inv_ex)."""
def lstsq(
    A: Tensor,
    B: Tensor,
    rcond: float | None = None,
    *,
    driver: str | None = None,
    out: tuple[Tensor, ...] | None = None,
) -> Solution:
    """X with the smallest ||A @ X - B|| (torch.linalg.lstsq), by the pseudoinverse."""
def lu(A: Tensor, *, pivot: bool = True, out: tuple[Tensor, ...] | None = None) -> PLU:
    """P, L, U with P @ L @ U = A (torch.linalg.lu)."""
def lu_factor(
    A: Tensor,
    *,
    pivot: bool = True,
    out: tuple[Tensor, ...] | None = None,
) -> LUFactor:
    """L below U in one matrix, and the exchanges of rows (torch.linalg.lu_factor)."""
def lu_factor_ex(
    A: Tensor,
    *,
    pivot: bool = True,
    check_errors: bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> LUFactorEx:
    """`lu_factor`, and where U has its first 0, from 1, or else 0 (torch.linalg.lu_factor_ex)."""
def lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    adjoint: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left`, from `lu_factor` of A (torch.linalg.lu_solve)."""
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix product, with vectors and batches as in torch.matmul."""
def matrix_exp(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of A^k / k! (torch.linalg.matrix_exp), by scaling and squaring (Higham, 2005)."""
def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Any = ...,
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The norm of matrices: "fro", "nuc", 1, 2, inf or their negatives (linalg.matrix_norm)."""
def matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
def matrix_rank(
    A: Tensor,
    tol: float | Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """How many singular values are above max(atol, rtol * largest) (torch.linalg.matrix_rank)."""
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices; the first and the last may be vectors (linalg.multi_dot)."""
def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dims | None = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """A vector or matrix norm, by `dim` and the number of dimensions (torch.linalg.norm)."""
def pinv(
    A: Tensor,
    rcond: float | Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The pseudoinverse; singular values up to max(atol, rtol * largest) are 0 (linalg.pinv)."""
def qr(A: Tensor, mode: str = "reduced", *, out: tuple[Tensor, ...] | None = None) -> QR:
    """Q with orthonormal columns and an upper triangular R: Q @ R = A (torch.linalg.qr)."""
def slogdet(A: Tensor, *, out: tuple[Tensor, ...] | None = None) -> Slogdet:
    """The sign of the determinant and the logarithm of its absolute value (linalg.slogdet)."""
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left` (torch.linalg.solve)."""
def solve_ex(
    A: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    check_errors: bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> SolveEx:
    """`solve`, and where elimination met a 0, counted from 1, or 0 (torch.linalg.solve_ex)."""
def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """`solve` by the upper or lower triangle of A alone (torch.linalg.solve_triangular)."""
def svd(
    A: Tensor,
    full_matrices: bool = True,
    *,
    driver: str | None = None,
    out: tuple[Tensor, ...] | None = None,
) -> SVD:
    """U, S, Vh with U @ diag(S) @ Vh = A (torch.linalg.svd)."""
def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values, the largest first (torch.linalg.svdvals)."""
def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A as a map from its last dims to its first `ind` (torch.linalg.tensorinv)."""
def tensorsolve(
    A: Tensor,
    B: Tensor,
    dims: Sequence[int] | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; `dims` of A go last first (torch.linalg.tensorsolve)."""
def vander(x: Tensor, *, N: int | None = None, out: Tensor | None = None) -> Tensor:
    """Powers 0 to N - 1 of each element, in a new last dimension (torch.linalg.vander)."""
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """Inner products along a dimension, `x` conjugated; others broadcast (torch.linalg.vecdot)."""
def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims | None = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """(sum |x|^ord)^(1/ord) of all elements, or over `dim` (torch.linalg.vector_norm)."""
