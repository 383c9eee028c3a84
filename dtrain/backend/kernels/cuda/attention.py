"""Attention in tiles: memory linear in the length of the sequences; where cuDNN is installed, by
cuDNN (cudnn_attention.py)."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend.array_module import Array, where
from dtrain.backend.kernels.cuda import cudnn_attention
from dtrain.backend.kernels.cuda.compiler import for_each_block, real_dtype
from dtrain.backend.kernels.cuda.softmax import softmax
from dtrain.backend.kernels.cuda.tensor_cores import allows_tensor_float, instruction, limits
from dtrain.backend.random import RandomKey, dropout_threshold

#: The widths for which kernels are compiled; heads may be narrower.
_WIDTHS = (64, 128, 256)
_NUMBERS = "heads", "group", "t", "s", "d", "e", "causal", "mask_kind"
#: The kernels' struct How.
_HOW = np.dtype(
    [
        *((name, "i4") for name in _NUMBERS), ("threshold", "u4"),
        ("mask_steps", "i8", 4), ("scale", "f8"), ("kept", "f8"),
    ],
    align=True,
)  # fmt: skip
#: 512 MB of halves
_MANY_SCORES = 1 << 28
_NO_MASK, _MASK_OF_BOOLS, _ADDED_MASK = range(3)


class Form(NamedTuple):
    """How attention is compiled: rows of a tile, their width, and what multiplies them.

    instruction : of tensor cores, or "" for the arithmetic of threads
    """

    tile: int
    width: int
    instruction: str
    itemsize: int

    @property
    def memory(self) -> int:
        """The bytes of shared memory of a block: attention_of_keys needs most."""
        cell, per_cell, gap = max(self.itemsize, 4), 1, 1  # as in tile.cu
        if self.instruction:
            cell, per_cell, gap = 4, 4 // self.itemsize, 4
        tile, square = (self.tile * (n // per_cell + gap) * cell for n in (self.width, self.tile))
        return 4 * tile + 2 * square + self.tile * (self.tile // 8 + 1)

    @property
    def defines(self) -> tuple[str, ...]:
        """The compiler's options."""
        sizes = f"-DTILE={self.tile}", f"-DWIDTH={self.width}"
        return (*sizes, f'-DMMA="{self.instruction}"') if self.instruction else sizes


@functools.cache
def forms(kind: str, width: int, may_round: bool = False) -> tuple[Form, ...]:
    """How heads of a width may be compiled for arrays of a dtype, the best form first."""
    if not 0 < width <= _WIDTHS[-1]:
        return ()
    width = next(w for w in _WIDTHS if width <= w)
    itemsize = {"d": 8, "f": 4}.get(kind, 2)
    found = [Form(max(16, 64 * 64 // width * 4 // max(itemsize, 4)), width, "", itemsize)]
    cores = instruction(kind, may_round)
    if cores and (itemsize == 2 or width < 256):
        tile = 64 if itemsize == 2 and width < 256 else 32
        found.insert(0, Form(tile, width, cores, itemsize))
    return tuple(found)


def find_form(q: Array, v: Array) -> Form | None:
    """How attention of these queries and values is compiled; None if they have no kernel."""
    has_cores, memory = limits()
    width = max(q.shape[-1], v.shape[-1])
    for form in forms(q.dtype.char, width, allows_tensor_float()):
        if form.memory + 1024 <= memory and (has_cores or not form.instruction):
            return form
    return None


def takes(q: Array, k: Array, v: Array) -> bool:
    """Whether the kernels take these arrays.

    Without tensor cores products of halves by cuBLAS are faster, if there is memory for the scores.
    """
    form = find_form(q, v) if max(q.shape[2], k.shape[2]) < 1 << 30 else None
    if form is None or form.instruction or q.dtype.itemsize > 2:
        return form is not None
    return math.prod(q.shape[:3]) * k.shape[2] >= _MANY_SCORES


def attention(
    q: Array, k: Array, v: Array, scale: float, is_causal: bool, mask: Array | None = None,
    dropout: float = 0.0, key: RandomKey | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """softmax(q k^T scale + mask) v, and the logarithms of the softmax's sums."""
    import cupy

    (n, heads, t, _), e = q.shape, v.shape[-1]
    q, k, v = (_with_rows(x) for x in (q, k, v))
    out = cupy.empty((n, t, heads, e), q.dtype).transpose(0, 2, 1, 3)  # where layers join the heads
    log_sums = cupy.empty((n, heads, t), real_dtype(q.dtype))
    given = q, k, v, out, log_sums, scale, is_causal
    if cudnn_attention.takes(q, k, v, mask, key) and cudnn_attention.attention(*given):
        return out, log_sums
    how = _how(q, k, v, scale, is_causal, mask, dropout)
    viewed = q, k, v, out
    _launch("attention", n * heads, t, (*viewed, log_sums, mask), viewed, how, key, find_form(q, v))
    return out, log_sums


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, log_sums: Array, scale: float,
    is_causal: bool, mask: Array | None = None, dropout: float = 0.0, key: RandomKey | None = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of q, k and v; parts of one array if they have one shape, as their values have
    after a common projection."""
    import cupy

    g, q, k, v, out = (_with_rows(x) for x in (g, q, k, v, out))
    of_q, of_k, of_v = gradients = _empty_gradients(q, k, v)
    given = g, q, k, v, out, log_sums, gradients, scale, is_causal
    if cudnn_attention.takes(q, k, v, mask, key) and cudnn_attention.attention_backward(*given):
        return of_q, of_k, of_v
    alongs = cupy.empty_like(log_sums)
    how, form = _how(q, k, v, scale, is_causal, mask, dropout), find_form(q, v)
    (n, heads, t, _), (_, shared, s, _) = q.shape, k.shape
    viewed = g, q, k, v, out, of_q
    arrays = (*viewed[:5], log_sums, alongs, of_q, mask)
    _launch("attention_of_queries", n * heads, t, arrays, viewed, how, key, form)
    viewed = g, q, k, v, of_k, of_v
    arrays = (*viewed[:4], log_sums, alongs, of_k, of_v, mask)
    _launch("attention_of_keys", n * shared, s, arrays, viewed, how, key, form)
    return of_q, of_k, of_v


def _empty_gradients(q: Array, k: Array, v: Array) -> list[Array]:
    """Memory for the gradients, in which the heads of a position lie side by side."""
    import cupy

    if q.shape == k.shape == v.shape:
        n, heads, t, d = q.shape
        parts = cupy.empty((n, t, 3, heads, d), q.dtype)
        return [parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]
    shapes = [(x.shape[0], x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
    return [cupy.empty(shape, q.dtype).transpose(0, 2, 1, 3) for shape in shapes]


def _with_rows(x: Array) -> Array:
    """The array itself if the elements of its rows are neighbours, else a copy."""
    import cupy

    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else cupy.ascontiguousarray(x)


def _how(
    q: Array, k: Array, v: Array, scale: float, is_causal: bool, mask: Array | None,
    dropout: float,
) -> Any:  # fmt: skip
    """The numbers of a call that all its kernels take."""
    import cupy

    (n, heads, t, d), (_, shared, s, _), e = q.shape, k.shape, v.shape[3]
    kind, steps = _NO_MASK, (0,) * 4
    if mask is not None:
        kind = _MASK_OF_BOOLS if mask.dtype == bool else _ADDED_MASK
        strides = cupy.broadcast_to(mask, (n, heads, t, s)).strides
        steps = tuple(step // mask.itemsize for step in strides)
    threshold, kept = dropout_threshold(dropout)
    numbers = heads, heads // shared, t, s, d, e, is_causal, kind
    return np.array((*numbers, threshold, steps, scale, kept), _HOW)[()]


def _launch(
    name: str, heads: int, length: int, arrays: tuple, viewed: tuple, how: Any,
    key: RandomKey | None, form: Form | None,
) -> None:  # fmt: skip
    """Launch a kernel with a block for each tile of `length` queries or keys of each head.

    viewed : the arrays (n, heads, length, width) of which the kernel takes the steps
    """
    assert form is not None
    steps = [step // x.itemsize for x in viewed for step in x.strides[:3]]
    is_aligned = bool(form.instruction) and _is_aligned(viewed)
    defines = (*form.defines, "-DALIGNED") if is_aligned else form.defines
    if key is not None:
        defines = *defines, "-DDROPS=1"
    count = heads * -(-length // form.tile)
    drawn = np.zeros(5, np.uint64) if key is None else key
    for_each_block(
        "attention", name, count, *arrays, *steps, how, drawn, defines=defines, memory=form.memory
    )


def _is_aligned(arrays: tuple) -> bool:
    """Whether each row of the arrays is whole units of 16 bytes, and begins with one."""
    numbers = [
        number for x in arrays for number in (x.data.ptr, x.shape[-1] * x.itemsize, *x.strides[:3])
    ]
    return not any(number % 16 for number in numbers)


def causal_softmax(scores: Array, first: int = 0) -> Array:
    """softmax over the keys 0..first + i for query i, 0 for the others."""
    import cupy

    seen = cupy.tri(*scores.shape[1:], first, dtype=bool)
    zero, hidden = scores.dtype.type(0), scores.dtype.type(-np.inf)
    return softmax(scores + where(seen, zero, hidden), -1)
