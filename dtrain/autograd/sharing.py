"""Whether the array of a gradient has one owner, so that a leaf can keep it without a copy."""

from __future__ import annotations

import sys

import numpy as np

from dtrain.backend import Array


def is_unshared(array: Array) -> bool:
    """Whether nothing but the caller, and its caller, has this array, nor a view of it; the array
    is contiguous and owns its memory."""
    return sys.getrefcount(array) == _REFERENCES and array.base is None and array.flags.carray


def _count_references() -> int:
    """What `sys.getrefcount` gives in `is_unshared` if only these two have the array."""

    def count(array: Array) -> int:
        return sys.getrefcount(array)

    def caller(array: Array) -> int:
        return count(array)

    array = np.empty(0)
    return caller(array)


_REFERENCES = _count_references()
