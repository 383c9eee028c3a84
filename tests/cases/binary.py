"""The rows of the table for elementwise operations of several tensors."""

from __future__ import annotations

import numpy as np

from tests.cases.case import ANY, Case

PAIRS = [  # for functions of two: one shape, both broadcast, 0-d with one, both 0-d, empty
    [(2, 3), (2, 3)],
    [(2, 1, 3), (4, 1)],
    [(), (2, 3)],
    [(), ()],
    [(0, 3), (1, 3)],
]
TRIPLES = [[(2, 3), (2, 3), (2, 3)], [(2, 1), (3,), ()], [(), (), ()], [(0, 3), (3,), (1, 1)]]

COMPARISONS = {
    "eq": "equal",
    "ge": "greater_equal",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "gt": "greater",
    "le": "less_equal",
    "less": "less",
    "less_equal": "less_equal",
    "logical_and": "logical_and",
    "logical_or": "logical_or",
    "logical_xor": "logical_xor",
    "lt": "less",
    "ne": "not_equal",
    "not_equal": "not_equal",
}
BITS = {
    "bitwise_and": ("bitwise_and", "__and__"),
    "bitwise_left_shift": ("left_shift", "__lshift__"),
    "bitwise_or": ("bitwise_or", "__or__"),
    "bitwise_right_shift": ("right_shift", "__rshift__"),
    "bitwise_xor": ("bitwise_xor", "__xor__"),
}


def truncated(x, y):
    return x - np.trunc(x / y) * y


BINARY = [
    Case("add", PAIRS, np.add),
    Case("add", PAIRS, lambda x, y: x + 3 * y, lambda t, x, y: t.add(x, y, alpha=3), "alpha"),
    Case("sub", PAIRS, np.subtract),
    Case("subtract", PAIRS, np.subtract),
    Case("sub", PAIRS, lambda x, y: x - 3 * y, lambda t, x, y: t.sub(x, y, alpha=3), "alpha"),
    Case("sub", ANY, lambda x: 1 - x, lambda t, x: 1 - x, "from a number"),
    Case("mul", PAIRS, np.multiply),
    Case("multiply", PAIRS, np.multiply),
    Case("mul", ANY, lambda x: 3 * x, lambda t, x: 3 * x, "by a number"),
    *(
        Case(name, PAIRS, np.divide, low=0.5, high=2)
        for name in ("div", "divide", "true_divide")
    ),
    Case("div", ANY, lambda x: 2 / x, lambda t, x: 2 / x, "of a number", low=0.5),
    *(
        Case(
            "div",
            PAIRS,
            lambda x, y, to=to: to((x - 2) / y),
            lambda t, x, y, mode=mode: t.div(x - 2, y, rounding_mode=mode),
            f"rounding_mode={mode}",
            low=0.5,
            high=3,
        )
        for mode, to in (("floor", np.floor), ("trunc", np.trunc))
    ),
    *(
        Case(
            "div",
            [[(2, 3), (2, 3)]],
            lambda x, y, to=to: to(x.astype("i8") / y.astype("i8")).astype("i8"),
            lambda t, x, y, mode=mode: t.div(x.long(), y.long(), rounding_mode=mode),
            f"whole rounding_mode={mode}",
            low=-9.9,
            high=-1,
            differentiable=False,
        )
        for mode, to in (("floor", np.floor), ("trunc", np.trunc))
    ),
    Case("floor_divide", PAIRS, np.floor_divide, low=0.4, high=3, in_torch=False),
    Case("floor_divide", ANY, lambda x: 2 // x, lambda t, x: 2 // x, "of a number", low=0.4,
         in_torch=False),
    Case("floor_divide", PAIRS, np.floor_divide, lambda t, x, y: x.detach() // y.detach(),
         "without gradient", low=0.4, high=3, differentiable=False),
    Case("remainder", PAIRS, lambda x, y: (x - 2) % y, lambda t, x, y: (x - 2) % y, low=0.4, high=3),
    Case("remainder", ANY, lambda x: x % -0.7, lambda t, x: t.remainder(x, -0.7), "by a number"),
    Case("remainder", ANY, lambda x: 2 % x, lambda t, x: 2 % x, "of a number", low=0.4, in_torch=False),
    Case("fmod", PAIRS, lambda x, y: truncated(x - 2, y), lambda t, x, y: t.fmod(x - 2, y),
         low=0.4, high=3),
    Case("fmod", ANY, lambda x: truncated(x, 0.7), lambda t, x: t.fmod(x, 0.7), "by a number"),
    Case("pow", PAIRS, np.power, low=0.3),
    Case("float_power", PAIRS, np.power, lambda t, x, y: t.float_power(x.detach(), y.detach()).to(x.dtype), low=0.3,
         differentiable=False),
    Case("maximum", PAIRS, np.maximum),
    Case("minimum", PAIRS, np.minimum),
    Case("max", PAIRS, np.maximum, label="of two"),
    Case("min", PAIRS, np.minimum, label="of two"),
    Case("atan2", PAIRS, np.arctan2),
    Case("arctan2", PAIRS, np.arctan2),
    Case("hypot", PAIRS, np.hypot),
    Case("copysign", PAIRS, np.copysign),
    Case("copysign", ANY, lambda x: np.copysign(x, -1), lambda t, x: t.copysign(x, -1), "number"),
    Case("logaddexp", PAIRS, np.logaddexp),
    Case("logaddexp2", PAIRS, np.logaddexp2),
    Case("xlogy", PAIRS, lambda x, y: x * np.log(y), low=0.3),
    Case("xlogy", ANY, lambda x: x * np.log(2), lambda t, x: t.xlogy(x, 2), "number"),
    Case("ldexp", PAIRS, lambda x, y: x * 2**y),
    Case(
        "heaviside",
        PAIRS,
        np.heaviside,
        lambda t, x, y: t.heaviside(x.detach(), y.detach()),
        differentiable=False,
    ),
    Case(
        "heaviside",
        ANY,
        lambda x: np.heaviside(np.trunc(x), 0.25),
        lambda t, x: t.heaviside(x.detach().trunc(), t.tensor(0.25).to(x.dtype)),
        "of zeros",
        differentiable=False,
    ),
    *(
        Case(name, PAIRS, getattr(np, reference), differentiable=False)
        for name, reference in COMPARISONS.items()
    ),
    *(
        Case(
            name,
            PAIRS,
            lambda x, y, of=reference: getattr(np, of)(x.astype("i8"), y.astype("i8")),
            lambda t, x, y, name=name: getattr(t, name)(x.long(), y.long()),
            low=0,
            high=9,
            differentiable=False,
        )
        for name, (reference, _) in BITS.items()
    ),
    *(
        Case(
            name,
            PAIRS,
            lambda x, y, of=reference: getattr(np, of)(x > 0, y > 0),
            lambda t, x, y, operator=operator: getattr(x > 0, operator)(y > 0),
            "of truth values",
            differentiable=False,
        )
        for name, (reference, operator) in BITS.items()
        if "shift" not in name
    ),
    *(
        Case(
            name,
            ANY,
            lambda x, of=reference: getattr(np, of)(6, x.astype("i8")),
            lambda t, x, name=operator: getattr(x.long(), f"__r{name[2:]}")(6),
            "of a number",
            low=0,
            high=9,
            differentiable=False,
        )
        for name, (reference, operator) in BITS.items()
    ),
    Case(
        "isclose",
        PAIRS,
        lambda x, y: np.isclose(x, y, rtol=0.2, atol=0.1),
        lambda t, x, y: t.isclose(x, y, rtol=0.2, atol=0.1),
        differentiable=False,
    ),
    Case(
        "allclose",
        PAIRS,
        lambda x, y: np.allclose(x, y, rtol=0.5, atol=1),
        lambda t, x, y: t.tensor(t.allclose(x, y, rtol=0.5, atol=1)),
        differentiable=False,
    ),
    Case(
        "equal",
        PAIRS,
        lambda x, y: x.shape == y.shape and (x.round() == y.round()).all(),
        lambda t, x, y: t.tensor(t.equal(x.round(), y.round())),
        low=-0.6,
        high=0.6,
        differentiable=False,
    ),
    Case("lerp", TRIPLES, lambda x, y, w: x + w * (y - x)),
    Case("lerp", PAIRS, lambda x, y: x + 0.3 * (y - x), lambda t, x, y: x.lerp(y, 0.3), "number"),
    Case("addcmul", TRIPLES, lambda x, y, z: x + y * z),
    Case("addcmul", TRIPLES, lambda x, y, z: x + 2 * y * z,
         lambda t, x, y, z: x.addcmul(y, z, value=2), "value"),
    Case("addcdiv", TRIPLES, lambda x, y, z: x + y / z, low=0.3),
    Case("addcdiv", TRIPLES, lambda x, y, z: x - 2 * y / z,
         lambda t, x, y, z: t.addcdiv(x, y, z, value=-2), "value", low=0.3),
    Case(
        "where",
        TRIPLES,
        lambda c, x, y: np.where(c > 0, x, y),
        lambda t, c, x, y: t.where(c > 0, x, y),
    ),
    Case(
        "where",
        ANY,
        lambda x: np.where(x > 0, x, 0.5),
        lambda t, x: t.where(x > 0, x, 0.5),
        "or a number",
    ),
    Case(
        "masked_fill",
        [[(2, 3), (2, 3)], [(2, 3), (3,)], [(), ()], [(0, 3), (1, 3)]],
        lambda x, m: np.where(m > 0, 7, x),
        lambda t, x, m: x.masked_fill(m > 0, 7),
    ),
    Case("clamp", [[(3, 4), (4,)]], np.maximum, lambda t, x, low: t.clamp(x, low), "by a tensor"),
    Case("clamp_max", [[(3, 4), (4,)]], np.minimum, lambda t, x, y: t.clamp(x, max=y), "by a tensor"),
    Case(
        "clamp",
        [[(2, 3), (3,), (3,)]],
        lambda x, low, wide: np.minimum(np.maximum(x, low), low + abs(wide)),
        lambda t, x, low, wide: t.clamp(x, low, low + abs(wide)),
        "by tensors",
    ),
]  # fmt: skip
