"""LARS and LAMB: steps in proportion to each parameter's norm, for large batches."""

from __future__ import annotations

from collections.abc import Iterator

from dtrain.backend import Array, array_module, pieces
from dtrain.optim.optimizer import BLOCK, Optimizer
from dtrain.optim.options import check_adam_options, check_options
from dtrain.optim.types import Group, Numbers, Params, State


def _flat_blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Corresponding flat parts of contiguous arrays: cache-sized on a CPU, whole on a GPU."""
    flat = [array.reshape(-1) for array in arrays]
    for here in pieces(flat[0], BLOCK):
        yield tuple(array[here] for array in flat)


def _norm(squares: list[Array], like: Array) -> Array:
    """The square root of the sum of `squares`, as a 0-d array on the device of `like`."""
    xp = array_module(like)
    total = xp.zeros((), like.dtype)
    for square in squares:
        total = total + square
    return xp.sqrt(total)


def _descent(param: Array, grad: Array, group: Group, decay: bool = True) -> Array:
    """The gradient, negated if the group maximizes, plus weight_decay * param if `decay`."""
    if group["maximize"]:
        grad = -grad
    return grad + group["weight_decay"] * param if decay and group["weight_decay"] else grad


class LARS(Optimizer):
    """SGD with a rate for each parameter (You et al. 2017; not in PyTorch).

    rate = lr * trust_coefficient * |param| / (|grad| + weight_decay * |param| + eps);
    buf = momentum * buf + rate * (grad + weight_decay * param); param -= buf.

    Parameters
    ----------
    trust_coefficient : the length of a step at lr = 1, as a fraction of the parameter's norm
    """

    _by_parameter = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        *,
        maximize: bool = False,
    ):
        inf = float("inf")
        check_options(
            "LARS", lr=(lr, 0, inf), momentum=(momentum, 0, inf), eps=(eps, 0, inf),
            weight_decay=(weight_decay, 0, inf), trust_coefficient=(trust_coefficient, 0, inf),
        )  # fmt: skip
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient, "eps": eps, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        xp, decay = array_module(param), group["weight_decay"]
        size = _norm([(x * x).sum() for (x,) in _flat_blocks(param)], param)
        slope = _norm([(g * g).sum() for (g,) in _flat_blocks(grad)], param)
        trust = group["trust_coefficient"] * size / (slope + decay * size + group["eps"])
        trust = xp.where((size > 0) & (slope > 0), trust, xp.ones_like(trust))
        rate, momentum = group["lr"] * trust, group["momentum"]
        for x, g, buffer in _flat_blocks(param, grad, state.get("momentum_buffer", param)):
            change = rate * _descent(x, g, group)
            if momentum:
                buffer *= momentum
                buffer += change
                change = buffer
            x -= change


class LAMB(Optimizer):
    """Adam with a rate for each parameter (You et al. 2019, algorithm 2; not in PyTorch).

    d = Adam's step at rate 1, plus weight_decay * param; param -= lr * |param| / |d| * d.
    """

    _by_parameter = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ):
        betas = check_adam_options(
            "LAMB", lr, betas, eps, weight_decay=(weight_decay, 0, float("inf"))
        )
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        xp, (beta1, beta2), step = array_module(param), group["betas"], numbers["step"]
        states = state["exp_avg"], state["exp_avg_sq"]

        def compute_step(x: Array, mean: Array, square: Array) -> Array:
            change = mean / (1 - beta1**step)
            change /= xp.sqrt(square / (1 - beta2**step)) + group["eps"]
            change += group["weight_decay"] * x
            return change

        sizes, lengths = [], []
        for x, g, mean, square in _flat_blocks(param, grad, *states):
            g = _descent(x, g, group, decay=False)
            mean += (1 - beta1) * (g - mean)
            square *= beta2
            square += (1 - beta2) * g * g
            change = compute_step(x, mean, square)
            sizes.append((x * x).sum())
            lengths.append((change * change).sum())
        size, length = _norm(sizes, param), _norm(lengths, param)
        both = (size > 0) & (length > 0)
        rate = group["lr"] * xp.where(both, size / xp.where(both, length, 1), xp.ones_like(size))
        for x, mean, square in _flat_blocks(param, *states):  # computed again rather than stored
            x -= rate * compute_step(x, mean, square)
