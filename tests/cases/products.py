"""The rows of the table for products, and for linear algebra (`dtrain.linalg`)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tests.cases.case import Case

BATCHES = [[(2, 3, 2), (2, 3, 4), (2, 4, 2)]]
SQUARE = [[(3, 3)], [(2, 3, 3)]]
TALL = [[(4, 3)], [(2, 4, 3)]]
WIDE = [[(3, 4)], [(2, 3, 4)]]


def einsum(equation, *samples):
    def reference(*x):
        return np.einsum(equation, *x)

    return Case("einsum", samples, reference, lambda t, *x: t.einsum(equation, *x), equation)


def distances(p):
    def reference(x, y):
        apart = np.abs(x[..., :, None, :] - y[..., None, :, :])
        return apart.max(-1) if p == math.inf else (apart**p).sum(-1) ** (1 / p)

    return reference


MORE_PRODUCTS = [
    Case("baddbmm", BATCHES, lambda b, x, y: b + x @ y),
    Case("baddbmm", [[(2,), (2, 3, 4), (2, 4, 2)]], lambda b, x, y: 0.5 * b + 2 * (x @ y),
         lambda t, b, x, y: t.baddbmm(b, x, y, beta=0.5, alpha=2), "beta and alpha"),
    Case("addbmm", [[(3, 2), (2, 3, 4), (2, 4, 2)]], lambda b, x, y: b + (x @ y).sum(0)),
    Case("addmv", [[(3,), (3, 4), (4,)]], lambda b, x, y: b + x @ y),
    Case("addr", [[(3, 4), (3,), (4,)]], lambda b, x, y: b + np.outer(x, y)),
    Case("inner", [[(4,), (4,)], [(2, 3), (4, 3)], [(), (3,)]], np.inner),
    Case("vdot", [[(4,), (4,)]], np.dot),
    Case("linalg.vecdot", [[(2, 3), (3,)]], lambda x, y: (x * y).sum(-1)),
    Case("tensordot", [[(2, 3, 4), (3, 4, 5)], [(3, 4), (3, 4)]], np.tensordot),
    Case("tensordot", [[(2, 3, 4), (4, 5, 2)]], lambda x, y: np.tensordot(x, y, ([2, 0], [0, 2])),
         lambda t, x, y: t.tensordot(x, y, dims=([2, 0], [0, -1])), "dims"),
    Case("kron", [[(2, 3), (3, 2)], [(3,), (2, 2)], [(), (2,)]], np.kron),
    Case("cross", [[(2, 3), (2, 3)], [(3,), (3,)]], np.cross, in_torch=False),
    Case("cross", [[(3, 4), (3, 4)]], lambda x, y: np.cross(x, y, axis=0), lambda t, x, y: t.cross(x, y, dim=0), "dim=0"),
    Case("linalg.cross", [[(2, 3), (1, 3)]], np.cross),
    *(
        Case("cdist", [[(4, 3), (2, 3)], [(2, 4, 3), (2, 1, 3)]], distances(p), lambda t, x, y, p=p: t.cdist(x, y, p=p), f"p={p}", smooth=False)
        for p in (1.0, 2.0, 3.0, math.inf)
    ),
    Case("cdist", [[(2, 3), (2, 3)]], lambda x, y: np.full((2, 2), 3.0), lambda t, x, y: t.cdist(x, y, p=0), "p=0"),
    *(Case(name, [[(4, 3)]], lambda x: distances(2.0)(x, x)[np.triu_indices(4, 1)]) for name in ("pdist", "F.pdist")),
    Case("pdist", [[(3, 2)]], lambda x: distances(3.0)(x, x)[np.triu_indices(3, 1)], lambda t, x: t.pdist(x, p=3), "p=3"),
    Case("ger", [[(3,), (4,)]], np.outer),
    Case("vander", [[(3,)], [(0,)]], np.vander, in_torch=False),  # whose backward fails
    Case("vander", [[(3,)]], lambda x: np.vander(x, 4, True), lambda t, x: t.vander(x, 4, increasing=True), "increasing", in_torch=False),
    Case("linalg.vander", [[(2, 3)]], lambda x: np.stack([np.vander(r, 4, True) for r in x]), lambda t, x: t.linalg.vander(x, N=4), in_torch=False),
    Case("tensordot", [[(2, 3), (1, 4)]], lambda x, y: x.sum(0)[:, None] * y, lambda t, x, y: t.tensordot(x, y, ([0], [0])), "size 1"),
    Case("trace", [[(3, 3)], [(3, 4)]], np.trace),
    *(
        Case("matrix_power", SQUARE, lambda x, n=n: np.linalg.matrix_power(x, n), lambda t, x, n=n: x.matrix_power(n), f"n={n}",
             differentiable=n > 0)
        for n in (1, 2, 5)
    ),
    Case("linalg.multi_dot", [[(2, 5), (5, 1), (1, 3), (3, 4)], [(2,), (2, 3), (3,)]],
         lambda *x: np.linalg.multi_dot(x), lambda t, *x: t.linalg.multi_dot(x)),
    Case("chain_matmul", [[(2, 5), (5, 1), (1, 3)]], lambda x, y, z: x @ y @ z, lambda t, *x: t.linalg.multi_dot(x)),
    einsum("ij,jk->ik", [(2, 3), (3, 4)], [(2, 0), (0, 4)]),
    einsum("ij,jk", [(2, 3), (3, 4)]),
    einsum("bij,bjk->bik", [(2, 3, 4), (2, 4, 1)]),
    einsum("bhqd,bhkd->bhqk", [(2, 1, 3, 4), (2, 1, 2, 4)]),
    einsum("...ij,...jk->...ik", [(2, 3, 4), (4, 2)], [(5, 1, 3, 4), (2, 4, 2)]),
    einsum("i,j->ij", [(2,), (3,)]),
    einsum("ij->ji", [(2, 3)]),
    einsum("ij->", [(2, 3)]),
    einsum("ii->i", [(3, 3)]),
    einsum("iij,jk->k", [(2, 2, 3), (3, 4)]),
    einsum("ij,ij->i", [(2, 3), (2, 3)]),
    einsum("ij,kj,k->i", [(2, 3), (4, 3), (4,)]),
    einsum("bn,anm,bm->ba", [(2, 3), (4, 3, 2), (2, 2)]),
]  # fmt: skip


def symmetric(x):
    return x + x.swapaxes(-1, -2)


def definite(x):
    return x @ x.swapaxes(-1, -2) + 2 * np.eye(x.shape[-1])


def torch_definite(t, x):
    return x @ x.transpose(-2, -1) + 2 * t.tensor(np.eye(x.shape[-1])).to(x.dtype)


def invertible(x):
    return x + 5 * np.eye(x.shape[-1])


def torch_invertible(t, x):
    return x + 5 * t.tensor(np.eye(x.shape[-1])).to(x.dtype)


def ordered(x):
    """A matrix whose elimination exchanges no rows."""
    return np.tril(x, -1) * 0.2 + np.triu(x, 1) + 5 * np.eye(x.shape[-1])


def torch_ordered(t, x):
    return x.tril(-1) * 0.2 + x.triu(1) + 5 * t.tensor(np.eye(x.shape[-1])).to(x.dtype)


def without_exchange(x):
    """L below U of an ordered matrix, by elimination."""
    a = ordered(x)
    for j in range(len(a)):
        a[j + 1 :, j] /= a[j, j]
        a[j + 1 :, j + 1 :] -= np.outer(a[j + 1 :, j], a[j, j + 1 :])
    return a


def series(x):
    """The exponential of matrices, term by term."""
    out = term = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    for k in range(1, 60):
        term = term @ x / k
        out = out + term
    return out


def signless(parts):
    return [abs(part) for part in parts]


def of_invertible(name, reference, **how):
    return Case(f"linalg.{name}", SQUARE, lambda x: reference(invertible(x)),
                lambda t, x: getattr(t.linalg, name)(torch_invertible(t, x)), **how)  # fmt: skip


_LINALG = [
    of_invertible("inv", np.linalg.inv),
    of_invertible("det", np.linalg.det),
    of_invertible("slogdet", lambda x: tuple(np.linalg.slogdet(x))),
    Case("linalg.det", SQUARE, np.linalg.det, label="any"),
    Case("inverse", SQUARE, lambda x: np.linalg.inv(invertible(x)), lambda t, x: t.inverse(torch_invertible(t, x))),
    Case("det", [[(2, 2)]], np.linalg.det),
    Case("slogdet", [[(2, 2)]], lambda x: tuple(np.linalg.slogdet(x)), smooth=False),
    Case("logdet", SQUARE, lambda x: np.log(np.linalg.det(definite(x))), lambda t, x: torch_definite(t, x).logdet()),
    Case("linalg.matrix_power", SQUARE, lambda x: np.linalg.matrix_power(invertible(x), -2),
         lambda t, x: t.linalg.matrix_power(torch_invertible(t, x), -2)),
    Case("linalg.solve", [[(3, 3), (3, 2)], [(2, 3, 3), (3, 1)], [(3, 3), (2, 3, 2)]], lambda x, y: np.linalg.solve(invertible(x), y),
         lambda t, x, y: t.linalg.solve(torch_invertible(t, x), y)),
    Case("linalg.solve", [[(3, 3), (3,)]], lambda x, y: np.linalg.solve(invertible(x), y),
         lambda t, x, y: t.linalg.solve(torch_invertible(t, x), y), "vector"),
    Case("linalg.solve_triangular", [[(3, 3), (3, 2)], [(8, 3, 3), (3, 2)], [(2, 3, 3), (2, 3, 1)]], lambda x, y: np.linalg.solve(np.triu(invertible(x)), y),
         lambda t, x, y: t.linalg.solve_triangular(torch_invertible(t, x), y, upper=True)),
    Case("linalg.solve_triangular", [[(3, 3), (2, 3)], [(7, 3, 3), (2, 3)]], lambda x, y: y @ np.linalg.inv(np.tril(x, -1) + np.eye(3)),
         lambda t, x, y: t.linalg.solve_triangular(x, y, upper=False, left=False, unitriangular=True), "right"),
    Case("linalg.cholesky", SQUARE, lambda x: np.linalg.cholesky(definite(x)), lambda t, x: t.linalg.cholesky(torch_definite(t, x))),
    Case("cholesky", [[(3, 3)]], lambda x: np.linalg.cholesky(definite(x)), lambda t, x: t.linalg.cholesky(torch_definite(t, x))),
    *(
        Case("linalg.qr", samples, lambda x: signless(np.linalg.qr(x)), lambda t, x: signless(t.linalg.qr(x)), name, smooth=False)
        for name, samples in {"tall": TALL, "square": SQUARE, "wide": WIDE}.items()
    ),
    Case("qr", [[(3, 2)]], lambda x: signless(np.linalg.qr(x)), lambda t, x: signless(t.linalg.qr(x)), smooth=False),
    Case("linalg.eigh", SQUARE, lambda x: signless(np.linalg.eigh(symmetric(x))),
         lambda t, x: signless(t.linalg.eigh(symmetric(x))), smooth=False),
    Case("linalg.eigvalsh", SQUARE, lambda x: np.linalg.eigvalsh(symmetric(x)), lambda t, x: t.linalg.eigvalsh(symmetric(x)), smooth=False),
    *(
        Case("linalg.svd", samples, lambda x: signless(np.linalg.svd(x, full_matrices=False)),
             lambda t, x: signless(t.linalg.svd(x, full_matrices=False)), name, smooth=False)
        for name, samples in {"tall": TALL, "square": SQUARE, "wide": WIDE}.items()
    ),
    Case("linalg.svdvals", [*TALL, *WIDE], lambda x: np.linalg.svd(x, compute_uv=False), smooth=False),
    *(Case("linalg.pinv", samples, np.linalg.pinv, label=name, smooth=False) for name, samples in {"tall": TALL, "wide": WIDE}.items()),
    Case("pinverse", [[(4, 3)]], np.linalg.pinv, smooth=False),
    Case("linalg.lstsq", [[(4, 3), (4, 2)]], lambda x, y: np.linalg.lstsq(x, y)[0], lambda t, x, y: t.linalg.lstsq(x, y).solution, smooth=False),
    Case("linalg.matrix_rank", SQUARE, lambda x: np.linalg.matrix_rank(x), differentiable=False),
    Case("linalg.diagonal", SQUARE, lambda x: x.diagonal(0, -2, -1)),
    *(
        Case("linalg.matrix_norm", [[(3, 4)]], lambda x, ord=ord: np.linalg.norm(x, ord), lambda t, x, ord=ord: t.linalg.matrix_norm(x, ord),
             f"ord={ord}", smooth=False)
        for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    ),
    *(
        Case("linalg.vector_norm", [[(2, 3)]], lambda x, ord=ord: np.linalg.norm(x, ord, 1), lambda t, x, ord=ord: t.linalg.vector_norm(x, ord, dim=1),
             f"ord={ord}", smooth=False)
        for ord in (1, 2, 3.5, math.inf, -math.inf)
    ),
    Case("linalg.norm", [[(3, 4)]], np.linalg.norm),
    Case("norm", [[(3, 4)], [(4, 3)]], lambda x: np.linalg.norm(x, "nuc"), lambda t, x: t.norm(x, p="nuc"), "nuc", smooth=False),
    of_invertible("inv_ex", lambda x: (np.linalg.inv(x), np.zeros(x.shape[:-2], np.int32))),
    Case("linalg.solve_ex", [[(3, 3), (3, 2)]], lambda x, y: (np.linalg.solve(invertible(x), y), np.int32(0)),
         lambda t, x, y: t.linalg.solve_ex(torch_invertible(t, x), y)),
    Case("linalg.cholesky_ex", SQUARE, lambda x: (np.linalg.cholesky(definite(x)), np.zeros(x.shape[:-2], np.int32)),
         lambda t, x: t.linalg.cholesky_ex(torch_definite(t, x))),
    Case("cholesky_solve", [[(3, 2), (3, 3)]], lambda y, x: np.linalg.solve(definite(x), y),
         lambda t, y, x: t.cholesky_solve(y, t.linalg.cholesky(torch_definite(t, x)))),
    Case("cholesky_inverse", [[(3, 3)]], lambda x: np.linalg.inv(definite(x)),
         lambda t, x: t.cholesky_inverse(t.linalg.cholesky(torch_definite(t, x), upper=True), upper=True)),
    Case("triangular_solve", [[(3, 2), (3, 3)]], lambda y, x: (np.linalg.solve(np.triu(invertible(x)), y), invertible(x)),
         lambda t, y, x: t.triangular_solve(y, torch_invertible(t, x)), in_torch=False),  # which warns of it
    Case("linalg.qr", TALL, lambda x: signless(np.linalg.qr(x, "complete")), lambda t, x: signless(t.linalg.qr(x.detach(), "complete")), "complete",
         differentiable=False, smooth=False),
    *(
        Case(f"linalg.{name}", [[(3, 3)], [(2, 3, 3)], [(4, 2)], [(2, 4)]], reference, call, smooth=False, in_torch=False)
        for name, reference, call in [
            ("lu", lambda x: x, lambda t, x: (lambda f: f.P @ f.L @ f.U)(t.linalg.lu(x))),
            ("lu_factor_ex", lambda x: x, lambda t, x: (lambda f: f.P @ f.L @ f.U)(t.lu_unpack(*t.linalg.lu_factor_ex(x)[:2]))),
        ]
    ),
    Case("lu", [[(3, 3)]], lambda x: without_exchange(x), lambda t, x: t.lu(torch_ordered(t, x))[0], in_torch=False),
    Case("lu_unpack", [[(3, 3)]], lambda x: ordered(x), lambda t, x: (lambda f: f[1] @ f[2])(t.lu_unpack(*t.linalg.lu_factor(torch_ordered(t, x))))),
    Case("linalg.lu_factor", [[(3, 3)]], lambda x: without_exchange(x), lambda t, x: t.linalg.lu_factor(torch_ordered(t, x)).LU),
    *(
        Case("linalg.lu_solve", [[(3, 3), (3, 3)]], lambda x, y, solve=solve: solve(invertible(x), y),
             lambda t, x, y, how=how: t.linalg.lu_solve(*t.linalg.lu_factor(torch_invertible(t, x)), y, **how), str(how))
        for how, solve in [
            ({}, np.linalg.solve),
            ({"left": False}, lambda a, y: y @ np.linalg.inv(a)),
            ({"adjoint": True}, lambda a, y: np.linalg.solve(a.T, y)),
        ]
    ),
    Case("lu_solve", [[(3, 2), (3, 3)]], lambda y, x: np.linalg.solve(invertible(x), y),
         lambda t, y, x: t.lu_solve(y, *t.lu(torch_invertible(t, x))), in_torch=False),
    Case("svd", TALL, lambda x: np.linalg.svd(x, compute_uv=False), lambda t, x: t.svd(x).S, smooth=False),
    Case("matrix_exp", SQUARE, series),
    Case("linalg.matrix_exp", [[(3, 3)]], lambda x: series(x * 3), lambda t, x: t.linalg.matrix_exp(x * 3), "squared"),
    *(
        Case("linalg.cond", SQUARE, lambda x, p=p: np.linalg.cond(invertible(x), p), lambda t, x, p=p: t.linalg.cond(torch_invertible(t, x), p),
             f"p={p}", smooth=False, in_torch=p in (None, -2))  # whose other backward passes fail
        for p in (None, -2, 1, math.inf, "fro", "nuc")
    ),
    Case("linalg.tensorinv", [[(6, 6)]], lambda x: np.linalg.tensorinv(invertible(x).reshape(2, 3, 6)),
         lambda t, x: t.linalg.tensorinv(torch_invertible(t, x).reshape(2, 3, 6))),
    Case("linalg.tensorinv", [[(6, 6)]], lambda x: np.linalg.tensorinv(invertible(x).reshape(6, 2, 3), 1),
         lambda t, x: t.linalg.tensorinv(torch_invertible(t, x).reshape(6, 2, 3), ind=1), "ind=1"),
    Case("linalg.tensorsolve", [[(6, 6), (2, 3)]], lambda x, y: np.linalg.tensorsolve(invertible(x).reshape(2, 3, 6), y),
         lambda t, x, y: t.linalg.tensorsolve(torch_invertible(t, x).reshape(2, 3, 6), y)),
    Case("linalg.pinv", [[(3, 3)]], lambda x: np.linalg.pinv(symmetric(x)), lambda t, x: t.linalg.pinv(symmetric(x), hermitian=True), "hermitian",
         smooth=False),
    Case("linalg.norm", [[(3, 4)]], lambda x: np.linalg.norm(x, 1, keepdims=True), lambda t, x: t.linalg.norm(x, 1, keepdim=True), "ord=1", smooth=False),
]  # fmt: skip

WITHOUT_SOLVER = {"linalg.diagonal", "linalg.norm", "linalg.vector_norm"}
LINALG = [replace(case, solver=case.op not in WITHOUT_SOLVER) for case in _LINALG]
