"""Special functions under PyTorch's names (torch.special).

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import DTypeLike
from dtrain.functions.operands import Number
from typing import Any

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
]

def digamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
def entr(input: Tensor) -> Tensor:
    """-x * log(x); 0 at 0, minus infinity below (torch.special.entr)."""
def erf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (torch.erf)."""
def erfc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 - erf(x), exact where that is small (torch.erfc)."""
def erfinv(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of erf (torch.erfinv)."""
def exp2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """2 ** x (torch.exp2)."""
def expit(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / (1 + exp(-x)) (torch.sigmoid)."""
def expm1(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """e ** x - 1, exact near 0 (torch.expm1)."""
def gammainc(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The regularized lower incomplete gamma function: the gamma distribution's function at x (torch.special.gammainc)."""
def gammaincc(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """1 - gammainc(a, x), exact where that is small (torch.special.gammaincc)."""
def gammaln(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log |gamma(x)| (torch.lgamma)."""
def i0(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The modified Bessel function of order 0 (torch.i0)."""
def i0e(input: Tensor) -> Tensor:
    """exp(-|x|) i0(x), without overflow (torch.special.i0e)."""
def i1(input: Tensor) -> Tensor:
    """The modified Bessel function of order 1 (torch.special.i1)."""
def i1e(input: Tensor) -> Tensor:
    """exp(-|x|) i1(x), without overflow (torch.special.i1e)."""
def log1p(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(1 + x), exact near 0 (torch.log1p)."""
def log_softmax(
    input: Tensor,
    dim: int,
    dtype: DTypeLike = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
def logsumexp(
    input: Tensor,
    dim: Any,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
def multigammaln(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the normal distribution (torch.special.ndtr)."""
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of order n of digamma (torch.polygamma)."""
def psi(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
def sinc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0 (torch.sinc)."""
def softmax(
    input: Tensor,
    dim: int,
    dtype: DTypeLike = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
def xlog1py(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """x * log(1 + y); 0 where x is 0, unless y is NaN (torch.special.xlog1py)."""
def xlogy(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """x * log(y); 0 where x is 0, unless y is NaN (torch.xlogy)."""
