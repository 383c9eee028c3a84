"""Arithmetic, exponentials, logarithms, limits, circular and special functions."""

from __future__ import annotations

import math
from typing import Any

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.comparison import signbit
from dtrain.onnx.forms.table import Form, binary, unary


def divide(b: Builder, x: Any, y: Any) -> Wire:
    """x / y; of integers as floats."""
    x, y = b.promoted(x, y)
    if x.dtype.kind != "f":
        x, y = b.cast(x, "float64"), b.cast(y, "float64")
    return b.Div(x, y)


def power(b: Builder, x: Any, y: Any) -> Wire:
    """x ** y; small whole powers as products, as the primitive has them."""
    if isinstance(x, Wire) and isinstance(y, (int, float)) and y in (2, 3):
        square = b.Mul(x, x)
        return square if y == 2 else b.Mul(square, x)
    return b.Pow(*b.promoted(x, y))


def lerp(b: Builder, x: Any, y: Any, weight: Any) -> Wire:
    """From the nearer end."""
    x, y, w = b.promoted(x, y, weight)
    distance = b.Sub(y, x)
    from_x = b.Add(x, b.Mul(w, distance))
    from_y = b.Sub(y, b.Mul(distance, b.Sub(b.wire(1, w.dtype), w)))
    return b.where(b.Less(b.Abs(w), b.wire(0.5, w.dtype)), from_x, from_y)


def copysign(b: Builder, x: Any, y: Any) -> Wire:
    """|x| with the sign of y."""
    x, y = b.promoted(x, y)
    size = b.Abs(x)
    return b.where(signbit(b, y), b.Neg(size), size)


def expm1(b: Builder, x: Wire) -> Wire:
    """2 sinh(x / 2) exp(x / 2), accurate near 0, where it is finite; else exp(x) - 1."""
    half = b.Mul(x, 0.5)
    near = b.Mul(b.Mul(_sinh(b, half), 2.0), b.Exp(half))
    return b.where(b.Less(b.Abs(x), 1.0), near, b.Sub(b.Exp(x), 1.0))


def _sinh(b: Builder, x: Wire) -> Wire:
    """By its series near 0, accurate there; ONNX Runtime has no float64 kernel of Sinh."""
    square = b.Mul(x, x)
    series = b.wire(1 / math.factorial(13), x.dtype)
    for n in (11, 9, 7, 5, 3, 1):
        series = b.Add(b.Mul(series, square), 1 / math.factorial(n))
    return b.Mul(series, x)


def log1p(b: Builder, x: Wire) -> Wire:
    """log(u) x / (u - 1) with u = 1 + x, which is accurate near 0 (Kahan)."""
    u = b.Add(x, 1.0)
    below = b.Sub(u, 1.0)
    exact = b.Equal(below, 0.0)
    factor = b.Div(x, b.where(exact, 1.0, below, x.dtype))
    accurate = b.where(exact, x, b.Mul(b.Log(u), factor))
    return b.where(b.Less(b.Abs(x), 1.0), accurate, b.Log(u))


def logaddexp(b: Builder, x: Any, y: Any, base: float = 1.0) -> Wire:
    """The larger one and log(1 + exp(the difference)); equal infinities are themselves."""
    x, y = b.promoted(x, y)
    gap = b.Neg(b.Abs(b.Sub(x, y)))
    out = b.Add(b.Max(x, y), b.Div(log1p(b, b.Exp(b.Mul(gap, base))), base))
    return b.where(b.Equal(x, y), b.Add(x, math.log(2) / base), out)


def logit(b: Builder, x: Wire, *, eps: float | None = None) -> Wire:
    """log(x / (1 - x)) of x within its limits."""
    z = x if eps is None else b.Min(b.Max(x, eps), 1 - eps)
    return b.Log(b.Div(z, b.Sub(b.wire(1, x.dtype), z)))


def _times_log(log: Form) -> Form:
    """x log(y), 0 where x is 0 and y is no NaN."""

    def form(b: Builder, x: Any, y: Any) -> Wire:
        x, y = b.promoted(x, y)
        zero = b.And(b.Equal(x, b.wire(0, x.dtype)), b.Not(b.IsNaN(y)))
        return b.where(zero, 0.0, b.Mul(x, log(b, y)), x.dtype)

    return form


def _or_logical(kind: str, of_bools: str) -> Form:
    """The node `kind` of two operands; of bools, which it does not take, the node `of_bools`."""

    def form(b: Builder, x: Any, y: Any) -> Wire:
        x, y = b.promoted(x, y)
        return getattr(b, of_bools if x.dtype == bool else kind)(x, y)

    return form


larger, smaller = _or_logical("Max", "Or"), _or_logical("Min", "And")  # NaN wins


def _skip_nan(of: Form) -> Form:
    def form(b: Builder, x: Any, y: Any) -> Wire:
        x, y = b.promoted(x, y)
        if x.dtype.kind != "f":
            return of(b, x, y)
        return b.where(b.IsNaN(x), y, b.where(b.IsNaN(y), x, of(b, x, y)))

    return form


def clamp(b: Builder, x: Wire, *, min: Any, max: Any) -> Wire:
    """x within limits."""
    x = x if min is None else larger(b, x, min)
    return x if max is None else smaller(b, x, max)


def nan_to_num(b: Builder, x: Wire, *, nan: float, posinf: float, neginf: float) -> Wire:
    """Numbers in place of NaN and the infinities."""
    inf = math.inf
    out = b.where(b.Equal(x, b.wire(inf, x.dtype)), posinf, x, x.dtype)
    out = b.where(b.Equal(x, b.wire(-inf, x.dtype)), neginf, out, x.dtype)
    return b.where(b.IsNaN(x), nan, out, x.dtype)


def atan2(b: Builder, x: Any, y: Any) -> Wire:
    """The angle of (y, x): the primitive's x is the ordinate."""
    x, y = b.promoted(x, y)
    zero, pi = b.wire(0, x.dtype), math.pi
    below, left = signbit(b, x), signbit(b, y)
    infinite = b.And(b.IsInf(x), b.IsInf(y))
    base = b.Atan(b.Div(b.Abs(x), b.Abs(y)))
    base = b.where(infinite, pi / 4, base, x.dtype)
    origin = b.And(b.Equal(x, zero), b.Equal(y, zero))
    base = b.where(origin, 0.0, base, x.dtype)
    angle = b.where(left, b.Sub(b.wire(pi, x.dtype), base), base)
    return b.where(below, b.Neg(angle), angle)


def hypot(b: Builder, x: Any, y: Any) -> Wire:
    """sqrt(x^2 + y^2), by the larger of the two so that nothing overflows."""
    x, y = b.promoted(x, y)
    x, y = b.Abs(x), b.Abs(y)
    top, low = b.Max(x, y), b.Min(x, y)
    ratio = b.Div(low, b.where(b.Equal(top, b.wire(0, x.dtype)), 1.0, top, x.dtype))
    out = b.Mul(top, b.Sqrt(b.Add(b.Mul(ratio, ratio), 1.0)))
    return b.where(b.IsInf(top), math.inf, out, x.dtype)


def sinc(b: Builder, x: Wire) -> Wire:
    """sin(pi x) / (pi x), 1 at 0."""
    zero = b.Equal(x, b.wire(0, x.dtype))
    angle = b.Mul(b.where(zero, 1.0, x, x.dtype), math.pi)
    return b.where(zero, 1.0, b.Div(b.Sin(angle), angle), x.dtype)


def erfc(b: Builder, x: Wire) -> Wire:
    """1 - erf(x)."""
    return b.Sub(b.wire(1, x.dtype), b.Erf(x))


def entr(b: Builder, x: Wire) -> Wire:
    """-x log(x), 0 at 0, -inf below."""
    zero = b.wire(0, x.dtype)
    out = b.Neg(b.Mul(x, b.Log(x)))
    out = b.where(b.Equal(x, zero), zero, out)
    return b.where(b.Less(x, zero), -math.inf, out, x.dtype)


def _scaled(factor: float) -> Form:
    return lambda b, x: b.Mul(x, factor)


FORMS: dict[str, Form] = {
    "add": _or_logical("Add", "Or"),
    "sub": binary("Sub"),
    "mul": _or_logical("Mul", "And"),
    "div": divide,
    "pow": power,
    "lerp": lerp,
    "neg": unary("Neg"),
    "abs": unary("Abs"),
    "reciprocal": unary("Reciprocal"),
    "square": lambda b, x: b.Mul(x, x),
    "copysign": copysign,
    "sqrt": unary("Sqrt"),
    "safe_sqrt": unary("Sqrt"),
    "rsqrt": lambda b, x: b.Reciprocal(b.Sqrt(x)),
    "exp": unary("Exp"),
    "exp2": lambda b, x: b.Pow(b.wire(2, x.dtype), x),
    "expm1": expm1,
    "log": unary("Log"),
    "log2": lambda b, x: b.Div(b.Log(x), math.log(2)),
    "log10": lambda b, x: b.Div(b.Log(x), math.log(10)),
    "log1p": log1p,
    "logit": logit,
    "logaddexp": logaddexp,
    "logaddexp2": lambda b, x, y: logaddexp(b, x, y, math.log(2)),
    "xlogy": _times_log(unary("Log")),
    "xlog1py": _times_log(log1p),
    "maximum": larger,
    "minimum": smaller,
    "fmax": _skip_nan(larger),
    "fmin": _skip_nan(smaller),
    "clamp": clamp,
    "clamp_min": larger,
    "clamp_max": smaller,
    "clamp_between": lambda b, x, low, high: smaller(b, larger(b, x, low), high),
    "nan_to_num": nan_to_num,
    **{
        name.lower(): unary(name)
        for name in ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh",
                     "Atanh", "Erf")
    },
    "atan2": atan2,
    "hypot": hypot,
    "sinc": sinc,
    "deg2rad": _scaled(math.pi / 180),
    "rad2deg": _scaled(180 / math.pi),
    "erfc": erfc,
    "entr": entr,
    # operators of Python, on numbers that are arguments
    **{
        f"operator.{name}": form
        for name, form in {
            "add": binary("Add"), "sub": binary("Sub"), "mul": binary("Mul"), "truediv": divide,
            "pow": power, "neg": unary("Neg"), "abs": unary("Abs"), "pos": unary("Identity"),
        }.items()
    },
}  # fmt: skip
