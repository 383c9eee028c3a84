"""Pickles for worker processes: arrays stay outside of them, to be put into shared memory.

What the program itself defines (`__main__`, local classes, lambdas) has no module that a worker
could import: cloudpickle pickles it by value.
"""

from __future__ import annotations

import io
import mmap
import pickle
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

Buffers = list[memoryview]


def pack(value: Any) -> tuple[bytes, Buffers]:
    """A pickle of `value`, and the memory of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return data, [buffer.raw() for buffer in buffers]


def pack_program(value: Any, what: str) -> tuple[bytes, Buffers, set[str]]:
    """As `pack`, for datasets and functions of the program; `what` names them in errors.

    The third part of the result is the modules that they need.

    Raises
    ------
    TypeError
        If it cannot be sent to a process.
    """
    buffers: list[pickle.PickleBuffer] = []
    file, modules = io.BytesIO(), {"dtrain"}
    try:
        _program_pickler()(file, buffers.append, modules).dump(value)
    except Exception as reason:
        raise TypeError(
            f"DataLoader: the {what} cannot be sent to worker processes: {reason}. Make it "
            "picklable (open files and connections in the worker, at the first sample), or load "
            "by threads: DataLoader(..., worker_type='thread')"
        ) from reason
    return file.getvalue(), [buffer.raw() for buffer in buffers], modules - {"__main__"}


def unpack(data: Any, buffers: list[Any]) -> Any:
    """The value of a pickle; its arrays lie in `buffers`."""
    return pickle.loads(data, buffers=buffers)


def _program_pickler() -> Callable[..., pickle.Pickler]:
    import cloudpickle

    class ProgramPickler(cloudpickle.Pickler):
        def __init__(self, file: Any, callback: Callable[[Any], Any], modules: set[str]):
            super().__init__(file, protocol=5, buffer_callback=callback)
            self._modules = modules

        def reducer_override(self, item: Any) -> Any:
            defined = item if isinstance(item, (type, FunctionType)) else type(item)
            module = item.__name__ if isinstance(item, ModuleType) else defined.__module__
            self._modules.add(str(module))
            if isinstance(item, np.memmap) and (opened := _describe_mapping(item)) is not None:
                return _open_mapping, opened
            return super().reducer_override(item)

    return ProgramPickler


def _describe_mapping(array: np.memmap) -> tuple[Any, ...] | None:
    """Where a memory-mapped array lies in its file; None if it is not one contiguous piece."""
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    if not isinstance(root.base, mmap.mmap) or not array.filename:
        return None
    order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else None
    if order is None or not array.size:
        return None
    offset = root.offset + array.ctypes.data - root.ctypes.data
    mode = "c" if root.mode == "c" else "r" if root.mode == "r" else "r+"
    return str(array.filename), array.dtype, mode, offset, array.shape, order


def _open_mapping(*where: Any) -> np.memmap:
    filename, dtype, mode, offset, shape, order = where
    return np.memmap(filename, dtype, mode, offset, shape, order)
