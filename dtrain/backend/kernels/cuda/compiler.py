"""Compiling and launching the kernels of the `.cu` files beside this one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parent
_THREADS = 256  # those of a block; the same number is in common.cu
_C_TYPES = {"f": "float", "d": "double"}


def source(family: str) -> str:
    """The CUDA C++ of a family of kernels, for -DREAL=float or double."""
    return (_FOLDER / "common.cu").read_text() + (_FOLDER / f"{family}.cu").read_text()


@functools.cache
def _module(family: str, dtype: str) -> Any:
    import cupy

    options = ("-std=c++17", f"-DREAL={_C_TYPES[dtype]}")
    return cupy.RawModule(code=source(family), options=options)


def _launch(family: str, name: str, blocks: int, args: tuple) -> None:
    if not blocks:
        return
    kernel = _module(family, args[0].dtype.char).get_function(name)
    kernel((blocks,), (_THREADS,), tuple(_argument(a, args[0].dtype) for a in args))


def _argument(value: Any, dtype: np.dtype) -> Any:
    """Numbers as the kernels declare them: long long, or REAL."""
    if isinstance(value, (bool, int, np.integer)):
        return np.int64(value)
    return dtype.type(value) if isinstance(value, float) else value


def for_each(family: str, name: str, count: int, *args: Any) -> None:
    """Launch a kernel whose threads share `count` elements; the first argument is an array."""
    _launch(family, name, min(-(-count // _THREADS), 1 << 16), (*args, count))


def for_each_block(family: str, name: str, count: int, *args: Any) -> None:
    """Launch a kernel of which a whole block works on each of `count` sums."""
    _launch(family, name, min(count, 1 << 20), (*args, count))
