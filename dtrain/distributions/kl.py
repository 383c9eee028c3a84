"""`kl_divergence`, and the registry of its rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions.distribution import Distribution

Rule = Callable[[Any, Any], Tensor]
R = TypeVar("R", bound=Rule)

_RULES: dict[tuple[type, type], Rule] = {}


def register_kl(type_p: type[Distribution], type_q: type[Distribution]) -> Callable[[R], R]:
    """Decorate a function of (p, q) as the rule of KL(p || q) for these classes.

    The rule of the nearest classes is used: of p first, then of q, in their method resolution
    orders.
    """
    for given in (type_p, type_q):
        if not (isinstance(given, type) and issubclass(given, Distribution)):
            raise TypeError(f"register_kl: expected subclasses of Distribution, got {given!r}")

    def register(rule: R) -> R:
        _RULES[type_p, type_q] = rule
        return rule

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence E_p[log p(x) - log q(x)], of the batch shape.

    >>> from dtrain.distributions import Normal
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    for class_p in type(p).__mro__:
        for class_q in type(q).__mro__:
            if (class_p, class_q) in _RULES:
                return _RULES[class_p, class_q](p, q)
    raise NotImplementedError(
        f"kl_divergence: there is no rule for {type(p).__name__} and {type(q).__name__}; "
        "estimate it by (p.log_prob(x) - q.log_prob(x)).mean(0) of draws x of p, or add a rule "
        "by register_kl"
    )
