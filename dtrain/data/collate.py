"""Makes a batch of a list of samples (torch.utils.data.default_collate)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.nested import mapping_like
from dtrain.functions.creation import from_dlpack, from_numpy, tensor
from dtrain.functions.joining import stack


def default_collate(samples: Sequence[Any]) -> Any:
    """Stack samples into a batch (torch.utils.data.default_collate).

    Parameters
    ----------
    samples : non-empty sequence of tensors or arrays of one shape (dtrain's, NumPy's, or another
        library's with ``__dlpack__`` or ``__array__``), numbers, strings, bytes, or mappings,
        tuples and lists of them

    Returns
    -------
    Tensors (len(samples), ...) for tensors, arrays and numbers; a list of the strings; mappings
    of the first sample's type and keys, named tuples, and lists for other sequences.

    Raises
    ------
    TypeError
        For other samples, such as None.
    RuntimeError
        If sequences differ in length.
    KeyError
        If a sample lacks a key of the first.

    Examples
    --------
    >>> default_collate([(1, 2.0), (3, 4.0)])
    [tensor([1, 3]), tensor([2., 4.])]
    """
    first = samples[0]
    if isinstance(first, (str, bytes)):  # np.str_ and np.bytes_, too
        return list(samples)
    if isinstance(first, np.ndarray) and all(isinstance(x, np.ndarray) for x in samples):
        return from_numpy(np.stack(samples))
    if isinstance(first, (Tensor, np.ndarray)) or _is_foreign_array(first):
        return stack([_as_tensor(sample) for sample in samples])
    if isinstance(first, (bool, int, float)):
        return tensor(list(samples))
    if isinstance(first, (np.number, np.bool_)):
        return from_numpy(np.array([_item(sample) for sample in samples], first.dtype))
    if isinstance(first, Mapping):
        return mapping_like(
            first, {key: default_collate([sample[key] for sample in samples]) for key in first}
        )
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


def default_convert(sample: Any) -> Any:
    """Make tensors of the arrays in a sample; all else stays (torch's default_convert).

    Examples
    --------
    >>> default_convert({"x": np.ones(2), "name": "a", "label": 3})
    {'x': tensor([1., 1.], dtype=float64), 'name': 'a', 'label': 3}
    """
    if isinstance(sample, (str, bytes, Tensor)):
        return sample
    if isinstance(sample, (np.number, np.bool_)):
        return tensor(sample)
    if isinstance(sample, np.ndarray) or _is_foreign_array(sample):
        return _as_tensor(sample)
    if isinstance(sample, Mapping):
        return mapping_like(sample, {k: default_convert(v) for k, v in sample.items()})
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*map(default_convert, sample))
    if isinstance(sample, (list, tuple)):
        return [default_convert(part) for part in sample]
    return sample


def make_empty(batch: Any) -> Any:
    """`batch` with 0 samples: tensors and lists of samples are cut, the structure stays.

    Objects of other kinds stay as they are: an empty microbatch has the weight 0 in every mean.
    """
    if isinstance(batch, (Tensor, np.ndarray)):
        return batch[:0] if batch.ndim else batch
    if isinstance(batch, Mapping):
        return mapping_like(batch, {key: make_empty(value) for key, value in batch.items()})
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(make_empty, batch))
    if isinstance(batch, (list, tuple)):
        nested = (Tensor, np.ndarray, Mapping, list, tuple)
        if all(isinstance(part, nested) for part in batch):
            return type(batch)(make_empty(part) for part in batch)
        return type(batch)()  # one element a sample, such as strings
    return batch


def _is_foreign_array(sample: Any) -> bool:
    """Whether this is a tensor or an array of another library."""
    return not isinstance(sample, np.generic) and (
        hasattr(sample, "__dlpack__") or hasattr(sample, "__array__")
    )


def _as_tensor(sample: Any) -> Tensor:
    if isinstance(sample, Tensor):
        return sample
    if isinstance(sample, np.ndarray):
        return from_numpy(sample)
    if hasattr(sample, "__dlpack__"):
        return from_dlpack(sample)
    if hasattr(sample, "__array__"):
        return from_numpy(np.asarray(sample))
    raise TypeError(
        f"default_collate: the samples of a batch differ in kind: expected a tensor or an array, "
        f"got {type(sample).__name__}"
    )


def _item(sample: Any) -> Any:
    """A sample that is one number, as a number."""
    if isinstance(sample, (bool, int, float, np.number, np.bool_)):
        return sample
    raise TypeError(
        "default_collate: the samples of a batch differ in kind: expected a number, got "
        f"{type(sample).__name__}"
    )
