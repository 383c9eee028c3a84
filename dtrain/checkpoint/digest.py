"""One number for a state: equal exactly when all bits are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import to_host


def digest(state: Mapping[str, Tensor]) -> str:
    """The sha256, as 64 hexadecimal digits, of the names, dtypes, shapes and bytes of tensors.

    >>> import dtrain
    >>> digest({"w": dtrain.zeros(2)}) == digest({"w": dtrain.zeros(2)})
    True
    """
    hasher = hashlib.sha256()
    for name, tensor in state.items():
        array = np.asarray(to_host(tensor.array), order="C")
        hasher.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hasher.update(array.tobytes())
    return hasher.hexdigest()
