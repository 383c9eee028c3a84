"""Makes a batch of a list of samples (torch.utils.data.default_collate)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions.creation import from_numpy, tensor
from dtrain.functions.joining import stack


def default_collate(samples: Sequence[Any]) -> Any:
    """Stack samples into a batch (torch.utils.data.default_collate).

    Parameters
    ----------
    samples : non-empty sequence of tensors or arrays of one shape, numbers, strings, or
        mappings, tuples and lists of them

    Returns
    -------
    Tensors (len(samples), ...) for tensors, arrays and numbers; a list of the strings; mappings
    and named tuples with the same keys, and lists for other sequences.

    Raises
    ------
    TypeError
        For other samples.
    RuntimeError
        If sequences differ in length.

    Examples
    --------
    >>> default_collate([(1, 2.0), (3, 4.0)])
    [tensor([1, 3]), tensor([2., 4.])]
    """
    first = samples[0]
    if isinstance(first, Tensor):
        return stack(samples)
    if isinstance(first, np.ndarray):
        return from_numpy(np.stack(samples))
    if isinstance(first, (bool, int, float, np.generic)):
        return tensor(np.array(samples)) if isinstance(first, np.generic) else tensor(list(samples))
    if isinstance(first, str):
        return list(samples)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(part) for part in zip(*samples)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in samples):
            raise RuntimeError("default_collate: the samples of a batch differ in length")
        return [default_collate(part) for part in zip(*samples)]
    raise TypeError(
        "default_collate: expected tensors, arrays, numbers, strings, mappings or sequences, got "
        f"{type(first).__name__}; pass DataLoader(collate_fn=...)"
    )
