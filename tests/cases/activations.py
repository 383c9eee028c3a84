"""The rows of the table for activations."""

from __future__ import annotations

import math

import numpy as np

import dtrain
from tests.cases.case import ANY, Case, erf, log_softmax, sigmoid

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def row(name, reference, *args, label="", shapes=ANY, width=4.0, in_torch=True, **options):
    """A row for an activation, on inputs between -width and width."""
    return Case(
        f"F.{name}",
        shapes,
        reference,
        lambda t, x: getattr(t.nn.functional, name)(x, *args, **options),
        label or ", ".join(map(str, args)),
        low=-width,
        high=width,
        in_torch=in_torch,
    )


def written(name, reference, *args, form="{}", width=4.0, **options):
    """A row for an activation that is written into its input."""
    function = form.format(name)
    return Case(
        f"F.{function}",
        ANY,
        reference,
        lambda t, x: getattr(t.nn.functional, function)(x.clone(), *args, **options),
        ", ".join(map(str, (*args, "in place"))),
        low=-width,
        high=width,
        in_torch=name != "hardsigmoid",
    )


def softplus(x):
    return np.log1p(np.exp(x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def hardsigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def softmax(x, axis):
    return np.exp(log_softmax(x, axis))


def drawn(t, name, x, **options):
    t.manual_seed(3)
    return getattr(t.nn.functional, name)(x, **options)


def rrelu(x):
    """What is negative times slopes between 1/8 and 1/3, always the same."""
    ones = dtrain.ones(*x.shape, dtype=dtrain.float64)
    return np.where(x > 0, x, -drawn(dtrain, "rrelu", -ones, training=True).numpy() * x)


def gumbel_softmax(x):
    """The noise is what the logits of zeros show."""
    zeros = dtrain.zeros(*x.shape, dtype=dtrain.float64)
    return softmax(x / 2 + np.log(drawn(dtrain, "gumbel_softmax", zeros, tau=2).numpy()), -1)


def glu(x, axis=-1):
    first, second = np.split(x, 2, axis)
    return first * sigmoid(second)


TWO = [[(3, 4)], [(2, 3, 4)]]

BOTH_FORMS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "rrelu": lambda x: np.where(x > 0, x, (1 / 8 + 1 / 3) / 2 * x),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)),
    "celu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
}
IN_PLACE = [
    *(written(name, reference, inplace=True) for name, reference in BOTH_FORMS.items()),
    *(written(name, reference, form="{}_") for name, reference in BOTH_FORMS.items()),
    written("threshold", lambda x: np.where(x > 0.5, x, -2), 0.5, -2, form="{}_"),
    written("threshold", lambda x: np.where(x > 0.5, x, -2), 0.5, -2, inplace=True),
    written("relu6", lambda x: np.clip(x, 0, 6), width=9, inplace=True),
    written("hardsigmoid", hardsigmoid, inplace=True),
    written("hardswish", lambda x: x * hardsigmoid(x), inplace=True),
    written("silu", lambda x: x * sigmoid(x), inplace=True),
    written("mish", lambda x: x * np.tanh(softplus(x)), inplace=True),
]

ACTIVATIONS = [
    *IN_PLACE,
    row("relu", lambda x: np.maximum(x, 0)),
    row("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x)),
    row("leaky_relu", lambda x: np.where(x > 0, x, 0.3 * x), 0.3),
    Case("F.prelu", [[(2, 3), (1,)], [(3,), (1,)], [(), (1,)], [(2, 3), ()]],
         lambda x, w: np.where(x > 0, x, w * x).reshape(x.shape)),
    Case("F.prelu", [[(2, 3), (3,)], [(2, 3, 4), (3,)]],
         lambda x, w: np.where(x > 0, x, w.reshape(3, *(1,) * (x.ndim - 2)) * x), label="channels"),
    row("rrelu", lambda x: np.where(x > 0, x, 0.5 * x), 0.4, 0.6),
    Case("F.rrelu", [[(4, 5)]], rrelu, lambda t, x: drawn(t, "rrelu", x, training=True),
         "training", in_torch=False),
    row("threshold", lambda x: np.where(x > 0.5, x, -2), 0.5, -2),
    row("hardtanh", lambda x: np.clip(x, -1, 1)),
    row("hardtanh", lambda x: np.clip(x, -0.5, 2), -0.5, 2),
    row("relu6", lambda x: np.clip(x, 0, 6), width=9),
    row("hardsigmoid", hardsigmoid, in_torch=False),  # whose 1/6 has float32's digits
    row("hardswish", lambda x: x * hardsigmoid(x)),
    row("hardshrink", lambda x: np.where(abs(x) > 0.5, x, 0)),
    row("hardshrink", lambda x: np.where(abs(x) > 2, x, 0), 2.0),
    row("softshrink", lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0)),
    row("softshrink", lambda x: np.sign(x) * np.maximum(abs(x) - 2, 0), 2.0),
    row("elu", lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    row("elu", lambda x: np.where(x > 0, x, 0.3 * (np.exp(x) - 1)), 0.3),
    row("selu", lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1))),
    row("celu", lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    row("celu", lambda x: np.where(x > 0, x, 2 * (np.exp(x / 2) - 1)), 2.0),
    row("silu", lambda x: x * sigmoid(x)),
    row("mish", lambda x: x * np.tanh(softplus(x))),
    row("gelu", lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))),
    row("gelu", gelu_tanh, approximate="tanh", label="tanh"),
    row("glu", glu, shapes=TWO),
    row("glu", lambda x: glu(x, 0), 0, shapes=[[(4, 3)], [(6,)]]),
    row("tanh", np.tanh),
    row("sigmoid", sigmoid),
    row("softplus", softplus),
    row("softplus", lambda x: np.where(2 * x > 3, x, softplus(2 * x) / 2), 2.0, 3.0),
    row("softplus", lambda x: np.where(x > -1, x, softplus(x)), 1.0, -1.0),
    row("logsigmoid", lambda x: np.log(sigmoid(x))),
    row("softsign", lambda x: x / (1 + abs(x))),
    row("tanhshrink", lambda x: x - np.tanh(x)),
    row("softmax", lambda x: softmax(x, -1), dim=-1, shapes=TWO),
    row("softmin", lambda x: softmax(-x, 1), dim=1, shapes=TWO),
    row("log_softmax", lambda x: log_softmax(x, 0), dim=0, shapes=TWO),
    Case("F.gumbel_softmax", [[(3, 4)]], gumbel_softmax,
         lambda t, x: drawn(t, "gumbel_softmax", x, tau=2), in_torch=False),
]  # fmt: skip
