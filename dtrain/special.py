"""Special functions under PyTorch's names (torch.special)."""

from dtrain.functions import special as _special
from dtrain.functions.binding import select as _select
from dtrain.functions.table import PUBLIC_FUNCTIONS as _FUNCTIONS

#: Functions that torch.special and torch both have, under two names.
_OTHER_NAMES = {
    "expit": "sigmoid",
    "gammaln": "lgamma",
    "multigammaln": "mvlgamma",
    "psi": "digamma",
}
_SAME_NAMES = (
    "digamma erf erfc erfinv exp2 expm1 i0 log1p log_softmax logit logsumexp polygamma round sinc "
    "softmax xlogy"
)
_NAMES = {
    **_select(_special, "entr gammainc gammaincc i0e i1 i1e ndtr xlog1py"),
    **{name: _FUNCTIONS[name] for name in _SAME_NAMES.split()},
    **{name: _FUNCTIONS[other] for name, other in _OTHER_NAMES.items()},
}
globals().update(_NAMES)

__all__ = sorted(_NAMES)
