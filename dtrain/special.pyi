"""Special functions under PyTorch's names (torch.special).

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from dtrain.autograd.tensor import Tensor
from dtrain.functions.special import (
    entr as entr,
    i0e as i0e,
    i1 as i1,
    i1e as i1e,
    ndtr as ndtr,
    xlog1py as xlog1py,
)
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

def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
def erf(input: Any) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
def erfc(input: Any) -> Tensor:
    """1 - erf(x), exact where that is small."""
def erfinv(input: Any) -> Tensor:
    """The number of which x is the error function."""
def exp2(input: Any) -> Tensor:
    """2 ** x"""
def expit(input: Any) -> Tensor:
    """1 / (1 + exp(-x))"""
def expm1(input: Any) -> Tensor:
    """e ** x - 1, exact near 0."""
def gammaln(input: Any) -> Tensor:
    """log |gamma(x)|"""
def i0(input: Any) -> Tensor:
    """The modified Bessel function of order 0."""
def log1p(input: Any) -> Tensor:
    """log(1 + x), exact near 0."""
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
def multigammaln(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of order n of digamma (torch.polygamma)."""
def psi(input: Tensor) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
def sinc(input: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
def xlogy(input: Any, other: Any) -> Tensor:
    """x * log(y); 0 where x is 0, unless y is NaN."""
