"""Special functions under PyTorch's names (torch.special)."""

from dtrain.functions.special import entr, i0e, i1, i1e, ndtr, xlog1py
from dtrain.functions.table import CALLS as _CALLS

digamma = psi = _CALLS["digamma"]
erf, erfc, erfinv = _CALLS["erf"], _CALLS["erfc"], _CALLS["erfinv"]
exp2, expm1, log1p, xlogy = (_CALLS[name] for name in ("exp2", "expm1", "log1p", "xlogy"))
expit, logit = _CALLS["sigmoid"], _CALLS["logit"]
gammaln, multigammaln, polygamma = _CALLS["lgamma"], _CALLS["mvlgamma"], _CALLS["polygamma"]
i0, round, sinc = _CALLS["i0"], _CALLS["round"], _CALLS["sinc"]
log_softmax, logsumexp, softmax = (_CALLS[name] for name in ("log_softmax", "logsumexp", "softmax"))

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
