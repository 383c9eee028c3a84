"""PyTorch's signatures of factorizations of (batches of) matrices: Cholesky, QR, eigh, SVD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, to_host
from dtrain.backend.dtypes import float16, is_floating
from dtrain.errors import LinAlgError
from dtrain.functions.autocast import autocasts
from dtrain.functions.complex_numbers import conj, real
from dtrain.functions.joining import cat
from dtrain.functions.products import matmul
from dtrain.functions.shapes import narrow, reshape, squeeze, transpose
from dtrain.primitives import indexing, linalg as primitives


def check_matrices(name: str, input: Tensor, square: bool = False) -> Tensor:
    """Refuse an input that holds no (square) matrices of float32, float64 or complex numbers."""
    if input.ndim < 2:
        raise RuntimeError(f"linalg.{name}: expected matrices (..., m, n), got shape {input.shape}")
    if square and input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are "
            f"{input.shape[-2]} by {input.shape[-1]} matrices"
        )
    if not (input.is_complex() or is_floating(input.dtype)) or input.dtype == float16:
        raise RuntimeError(
            f"linalg.{name}: expected float32, float64, complex64 or complex128, got {input.dtype}"
        )
    return input


def call_primitive(rule: Callable[..., Tensor], *inputs: Tensor, **static: Any) -> Tensor:
    """Call a primitive; raise LinAlgError for matrices that have no result."""
    try:
        return rule(*inputs, **static)
    except RuntimeError as error:
        if isinstance(error.__cause__, np.linalg.LinAlgError):
            raise LinAlgError(f"linalg.{error}") from error.__cause__
        raise


def mT(x: Tensor) -> Tensor:
    """Matrices transposed."""
    return transpose(x, -2, -1)


def mH(x: Tensor) -> Tensor:
    """Matrices transposed and conjugated."""
    return conj(mT(x))


def eye_like(A: Tensor, n: int | None = None) -> Tensor:
    """The unit matrix with as many rows as A, or n, in its dtype and on its device."""
    return wrap(array_module(A.array).eye(A.shape[-2] if n is None else n, dtype=A.dtype))


# --- Cholesky ---


@autocasts
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with L @ L.mH = A, or L.mH if `upper` (torch.linalg.cholesky)."""
    check_matrices("cholesky", A, square=True)
    out = call_primitive(primitives.cholesky, mH(A) if upper else A)
    return mH(out) if upper else out


@autocasts
def torch_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The Cholesky factor (torch.cholesky)."""
    return cholesky(input, upper=upper)


class CholeskyEx(NamedTuple):
    """What `cholesky_ex` gives."""

    L: Tensor
    info: Tensor


@autocasts
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """`cholesky`, and which leading minor is not positive, or 0 (torch.linalg.cholesky_ex).

    Where there is such a minor, L means nothing.
    """
    try:
        return CholeskyEx(cholesky(A, upper=upper), zero_info(A))
    except LinAlgError:
        if check_errors:
            raise
    host = to_host(A.array).reshape(-1, *A.shape[-2:])
    minors = np.array([_first_bad_minor(a.T.conj() if upper else a) for a in host], np.int32)
    info = array_module(A.array).asarray(minors.reshape(A.shape[:-2]))
    L = cholesky(replace_by_eye(A, info), upper=upper)
    return CholeskyEx(L, wrap(info))


def _first_bad_minor(matrix: np.ndarray) -> int:
    for size in range(1, len(matrix) + 1):
        try:
            factor = np.linalg.cholesky(matrix[:size, :size])
            if not np.isfinite(factor[-1, -1]):
                return size
        except np.linalg.LinAlgError:
            return size
    return 0


def zero_info(A: Tensor) -> Tensor:
    """The `info` of a batch in which every matrix succeeded: zeros."""
    return wrap(array_module(A.array).zeros(A.shape[:-2], "int32"))


def replace_by_eye(A: Tensor, info: Any) -> Tensor:
    """A with the unit matrix in place of each matrix whose `info` is not 0."""
    return indexing.where(eye_like(A), A, condition=info[..., None, None] > 0)


# --- QR ---


class QR(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


@autocasts
def qr(A: Tensor, mode: str = "reduced") -> QR:
    """Q with orthonormal columns and an upper triangular R: Q @ R = A (torch.linalg.qr).

    `mode` is "reduced", "complete" (a square Q, without a gradient for more rows than columns) or
    "r" (no Q).
    """
    check_matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f'linalg.qr: expected mode "reduced", "complete" or "r", got {mode!r}')
    m, n = A.shape[-2:]
    k = min(m, n)
    if mode == "complete" and m > n:
        both = primitives.qr_complete(A)
        return QR(narrow(both, -1, 0, m), narrow(both, -1, m, n))
    both = primitives.qr(narrow(A, -1, 0, k))
    q, r = narrow(both, -2, 0, m), narrow(both, -2, m, k)
    if m < n:  # the columns that are left follow from Q
        r = cat([r, matmul(mH(q), narrow(A, -1, m, n - m))], -1)
    return QR(narrow(reshape(q, -1), 0, 0, 0) if mode == "r" else q, r)


@autocasts
def torch_qr(input: Tensor, some: bool = True) -> QR:
    """The reduced, or the complete, QR factorization (torch.qr)."""
    return qr(input, "reduced" if some else "complete")


# --- eigenvalues and singular values ---


class Eigh(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


@autocasts
def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues, the smallest first, and eigenvectors of Hermitian matrices (linalg.eigh).

    Complex eigenvectors may be turned by any phase; a loss may not depend on it.
    """
    check_matrices("eigh", A, square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f'linalg.eigh: expected UPLO "L" or "U", got {UPLO!r}')
    both = call_primitive(primitives.eigh, A, uplo=UPLO.upper())
    n = A.shape[-1]
    return Eigh(real(squeeze(narrow(both, -2, n, 1), -2)), narrow(both, -2, 0, n))


@autocasts
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of Hermitian matrices, the smallest first (torch.linalg.eigvalsh)."""
    return eigh(A, UPLO).eigenvalues


class SVD(NamedTuple):
    """What `svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


@autocasts
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """U, S, Vh with U @ diag(S) @ Vh = A (torch.linalg.svd).

    With `full_matrices` the columns beyond the first min(m, n) have no gradient, as in PyTorch.
    Complex U and V may be turned together by any phase; a loss may not depend on it.
    """
    _no_driver(driver)
    both = call_primitive(primitives.svd, check_matrices("svd", A))
    m, n = A.shape[-2:]
    k = min(m, n)
    u, v = narrow(both, -2, 0, m), narrow(both, -2, m, n)
    if full_matrices and m != n:
        whole = array_module(A.array).linalg.svd(A.array)  # finite: `both` has been computed
        u = cat([u, wrap(whole[0][..., k:])], -1)
        v = cat([v, mH(wrap(whole[2][..., k:, :]))], -1)
    return SVD(u, real(squeeze(narrow(both, -2, m + n, 1), -2)), mH(v))


def _no_driver(driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"linalg.svd: there is no choice of drivers, got {driver!r}")


class TorchSVD(NamedTuple):
    """What `torch_svd` gives."""

    U: Tensor
    S: Tensor
    V: Tensor


@autocasts
def torch_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> TorchSVD:
    """U, S, V with U @ diag(S) @ V.mH = input (torch.svd)."""
    if not compute_uv:
        xp, (m, n) = array_module(input.array), input.shape[-2:]
        none = [wrap(xp.zeros((*input.shape[:-2], size, size), input.dtype)) for size in (m, n)]
        return TorchSVD(none[0], svdvals(input), none[1])
    u, s, vh = svd(input, not some)
    return TorchSVD(u, s, mH(vh))


@autocasts
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, the largest first (torch.linalg.svdvals)."""
    _no_driver(driver)
    return call_primitive(primitives.svdvals, check_matrices("svdvals", A))
