"""Values of a recording that nobody but its tracer holds: their memory may be free again."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.tracing import suspended
from dtrain.jit.array_proxies import ArrayProxy
from dtrain.jit.graph import Ref

#: Smaller arrays are not worth looking for.
LARGE_BYTES = 1 << 16


def only_tracer_holds(tensor: Tensor) -> bool:
    """Whether only a tracer's three tables have a Tensor, its proxy and its array.

    A method asks it, which a comprehension over the third table calls.
    """
    # since Python 3.14 not every reference to a variable's value is counted
    known = sys.version_info < (3, 14)
    return known and _count_references(tensor) == _expected_references()


def _count_references(tensor: Tensor) -> tuple[int, int, int]:
    proxy: Any = tensor.array
    return sys.getrefcount(tensor), sys.getrefcount(proxy), sys.getrefcount(proxy.real)


@functools.cache
def _expected_references() -> tuple[int, int, int]:
    """What `_count_references` gives here in this case, with this version of Python."""
    with suspended():
        tensor = Tensor(np.zeros(1, np.float32))
    tensor.array = ArrayProxy(tensor.array, Ref(0), None)  # type: ignore[arg-type]
    tables = {0: tensor}, {0: tensor.array}, [tensor]
    del tensor
    (found,) = [_method(x) for x in tables[2]]
    return found


def _method(tensor: Tensor) -> tuple[int, int, int]:
    return _asked(tensor)


def _asked(tensor: Tensor) -> tuple[int, int, int]:
    return _count_references(tensor)
