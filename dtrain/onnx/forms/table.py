"""What forms are, and those that are one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from dtrain.onnx.builder import Builder, Wire

#: Adds the nodes of one call: (builder, *the primitive's arguments) → its output, or several.
Form: TypeAlias = Callable[..., Any]


def unary(kind: str) -> Form:
    """The form that is the node `kind`, of one operand."""

    def form(b: Builder, x: Wire) -> Wire:
        return getattr(b, kind)(x)

    return form


def binary(kind: str) -> Form:
    """The form that is the node `kind`, of two operands in their common dtype."""

    def form(b: Builder, x: Any, y: Any) -> Wire:
        return getattr(b, kind)(*b.promoted(x, y))

    return form
