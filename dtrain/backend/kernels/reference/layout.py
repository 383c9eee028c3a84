"""Copies in another order in memory."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def contiguous(x: Array) -> Array:
    """x with its elements in order in memory; x itself if they are."""
    return array_module(x).ascontiguousarray(x)
