"""Calls of recorded graphs that are no primitives, by the names that files have for them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend.random import Generator
from dtrain.functions.subscripts import setitem
from dtrain.jit.array_functions import call_method, get_attribute
from dtrain.jit.tracer import item
from dtrain.nn.deferred_updates import DeferredBufferUpdates
from dtrain.primitives.normalization import batch_statistics

BY_NAME: dict[str, Callable[..., Any]] = {
    "batch_statistics": batch_statistics,
    "detach": Tensor.detach,
    "draw_bits": Generator.bits,
    "draw_key": Generator.draw_key,
    "setitem": setitem,
    "update_buffers": DeferredBufferUpdates.update_buffers,
    "wrap": wrap,
    "number.item": item,
    **{
        f"number.{function.__name__}": function
        for function in (
            bool, float, int, operator.index, round, math.trunc, math.floor, math.ceil,
            float.is_integer,
        )
    },
}  # fmt: skip


def array_call(name: str) -> Callable[..., Any]:
    """What a graph's call of "array.<name>" calls."""
    if name == "getitem":
        return operator.getitem
    if name == "setitem":
        return operator.setitem
    return get_attribute if name in ("T", "real", "imag") else call_method
