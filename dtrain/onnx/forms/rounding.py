"""Rounding, whole quotients and what they leave, signs."""

from __future__ import annotations

from typing import Any

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.table import Form


def sign(b: Builder, x: Wire) -> Wire:
    """-1, 0 or 1; 0 for NaN."""
    zero = b.wire(0, x.dtype)
    if x.dtype == bool:
        return x
    return b.Sub(b.cast(b.Greater(x, zero), x.dtype), b.cast(b.Less(x, zero), x.dtype))


def heaviside(b: Builder, x: Any, y: Any) -> Wire:
    """0 where x is negative, 1 where it is positive, y where it is 0."""
    x, y = b.promoted(x, y)
    zero = b.wire(0, x.dtype)
    return b.where(b.Equal(x, zero), y, b.cast(b.Greater(x, zero), x.dtype))


def truncate(b: Builder, x: Wire) -> Wire:
    """Without the fraction; with the sign of x, also of -0.5."""
    if x.dtype.kind != "f":
        return x
    return b.where(b.Less(x, b.wire(0, x.dtype)), b.Ceil(x), b.Floor(x))


def round_half_even(b: Builder, x: Wire, *, decimals: int = 0) -> Wire:
    """To a multiple of 10 ** -decimals."""
    if x.dtype.kind != "f" or decimals == 0:
        return b.Round(x) if x.dtype.kind == "f" else x
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return b.Div(b.Round(b.Mul(x, scale)), scale)
    return b.Mul(b.Round(b.Div(x, scale)), scale)


def floor_divide(b: Builder, x: Any, y: Any) -> Wire:
    """floor(x / y); of integers, too, whose Div truncates."""
    x, y = b.promoted(x, y)
    if x.dtype.kind == "f":
        whole = b.Div(b.Sub(x, remainder(b, x, y)), y)  # as NumPy: right at the edges
        return b.where(b.Equal(y, b.wire(0, y.dtype)), b.Div(x, y), b.Round(whole))
    quotient = b.Div(x, y)
    zero = b.wire(0, x.dtype)
    inexact = b.Not(b.Equal(b.Mul(quotient, y), x))
    negative = b.Xor(b.Less(x, zero), b.Less(y, zero))
    return b.Sub(quotient, b.cast(b.And(inexact, negative), x.dtype))


def truncating_divide(b: Builder, x: Any, y: Any) -> Wire:
    """x / y without the fraction."""
    x, y = b.promoted(x, y)
    return truncate(b, b.Div(x, y))


def remainder(b: Builder, x: Any, y: Any) -> Wire:
    """Of the sign of y, as Python's %."""
    x, y = b.promoted(x, y)
    if x.dtype.kind != "f":
        return b.Mod(x, y)
    left = b.Mod(x, y, fmod=1)
    zero = b.wire(0, x.dtype)
    wrong = b.And(b.Not(b.Equal(left, zero)), b.Xor(b.Less(left, zero), b.Less(y, zero)))
    return b.where(wrong, b.Add(left, y), left)


def fmod(b: Builder, x: Any, y: Any) -> Wire:
    """Of the sign of x, as C's fmod."""
    return b.Mod(*b.promoted(x, y), fmod=1)


FORMS: dict[str, Form] = {
    "sign": sign,
    "heaviside": heaviside,
    "floor": lambda b, x: b.Floor(x) if x.dtype.kind == "f" else x,
    "ceil": lambda b, x: b.Ceil(x) if x.dtype.kind == "f" else x,
    "trunc": truncate,
    "round": round_half_even,
    "frac": lambda b, x: b.Sub(x, truncate(b, x)),
    "floor_divide": floor_divide,
    "trunc_divide": truncating_divide,
    "remainder": remainder,
    "fmod": fmod,
    "operator.floordiv": floor_divide,  # of numbers that are arguments
    "operator.mod": remainder,
}
