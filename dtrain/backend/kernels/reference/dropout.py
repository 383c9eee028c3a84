"""Dropout whose random numbers a key gives, so that no mask is kept."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.random import RandomKey, dropout_factors_of_key


def keyed_dropout(x: Array, p: float, key: RandomKey) -> Array:
    """Each element times 0 with probability p, else times 1 / (1 - p).

    key : of `Generator.draw_key`
    """
    return x * dropout_factors_of_key(x, p, key)
