"""Makes the batch of a microbatch: takes its samples from the dataset and collates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend.nested import map_nested
from dtrain.data.collate import default_collate, default_convert, make_empty
from dtrain.data.dataset import TensorDataset
from dtrain.data.keyed_random import Key, SampleLoader
from dtrain.functions.creation import from_numpy


class BatchTask(NamedTuple):
    """The samples of one batch, and the key of their random numbers."""

    indices: np.ndarray  # (n,) int64, or object for other indices, such as keys
    key: Key
    is_empty: bool = False  # a batch of 0 samples is made, with the shapes of these samples

    def describe(self) -> str:
        """The samples, for a message.

        >>> BatchTask(np.arange(9), Key(0, 0, 0)).describe()
        'samples [0, 1, 2, 3, ... 8]'
        """
        listed = self.indices.tolist()
        shown = [repr(i) for i in (listed if len(listed) < 6 else listed[:4])]
        return f"samples [{', '.join(shown)}{f', ... {listed[-1]!r}' if len(listed) > 5 else ''}]"


@runtime_checkable
class _Pinnable(Protocol):
    def pin_memory(self) -> Any: ...


def pin_batch(batch: Any) -> Any:
    """The batch in pinned host memory: its tensors, and its objects with a method `pin_memory`."""

    def pin(item: Any) -> Any:
        return item if isinstance(item, Tensor) and item.is_cuda else item.pin_memory()

    return map_nested(batch, _Pinnable, pin)


class BatchMaker:
    """Makes the batches of a loader, in the program's thread, or in a worker.

    Parameters
    ----------
    batch_size, collate_fn : the loader's
    """

    def __init__(self, batch_size: int | None, collate_fn: Callable[[list[Any]], Any] | None):
        self._by_samples = batch_size is None
        self.collate_fn: Callable[[Any], Any] | None = collate_fn
        self.samples: SampleLoader = SampleLoader()

    def make(self, source: Any, task: BatchTask, beside: bool = False) -> Any:
        """The batch of ``source[i] for i in task.indices``.

        With `beside` other threads load meanwhile, and it may raise a SharedStateError.
        """
        if task.is_empty:
            return make_empty(self._make(source, task, beside))
        return self._make(source, task, beside)

    def _make(self, source: Any, task: BatchTask, beside: bool) -> Any:
        integers = task.indices.dtype == np.int64
        whole_rows = isinstance(source, TensorDataset) and integers and not self._by_samples
        if self.collate_fn is None and whole_rows:
            return _take_rows(source, task.indices)
        load = self.samples.load_beside if beside else self.samples.load
        listed = task.indices.tolist()
        if self._by_samples:
            convert = self.collate_fn or default_convert
            return load(source.__getitem__, listed, lambda samples: convert(samples[0]), task.key)
        collate = self.collate_fn or default_collate
        if hasattr(source, "__getitems__"):
            return load(
                source.__getitems__, [listed], lambda batches: collate(batches[0]), task.key
            )
        return load(source.__getitem__, listed, collate, task.key)


def _take_rows(source: TensorDataset, indices: np.ndarray) -> list[Tensor]:
    """``list(source[indices])``, without an operation for each tensor where none is recorded."""
    arrays = [tensor.array for tensor in source.tensors if not tensor.requires_grad]
    is_plain = type(source) is TensorDataset and len(arrays) == len(source.tensors)
    if is_plain and all(type(array) is np.ndarray and array.size for array in arrays):
        return [wrap(array.take(indices, 0)) for array in arrays]
    return list(source[from_numpy(indices)])
