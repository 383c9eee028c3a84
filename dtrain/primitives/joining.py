"""Arrays joined and repeated."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from dtrain.autograd.gradient_array import sum_to
from dtrain.autograd.op import exact_op
from dtrain.autograd.primitive import VJP, OutputAndVJPs
from dtrain.backend import Array, array_module


@exact_op(takes_complex=True)
def cat(*arrays: Array, axis: int) -> OutputAndVJPs:
    """Arrays joined along an axis."""
    xp = array_module(*arrays)
    before = (slice(None),) * (axis % arrays[0].ndim)
    starts = accumulate([a.shape[axis] for a in arrays], initial=0)
    vjps = [_part((*before, slice(start, end))) for start, end in pairwise(starts)]
    return xp.concatenate(arrays, axis), vjps


@exact_op(takes_complex=True)
def stack(*arrays: Array, axis: int) -> OutputAndVJPs:
    """Arrays of one shape joined along a new axis; axis: not negative."""
    xp = array_module(*arrays)
    before = (slice(None),) * axis
    if axis or not isinstance(arrays[0], np.ndarray):
        new = (*before, None)
        out = xp.concatenate([a[new] for a in arrays], axis)
    else:
        out = np.array(arrays)
    return out, [_part((*before, i)) for i in range(len(arrays))]


def _part(index: tuple[Any, ...]) -> VJP:
    return lambda g: g[index]


@exact_op(takes_complex=True)
def repeat(x: Array, *, repeats: tuple[int, ...]) -> OutputAndVJPs:
    """The whole array laid side by side, `repeats` times along each axis."""
    xp = array_module(x)
    shape = (1,) * (len(repeats) - x.ndim) + x.shape
    split = tuple(n for pair in zip(repeats, shape) for n in pair)
    once = tuple(n for size in shape for n in (1, size))
    return xp.tile(x, repeats), (lambda g: sum_to(g.reshape(split), once).reshape(shape),)
