"""Repeats a number once for each dimension (torch.nn.modules.utils)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that repeats a number `n` times and makes a tuple of any iterable."""

    def repeat(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return repeat


_single: Callable[[Any], tuple[Any, ...]] = _ntuple(1)
_pair: Callable[[Any], tuple[Any, ...]] = _ntuple(2)
_triple: Callable[[Any], tuple[Any, ...]] = _ntuple(3)
_quadruple: Callable[[Any], tuple[Any, ...]] = _ntuple(4)
