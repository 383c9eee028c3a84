"""The sha256 of a state: equal if and only if all bits are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import to_host


def digest(state: Mapping[str, Tensor]) -> str:
    """Hash the names, dtypes, shapes and bytes of tensors.

    Parameters
    ----------
    state : mapping of names to tensors on any device, as ``model.state_dict()``

    Returns
    -------
    str
        The sha256 as 64 hexadecimal digits. -0.0 and 0.0 differ, and so does another order of
        the names.

    Examples
    --------
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
