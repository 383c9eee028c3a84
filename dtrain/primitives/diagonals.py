"""Diagonals and triangles of matrices."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import exact_op, view_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module
from dtrain.backend.array_module import move_elements


@exact_op(takes_complex=True)
def tril(x: Array, *, diagonal: int = 0) -> OutputAndVJPs:
    """The lower triangle of the last two axes, zero elsewhere."""
    xp = array_module(x)

    def part(a: Array) -> Array:
        return move_elements(lambda words: xp.tril(words, diagonal), a)

    return part(x), (part,)


@exact_op(takes_complex=True)
def triu(x: Array, *, diagonal: int = 0) -> OutputAndVJPs:
    """The upper triangle of the last two axes, zero elsewhere."""
    xp = array_module(x)

    def part(a: Array) -> Array:
        return move_elements(lambda words: xp.triu(words, diagonal), a)

    return part(x), (part,)


@view_op
def diagonal(x: Array, *, offset: int, axis1: int, axis2: int) -> OutputAndVJPs:
    """The diagonals of the matrices in two axes, as a last axis."""
    xp = array_module(x)
    out, shape = x.diagonal(offset, axis1, axis2), x.shape
    if isinstance(out, np.ndarray):  # NumPy hands out diagonals read-only
        out.flags.writeable = x.flags.writeable

    def grad_x(g: Array) -> Array:
        full = xp.zeros(shape, g.dtype)
        view = full.diagonal(offset, axis1, axis2)
        if isinstance(view, np.ndarray):
            view.flags.writeable = True
        view[...] = g
        return full

    return out, (grad_x,)


@exact_op(takes_complex=True)
def diag_embed(x: Array, *, offset: int, axis1: int, axis2: int) -> OutputAndVJPs:
    """Matrices, in two axes of the output, with the rows of x on a diagonal."""
    xp = array_module(x)
    side = x.shape[-1] + abs(offset)
    lines = xp.arange(x.shape[-1])
    out = xp.zeros((*x.shape[:-1], side, side), x.dtype)
    out[..., lines + max(-offset, 0), lines + max(offset, 0)] = x
    return xp.moveaxis(out, (-2, -1), (axis1, axis2)), (lambda g: g.diagonal(offset, axis1, axis2),)
