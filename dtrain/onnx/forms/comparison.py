"""Comparisons, truth values and bits."""

from __future__ import annotations

import math
from typing import Any

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.table import Form


def _compare(kind: str, negated: bool = False) -> Form:
    def form(b: Builder, x: Any, y: Any) -> Wire:
        x, y = b.promoted(x, y)
        if x.dtype == bool and kind != "Equal":
            x, y = b.cast(x, "int32"), b.cast(y, "int32")
        out = getattr(b, kind)(x, y)
        return b.Not(out) if negated else out

    return form


def truth(b: Builder, x: Any) -> Wire:
    """Whether each is not zero."""
    x = b.wire(x)
    return x if x.dtype == bool else b.Not(b.Equal(x, b.wire(0, x.dtype)))


def _logical(kind: str) -> Form:
    return lambda b, x, y: getattr(b, kind)(truth(b, x), truth(b, y))


def _bitwise(kind: str) -> Form:
    def form(b: Builder, x: Any, y: Any) -> Wire:
        x, y = b.promoted(x, y)
        return getattr(b, kind)(x, y) if x.dtype == bool else getattr(b, f"Bitwise{kind}")(x, y)

    return form


def is_infinite(b: Builder, x: Wire) -> Wire:
    """Whether each is infinite."""
    return b.IsInf(x) if x.dtype.kind == "f" else b.Not(b.Equal(x, x))


def signbit(b: Builder, x: Wire) -> Wire:
    """Whether the sign is set, of -0.0 too."""
    zero = b.wire(0, x.dtype)
    if x.dtype.kind != "f":
        return b.Less(x, zero)
    negative_zero = b.And(b.Equal(x, zero), b.Less(b.Reciprocal(x), zero))
    return b.Or(b.Less(x, zero), negative_zero)


def isclose(b: Builder, x: Any, y: Any, *, rtol: float, atol: float, equal_nan: bool) -> Wire:
    """|x - y| <= atol + rtol |y|, or equal."""
    x, y = b.promoted(x, y)
    if x.dtype.kind != "f":
        x, y = b.cast(x, "float64"), b.cast(y, "float64")
    limit = b.Add(b.Mul(b.Abs(y), rtol), atol)
    finite = b.Less(b.Abs(y), b.wire(math.inf, y.dtype))
    near = b.And(b.LessOrEqual(b.Abs(b.Sub(x, y)), limit), finite)
    near = b.Or(near, b.Equal(x, y))
    return b.Or(near, b.And(b.IsNaN(x), b.IsNaN(y))) if equal_nan else near


def where(b: Builder, x: Any, y: Any, *, condition: Wire) -> Wire:
    """x where the condition holds."""
    return b.where(condition, x, y)


_COMPARISONS = {
    "eq": _compare("Equal"),
    "ne": _compare("Equal", negated=True),
    "lt": _compare("Less"),
    "le": _compare("LessOrEqual"),
    "gt": _compare("Greater"),
    "ge": _compare("GreaterOrEqual"),
}

FORMS: dict[str, Form] = {
    **_COMPARISONS,
    **{f"operator.{name}": form for name, form in _COMPARISONS.items()},
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "logical_not": lambda b, x: b.Not(truth(b, x)),
    "bitwise_and": _bitwise("And"),
    "bitwise_or": _bitwise("Or"),
    "bitwise_xor": _bitwise("Xor"),
    "invert": lambda b, x: b.Not(x) if x.dtype == bool else b.BitwiseNot(x),
    "isnan": lambda b, x: b.is_nan(x),
    "isinf": is_infinite,
    "isfinite": lambda b, x: b.Not(b.Or(b.is_nan(x), is_infinite(b, x))),
    "signbit": signbit,
    "isclose": isclose,
    "where": where,
    "masked_fill": lambda b, x, *, mask, value: b.where(mask, value, x, x.dtype),
}
