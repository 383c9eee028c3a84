"""Sums of rows."""

from __future__ import annotations

from dtrain.backend.array_module import Array


def sum_rows(x: Array) -> Array:
    """The sum of each row. x: (rows, n); returns (rows,)."""
    return x.sum(1)


def column_sums(x: Array) -> Array:
    """The sum of each column of x: (rows, n)."""
    return x.sum(0)
