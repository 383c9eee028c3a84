"""Arrays joined and repeated."""

from __future__ import annotations

from itertools import accumulate

from dtrain.autograd.graph import sum_to
from dtrain.autograd.op import exact_op
from dtrain.autograd.primitive import VJP, OutputAndVJPs
from dtrain.backend import Array, array_module


@exact_op
def cat(*arrays: Array, axis: int) -> OutputAndVJPs:
    """Arrays joined along an axis."""
    xp = array_module(*arrays)
    ends = tuple(accumulate(a.shape[axis] for a in arrays))

    def part(i: int) -> VJP:
        start = 0 if i == 0 else ends[i - 1]
        index = (slice(None),) * (axis % arrays_ndim) + (slice(start, ends[i]),)
        return lambda g: g[index]

    arrays_ndim = arrays[0].ndim
    return xp.concatenate(arrays, axis), tuple(part(i) for i in range(len(ends)))


@exact_op
def repeat(x: Array, *, repeats: tuple[int, ...]) -> OutputAndVJPs:
    """The whole array laid side by side, `repeats` times along each axis."""
    xp = array_module(x)
    shape = (1,) * (len(repeats) - x.ndim) + x.shape
    split = tuple(n for pair in zip(repeats, shape) for n in pair)
    once = tuple(n for size in shape for n in (1, size))
    return xp.tile(x, repeats), (lambda g: sum_to(g.reshape(split), once).reshape(shape),)
