"""Array code outside of primitives, by the names that graphs have for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms import arithmetic, comparison, indexing, reductions, rounding, shapes
from dtrain.onnx.forms.table import Form

#: Functions of NumPy's, and the forms of the primitives that compute the same.
_PRIMITIVES: dict[str, Form] = {
    **{name: arithmetic.FORMS[name] for name in ("maximum", "minimum", "exp", "log", "sqrt")},
    "add": arithmetic.FORMS["add"],
    "subtract": arithmetic.FORMS["sub"],
    "multiply": arithmetic.FORMS["mul"],
    "divide": arithmetic.FORMS["div"],
    "true_divide": arithmetic.FORMS["div"],
    "absolute": arithmetic.FORMS["abs"],
    "negative": arithmetic.FORMS["neg"],
    "power": arithmetic.FORMS["pow"],
    "floor_divide": rounding.FORMS["floor_divide"],
    "remainder": rounding.FORMS["remainder"],
    "equal": comparison.FORMS["eq"],
    "not_equal": comparison.FORMS["ne"],
    "less": comparison.FORMS["lt"],
    "less_equal": comparison.FORMS["le"],
    "greater": comparison.FORMS["gt"],
    "greater_equal": comparison.FORMS["ge"],
    **{
        name: comparison.FORMS[name]
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isnan", "isinf",
                     "isfinite", "logical_and", "logical_or", "logical_not")
    },
}  # fmt: skip


def where(b: Builder, condition: Any, x: Any, y: Any) -> Wire:
    """numpy.where of three."""
    return b.where(condition, x, y)


def moveaxis(b: Builder, x: Wire, source: int, destination: int) -> Wire:
    """numpy.moveaxis of one axis."""
    order = [i for i in range(x.ndim) if i != source % x.ndim]
    order.insert(destination % x.ndim, source % x.ndim)
    return b.transpose(x, order)


def item(b: Builder, _: str, x: Wire) -> Wire:
    """x.item(), a number of Python."""
    made = b.reshape(x, [])
    return Wire(made.name, made.dtype, (), is_weak=True)


def reshape(b: Builder, _: str, x: Wire, *shape: Any) -> Wire:
    """x.reshape(...)."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return shapes.reshape(b, x, shape=sizes)


def transpose(b: Builder, _: str, x: Wire, *axes: Any) -> Wire:
    """x.transpose(...)."""
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    return b.transpose(x, order or range(x.ndim)[::-1])


def _method(form: Form) -> Form:
    def call(b: Builder, _: str, x: Wire, axis: Any = None, keepdims: bool = False) -> Wire:
        return form(b, x, axis=axis, keepdims=keepdims)

    return call


def broadcast_to(b: Builder, x: Wire, shape: Any) -> Wire:
    """numpy.broadcast_to."""
    return b.expand(x, shape)


def concatenate(b: Builder, arrays: Any, axis: int = 0) -> Wire:
    """numpy.concatenate."""
    return b.Concat(*b.promoted(*arrays), axis=axis)


FORMS: dict[str, Form] = {
    **{f"numpy.{name}": form for name, form in _PRIMITIVES.items()},
    "numpy.where": where,
    "numpy.moveaxis": moveaxis,
    "numpy.broadcast_to": broadcast_to,
    "numpy.concatenate": concatenate,
    "numpy.expand_dims": lambda b, x, axis: b.unsqueeze(x, axis),
    "numpy.take_along_axis": lambda b, x, index, axis: indexing.gather(
        b, x, axis=axis, index=index
    ),
    "array.item": item,
    "array.reshape": reshape,
    "array.transpose": transpose,
    "array.astype": lambda b, _, x, dtype, **how: b.cast(x, np.dtype(dtype)),
    "array.clip": lambda b, _, x, low, high: arithmetic.clamp(b, x, min=low, max=high),
    "array.copy": lambda b, _, x: x,
    "array.sum": _method(reductions.FORMS["sum"]),
    "array.max": _method(reductions.FORMS["amax"]),
    "array.min": _method(reductions.FORMS["amin"]),
    "array.all": _method(reductions.FORMS["all"]),
    "array.any": _method(reductions.FORMS["any"]),
    "array.getitem": lambda b, x, index: indexing.getitem(b, x, index=index),
}
