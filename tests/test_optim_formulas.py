"""The optimizers' updates against the formulas of their papers, in float64 NumPy."""

import numpy as np
import pytest

import dtrain
from dtrain import optim
from dtrain.optim.optimizer import BLOCK

STEPS, SIZE = 10, 7


def gradients():
    rng = np.random.default_rng(0)
    return [rng.normal(size=SIZE) for _ in range(STEPS)]


def sgd(w, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    """Sutskever et al. 2013, as PyTorch states it: v = m v + (1 - d) g; w -= lr v."""
    velocity = None
    for g in gradients():
        g = (-g if maximize else g) + weight_decay * w
        velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
        w = w - lr * (g + momentum * velocity if nesterov else velocity if momentum else g)
    return w


def adam(w, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, maximize=False,
         decoupled=False):  # fmt: skip
    """Kingma and Ba 2014, algorithm 1; decoupled: Loshchilov and Hutter 2017, algorithm 2."""
    mean, square, largest = np.zeros(SIZE), np.zeros(SIZE), np.zeros(SIZE)
    for t, g in enumerate(gradients(), 1):
        g = -g if maximize else g
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        mean = betas[0] * mean + (1 - betas[0]) * g
        square = betas[1] * square + (1 - betas[1]) * g * g
        largest = np.maximum(largest, square)
        second = (largest if amsgrad else square) / (1 - betas[1] ** t)
        w = w - lr * mean / (1 - betas[0] ** t) / (np.sqrt(second) + eps)
    return w


def adamw(w, lr, weight_decay=0.01, **options):
    return adam(w, lr, weight_decay=weight_decay, decoupled=True, **options)


@pytest.mark.parametrize(
    ("optimizer", "formula", "options"),
    [
        (optim.SGD, sgd, {}),
        (optim.SGD, sgd, {"momentum": 0.9}),
        (optim.SGD, sgd, {"momentum": 0.9, "dampening": 0.3}),
        (optim.SGD, sgd, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (optim.SGD, sgd, {"maximize": True, "weight_decay": 0.1}),
        (optim.Adam, adam, {}),
        (optim.Adam, adam, {"betas": (0.5, 0.8), "eps": 1e-3, "weight_decay": 0.1}),
        (optim.Adam, adam, {"amsgrad": True, "betas": (0.5, 0.5)}),
        (optim.Adam, adam, {"maximize": True}),
        (optim.AdamW, adamw, {}),
        (optim.AdamW, adamw, {"weight_decay": 0.3, "amsgrad": True}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_steps_follow_the_formula(optimizer, formula, options):
    start = np.random.default_rng(1).normal(size=SIZE)
    w = dtrain.from_numpy(start.copy()).requires_grad_()
    stepped = optimizer([w], lr=0.02, **options)
    for gradient in gradients():
        w.grad = dtrain.from_numpy(gradient)
        stepped.step()
    np.testing.assert_allclose(w.detach().numpy(), formula(start, 0.02, **options), rtol=1e-10)


def lars(w, g, state, lr, momentum=0.9, weight_decay=0, trust_coefficient=1e-3, eps=1e-8):
    """You, Gitman and Ginsburg 2017, algorithm 1."""
    size, slope = np.linalg.norm(w), np.linalg.norm(g)
    local = trust_coefficient * size / (slope + weight_decay * size + eps)
    if not size or not slope:
        local = 1
    state["v"] = momentum * state.get("v", 0) + lr * local * (g + weight_decay * w)
    return w - state["v"]


def lamb(w, g, state, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0):
    """You et al. 2019, algorithm 2."""
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = m = betas[0] * state.get("m", 0) + (1 - betas[0]) * g
    state["v"] = v = betas[1] * state.get("v", 0) + (1 - betas[1]) * g * g
    r = m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + weight_decay * w
    size, length = np.linalg.norm(w), np.linalg.norm(r)
    return w - lr * (size / length if size and length else 1) * r


@pytest.mark.parametrize(
    ("optimizer", "formula", "options"),
    [
        (optim.LARS, lars, {}),
        (optim.LARS, lars, {"momentum": 0, "weight_decay": 0.1, "trust_coefficient": 0.1}),
        (optim.LAMB, lamb, {}),
        (optim.LAMB, lamb, {"betas": (0.5, 0.8), "weight_decay": 0.1}),
    ],
)
def test_each_parameter_goes_by_its_own_norm(optimizer, formula, options):
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(3, 2)), 10 * rng.normal(size=4), np.zeros(3)]
    arrays.append(rng.normal(size=(3, BLOCK // 2)))  # is updated in parts, by one norm
    params = [dtrain.from_numpy(array.copy()).requires_grad_() for array in arrays]
    stepped, states = optimizer(params, lr=0.02, **options), [{}, {}, {}, {}]
    for _ in range(STEPS):
        for i, param in enumerate(params):
            gradient = rng.normal(size=param.shape)
            param.grad = dtrain.from_numpy(gradient)
            arrays[i] = formula(arrays[i], gradient, states[i], 0.02, **options)
        stepped.step()
    for param, array in zip(params, arrays):
        np.testing.assert_allclose(param.detach().numpy(), array, rtol=1e-10)
