"""Compile and launch the kernels of the `.cu` files beside this one."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.capture import ReplayedNumber, captures, current_capture
from dtrain.backend.compile_lock import one_process

_FOLDER = Path(__file__).parent
#: Family -> the threads of a block; a block of `channel` has up to 32768 elements.
_THREADS = {"channel": 512}
#: Bytes of shared memory that any block may have.
_SHARED_MEMORY = 48 << 10
#: What arrays hold -> the type that the kernels declare, and the one that they compute in.
_C_TYPES = {
    "f": ("float", "float"),
    "d": ("double", "double"),
    "e": ("float16", "float"),
    "E": ("bfloat16", "float"),
}
#: The folder of compiled kernels on disk if CUPY_CACHE_DIR is not set: CuPy's default.
_CACHE = "~/.cupy/kernel_cache"
#: philox.cu's struct Key
_KEY = np.dtype([("words", "u8", 5)])
_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(.*?\n}\n', re.DOTALL)
#: file -> what kernels use of it: it is prepended to them.
_SHARED = {
    "block.cu": re.compile("block_sum|block_max"),
    "philox.cu": re.compile("philox_block|Key"),
    "tile.cu": re.compile(r"\bTile\b"),
}


@functools.cache
def source(family: str, name: str | None = None) -> str:
    """The CUDA C++ of the kernel `name` of `<family>.cu`, of all its kernels if None."""
    text = (_FOLDER / f"{family}.cu").read_text()
    if name is not None:
        text = _without_other_kernels(text, name)
    for file, used in _SHARED.items():
        if used.search(text) and file != f"{family}.cu":
            text = _without_other_kernels((_FOLDER / file).read_text(), name) + text
    return f"#define THREADS {_threads(family)}\n" + (_FOLDER / "common.cu").read_text() + text


def _without_other_kernels(text: str, name: str | None) -> str:
    return _KERNEL.sub(lambda kernel: kernel[0] if kernel[1] == name else "", text)


def _reading(text: str, name: str, numbers: tuple[int, ...]) -> str:
    """The source with a kernel that reads some of its parameters from memory.

    numbers : their indices, counted from the last, as STEPS(x) of attention.cu is several
    """

    def rewrite(kernel: re.Match[str]) -> str:
        parameters = [part.strip() for part in kernel[1].split(",")]
        lines = ""
        for index in numbers:
            kind, _, parameter = parameters[index].rpartition(" ")
            parameters[index] = f"const {kind} *{parameter}_at"
            lines += f"    {kind} {parameter} = *{parameter}_at;\n"
        return f'extern "C" __global__ void {name}({", ".join(parameters)}) {{\n{lines}'

    return re.sub(
        rf'extern "C" __global__ void {name}\((.*?)\) {{\n', rewrite, text, flags=re.DOTALL
    )


def _threads(family: str) -> int:
    return _THREADS.get(family, 256)


def options(store: str, param: str | None = None) -> tuple[str, ...]:
    """The compiler's options for arrays and weights of dtypes, given by their characters."""
    stored, real = _C_TYPES[store]
    types = f"-DSTORE={stored}", f"-DREAL={real}", f"-DPARAM={_C_TYPES[param or store][0]}"
    return "-std=c++17", *types


@functools.cache
def _kernel(
    family: str, name: str, store: str, param: str, defines: tuple[str, ...] = (),
    memory: int = 0, numbers: tuple[int, ...] = (),
) -> Any:  # fmt: skip
    """A kernel for arrays and weights of these dtypes. Each is compiled by itself, at its first
    use, by one rank of a machine; CuPy keeps what was compiled on disk.

    numbers : the arguments that it reads from memory, see `_reading`
    """
    import cupy

    code = _reading(source(family, name), name, numbers)
    module = cupy.RawModule(code=code, options=(*options(store, param), *defines))
    with one_process(os.environ.get("CUPY_CACHE_DIR", os.path.expanduser(_CACHE))):
        kernel = module.get_function(name)
    if memory > _SHARED_MEMORY:
        kernel.max_dynamic_shared_size_bytes = memory
    return kernel


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which the kernels compute with arrays of a dtype: float32 for halves."""
    return np.dtype(np.float64 if dtype.char == "d" else np.float32)


def _launch(
    family: str, name: str, blocks: int, args: tuple, param: Array | None = None,
    defines: tuple[str, ...] = (), memory: int = 0,
) -> None:  # fmt: skip
    """Launch a kernel on the current stream; the dtype of the first argument is STORE, that of
    `param` PARAM."""
    if not blocks:
        return
    dtype = args[0].dtype
    weights = dtype.char if param is None else param.dtype.char
    given = [_argument(a, real_dtype(dtype)) for a in args]
    numbers: tuple[int, ...] = ()
    if captures and (capture := current_capture()) is not None:
        replaced = capture.replaced(given)
        if replaced is None:
            return
        numbers = tuple(
            i - len(replaced) for i, a in enumerate(replaced) if isinstance(a, ReplayedNumber)
        )
        given = [a.memory if isinstance(a, ReplayedNumber) else a for a in replaced]
    kernel = _kernel(family, name, dtype.char, weights, defines, memory, numbers)
    kernel((blocks,), (_threads(family),), tuple(given), shared_mem=memory)


def _argument(value: Any, real: np.dtype) -> Any:
    """Convert a Python number to the type that the kernels declare: long long, or REAL; None to a
    null pointer; a random key in host memory to a struct Key."""
    if value is None:
        return np.uint64(0)
    if isinstance(value, np.unsignedinteger):
        return value
    if isinstance(value, np.ndarray) and value.dtype == np.uint64:
        return value.view(_KEY)[0]
    if isinstance(value, (bool, int, np.integer)):
        return np.int64(value)
    return real.type(value) if isinstance(value, float) else value


def for_each(family: str, name: str, count: int, *args: Any, param: Array | None = None) -> None:
    """Launch a kernel whose threads share `count` elements; the first argument is an array."""
    _launch(family, name, min(-(-count // _threads(family)), 1 << 16), (*args, count), param)


def for_each_block(
    family: str, name: str, count: int, *args: Any, param: Array | None = None,
    defines: tuple[str, ...] = (), memory: int = 0,
) -> None:  # fmt: skip
    """Launch a kernel of one block for each of `count` sums; the first argument is an array.

    defines : options of the compiler, "-DNAME=value"
    memory : the bytes of a block's shared memory that the kernel declares as `extern`
    """
    _launch(family, name, min(count, 1 << 20), (*args, count), param, defines, memory)
