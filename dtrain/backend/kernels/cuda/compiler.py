"""Compile and launch the kernels of the `.cu` files beside this one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parent
_THREADS = 256  # of a block; common.cu has the same number
_C_TYPES = {"f": "float", "d": "double"}


def source(family: str) -> str:
    """The CUDA C++ of `<family>.cu`, which is compiled with -DREAL=float or -DREAL=double."""
    return (_FOLDER / "common.cu").read_text() + (_FOLDER / f"{family}.cu").read_text()


@functools.cache
def _module(family: str, dtype: str) -> Any:
    """The compiled kernels of a family, for a dtype."""
    import cupy

    options = ("-std=c++17", f"-DREAL={_C_TYPES[dtype]}")
    return cupy.RawModule(code=source(family), options=options)


def _launch(family: str, name: str, blocks: int, args: tuple) -> None:
    """Launch a kernel on the current stream; the dtype of the first argument is REAL."""
    if not blocks:
        return
    kernel = _module(family, args[0].dtype.char).get_function(name)
    kernel((blocks,), (_THREADS,), tuple(_argument(a, args[0].dtype) for a in args))


def _argument(value: Any, dtype: np.dtype) -> Any:
    """Convert a Python number to the type that the kernels declare: long long, or REAL."""
    if isinstance(value, (bool, int, np.integer)):
        return np.int64(value)
    return dtype.type(value) if isinstance(value, float) else value


def for_each(family: str, name: str, count: int, *args: Any) -> None:
    """Launch a kernel whose threads share `count` elements; the first argument is an array."""
    _launch(family, name, min(-(-count // _THREADS), 1 << 16), (*args, count))


def for_each_block(family: str, name: str, count: int, *args: Any) -> None:
    """Launch a kernel of one block for each of `count` sums; the first argument is an array."""
    _launch(family, name, min(count, 1 << 20), (*args, count))
