"""Rows for complex numbers, made of two real tensors; the outputs are their parts."""

import numpy as np

from .case import Case

PAIR = [[(2, 3), (2, 3)]]


def parts(z):
    z = np.asarray(z, complex)
    return np.stack([z.real, z.imag], -1)


def parts_of_output(t, out):
    """The parts of a complex output of dtrain or torch; a real output itself."""
    return t.view_as_real(t.resolve_conj(out)) if out.is_complex() else out


def parts_of_reference(out):
    """The parts of a complex array; a real array itself."""
    return parts(out) if out.dtype.kind == "c" else out


def _logdet(z):
    sign, size = np.linalg.slogdet(z)
    return size + 1j * np.angle(sign)  # np.log of a complex number may warn of a division by zero


def row(op, reference, call=None, samples=PAIR, low=0.3, label="", **options):
    """`reference` and `call`, which is the method or function `op` if None, take complex x."""

    def run(t, x, y):
        z = t.complex(x, y)
        return parts_of_output(t, getattr(t, op)(z) if call is None else call(t, z))

    def expected(x, y):
        return parts_of_reference(np.asarray(reference(x + 1j * y)))

    return Case(op, samples, expected, run, f"complex {label}".strip(), low=low, **options)


def _made(x, y):
    return parts(x + 1j * y)


def _make(t, x, y):
    return t.view_as_real(t.complex(x, y))


EYE = 3 * np.eye(3)


def plus(t, z):
    return 3 * t.eye(3, dtype=z.real.dtype, device=z.device)


def definite(z):
    return z @ z.conj().swapaxes(-1, -2) + EYE


def torch_definite(t, z):
    return z @ z.mH + plus(t, z)


def series(z):
    """The exponential of a matrix, term by term."""
    out = term = np.eye(len(z))
    for k in range(1, 40):
        term = term @ z / k
        out = out + term
    return out


def turned(u, s, vh):
    """What does not change where columns of U and V are turned together: U @ Vh, and S."""
    return (u @ vh) * s[..., None, :]


def convolved(z):
    """Windows of 2 of a sequence (n, 3, l) times a weight made of its first two elements."""
    weight = np.stack([z[0, :, :2], z[1, :, 1:3]])
    windows = np.lib.stride_tricks.sliding_window_view(z, 2, 2)
    return np.einsum("nclk,mck->nml", windows, weight) + z[0, :2, :1]


def convolve(t, z):
    weight = t.stack([z[0, :, :2], z[1, :, 1:3]])
    return t.nn.functional.conv1d(z, weight, z[0, :2, 0])


SQUARE = [[(3, 3), (3, 3)]]
MATRICES = [[(2, 3, 3), (2, 3, 3)]]
RULES = [
    "exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh",
    "tanh", "reciprocal", "square", "positive", "abs", "angle", "real", "imag", "prod", "mean",
    "sum",
]  # fmt: skip
RENAMED = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "conj_physical": "conj", "neg": "negative",
}  # fmt: skip

COMPLEX_NUMBERS = [
    Case("complex", [*PAIR, [(), ()]], _made, _make),
    Case("complex", [[(0, 3), (0, 3)]], _made, _make, "empty", in_torch=False),  # its own gradient fails
    Case("complex", [[(3, 1), (4,)]], _made, _make, "broadcast"),
    Case("polar", PAIR, lambda x, y: parts(x * np.exp(1j * y)),
         lambda t, x, y: t.view_as_real(t.polar(x, y)), low=0.2),
    Case("view_as_complex", [[(3, 4, 2)], [(2,)]], lambda x: parts((x[..., 0] + 1j * x[..., 1]) ** 2),
         lambda t, x: t.view_as_real(t.view_as_complex(x.contiguous()) ** 2)),
    row("view_as_real", parts, lambda t, z: t.view_as_real(z)),
    *(row(op, getattr(np, op)) for op in RULES),
    *(row(op, getattr(np, name)) for op, name in RENAMED.items()),
    row("conj", np.conj),
    row("resolve_conj", lambda z: z),
    row("sgn", lambda z: z / np.abs(z)),
    row("rsqrt", lambda z: 1 / np.sqrt(z)),
    row("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    row("mul", lambda z: z * (2 - 1j) * z.conj(), lambda t, z: z * (2 - 1j) * z.conj()),
    row("mul", lambda z: z * z.real * z.imag, lambda t, z: z * z.real * z.imag, low=-2),
    row("div", lambda z: (1j / z) + z / z.conj(), lambda t, z: (1j / z) + z / z.conj()),
    row("sub", lambda z: 1j - z - z.real, lambda t, z: 1j - z - z.real),
    row("pow", lambda z: z**3 + z**2 + z**-1.5 + z**1j, lambda t, z: z**3 + z**2 + z**-1.5 + z**1j),
    row("pow", lambda z: z**z + 2.0**z + z**z.real, lambda t, z: z**z + 2.0**z + z**z.real),
    row("lerp", lambda z: z + 0.3 * (z * z - z), lambda t, z: t.lerp(z, z * z, 0.3)),
    row("addcmul", lambda z: z + 2 * z * z, lambda t, z: t.addcmul(z, z, z, value=2)),
    row("matmul", lambda z: z @ z.conj().swapaxes(-1, -2), lambda t, z: z @ z.mH, MATRICES),
    row("einsum", lambda z: np.einsum("bij,bkj->bik", z, z), samples=MATRICES,
        call=lambda t, z: t.einsum("bij,bkj->bik", z, z)),
    row("linalg.inv", lambda z: np.linalg.inv(z + EYE), lambda t, z: t.linalg.inv(z + plus(t, z)), SQUARE, solver=True),
    row("linalg.solve", lambda z: np.linalg.solve(z + EYE, z[:, :2] * 1j), lambda t, z: t.linalg.solve(z + plus(t, z), z[:, :2] * 1j), SQUARE, solver=True),
    row("linalg.det", np.linalg.det, lambda t, z: t.linalg.det(z), MATRICES, solver=True),
    row("linalg.slogdet", lambda z: np.linalg.slogdet(z + EYE)[0], lambda t, z: t.linalg.slogdet(z + plus(t, z))[0], SQUARE, label="sign", solver=True),
    row("linalg.slogdet", lambda z: np.linalg.slogdet(z)[1], lambda t, z: t.linalg.slogdet(z)[1], MATRICES, label="size", solver=True),
    row("logdet", lambda z: _logdet(z + EYE), lambda t, z: t.logdet(z + plus(t, z)), SQUARE, solver=True),
    row("linalg.cholesky", lambda z: np.linalg.cholesky(definite(z)), lambda t, z: t.linalg.cholesky(torch_definite(t, z)), MATRICES, solver=True),
    row("linalg.cholesky", lambda z: np.linalg.cholesky(definite(z)).conj().T, lambda t, z: t.linalg.cholesky(torch_definite(t, z), upper=True), SQUARE, label="upper", solver=True),
    row("cholesky_solve", lambda z: np.linalg.solve(definite(z), z), lambda t, z: t.cholesky_solve(z, t.linalg.cholesky(torch_definite(t, z))), SQUARE, solver=True),
    row("linalg.solve_triangular", lambda z: np.linalg.solve(np.triu(z), z * 1j), lambda t, z: t.linalg.solve_triangular(z, z * 1j, upper=True), MATRICES, solver=True),
    row("linalg.lu_solve", lambda z: np.linalg.solve((z + EYE).conj().T, z), lambda t, z: t.linalg.lu_solve(*t.linalg.lu_factor(z + plus(t, z)), z, adjoint=True), SQUARE, solver=True),
    row("linalg.qr", lambda z: np.abs(np.linalg.qr(z)[0]), lambda t, z: t.linalg.qr(z)[0].abs(), SQUARE, smooth=False, solver=True),
    row("linalg.qr", lambda z: np.abs(np.linalg.qr(z)[1]), lambda t, z: t.linalg.qr(z)[1].abs(), [[(2, 3), (2, 3)]], label="wide", smooth=False, solver=True),
    row("linalg.svd", lambda z: turned(*np.linalg.svd(z)), lambda t, z: turned(*t.linalg.svd(z)), MATRICES, smooth=False, solver=True),
    row("linalg.svd", lambda z: np.linalg.svd(z, False)[1], lambda t, z: t.linalg.svd(z)[1], [[(4, 3), (4, 3)]], label="tall", smooth=False, solver=True),
    row("linalg.svdvals", lambda z: np.linalg.svd(z)[1], lambda t, z: t.linalg.svdvals(z), SQUARE, smooth=False, solver=True),
    row("linalg.eigvalsh", lambda z: np.linalg.eigvalsh(definite(z)), lambda t, z: t.linalg.eigvalsh(torch_definite(t, z)), SQUARE, smooth=False, solver=True),
    row("linalg.eigh", lambda z: np.abs(np.linalg.eigh(definite(z))[1]), lambda t, z: t.linalg.eigh(torch_definite(t, z))[1].abs(), SQUARE, smooth=False, solver=True),
    row("linalg.pinv", np.linalg.pinv, lambda t, z: t.linalg.pinv(z), [[(4, 3), (4, 3)]], smooth=False, solver=True),
    row("linalg.lstsq", lambda z: np.linalg.lstsq(z, z[:, :1] * z.real, rcond=None)[0], lambda t, z: t.linalg.lstsq(z, z[:, :1] * z.real).solution, [[(4, 3), (4, 3)]], smooth=False, solver=True),
    row("linalg.matrix_exp", series, lambda t, z: t.linalg.matrix_exp(z), SQUARE, solver=True),
    row("linalg.matrix_norm", lambda z: np.linalg.norm(z, "nuc"), lambda t, z: t.linalg.matrix_norm(z, "nuc"), SQUARE, smooth=False, solver=True),
    row("linalg.cond", np.linalg.cond, lambda t, z: t.linalg.cond(z), SQUARE, smooth=False, solver=True),
    row("F.conv1d", convolved, convolve, [[(2, 3, 4), (2, 3, 4)]]),
    row("F.linear", lambda z: z @ z.T + z[0], lambda t, z: t.nn.functional.linear(z, z, z[0]), SQUARE),
    row("vdot", lambda z: np.vdot(z, z * z), lambda t, z: t.vdot(z, z * z), [[(4,), (4,)]]),
    row("adjoint", lambda z: z.conj().T, lambda t, z: t.adjoint(z), SQUARE),
    row("norm", lambda z: np.linalg.norm(z, 2, 1), lambda t, z: t.norm(z, dim=1), SQUARE),
    row("var", lambda z: z.real.var(1, ddof=1) + z.imag.var(1, ddof=1), lambda t, z: t.var(z, 1), SQUARE),
    row("cov", np.cov, lambda t, z: t.cov(z), SQUARE),
    row("cumsum", lambda z: np.cumsum(z, 1), lambda t, z: t.cumsum(z, 1), SQUARE),
    row("cumprod", lambda z: np.cumprod(z, 1), lambda t, z: t.cumprod(z, 1), SQUARE),
    row("cat", lambda z: np.concatenate([z, z.real]), lambda t, z: t.cat([z, z.real]), SQUARE),
    row("stack", lambda z: np.stack([z, z * z]), lambda t, z: t.stack([z, z * z]), SQUARE),
    row("where", lambda z: np.where(z.real > 1, z, z * 1j),
        lambda t, z: t.where(z.real > 1, z, z * 1j), SQUARE, smooth=False),
    row("masked_fill", lambda z: np.where(z.real > 1, 2j, z),
        lambda t, z: t.masked_fill(z, z.real > 1, 2j), SQUARE, smooth=False),
    row("getitem", lambda z: z[[0, 2, 0]], lambda t, z: z[[0, 2, 0]], SQUARE),
    row("index_add", lambda z: np.stack([z[0] + z[1] * 1j, z[1], z[2]]),
        lambda t, z: z.index_add(0, t.tensor([0]).to(z.device), z[1:2] * 1j), SQUARE),
]  # fmt: skip
