"""Special functions under PyTorch's names (torch.special)."""

from dtrain.functions.special import entr, i0e, i1, i1e, ndtr, xlog1py
from dtrain.functions.table import PUBLIC_FUNCTIONS as _FUNCTIONS

digamma = psi = _FUNCTIONS["digamma"]
erf, erfc, erfinv = _FUNCTIONS["erf"], _FUNCTIONS["erfc"], _FUNCTIONS["erfinv"]
exp2, expm1, log1p, xlogy = (_FUNCTIONS[name] for name in ("exp2", "expm1", "log1p", "xlogy"))
expit, logit = _FUNCTIONS["sigmoid"], _FUNCTIONS["logit"]
gammaln, multigammaln, polygamma = (
    _FUNCTIONS["lgamma"],
    _FUNCTIONS["mvlgamma"],
    _FUNCTIONS["polygamma"],
)
i0, round, sinc = _FUNCTIONS["i0"], _FUNCTIONS["round"], _FUNCTIONS["sinc"]
log_softmax, logsumexp, softmax = (
    _FUNCTIONS[name] for name in ("log_softmax", "logsumexp", "softmax")
)

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
