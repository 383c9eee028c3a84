"""The rows of the table for what gives elements another shape or order, joins or repeats them."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.cases.case import ANY, MATRIX, Case

TRIPLES = [[(2, 3, 4)], [(2, 0, 4)]]
VECTORS = [[(3,), (2,)], [(0,), (2,)]]


def diag_embed(x, offset=0):
    out = np.zeros((*x.shape[:-1], *[x.shape[-1] + abs(offset)] * 2))
    for i in range(x.shape[-1]):
        out[..., i + max(-offset, 0), i + max(offset, 0)] = x[..., i]
    return out


def block_diag(*blocks):
    blocks = [np.atleast_2d(b) for b in blocks]
    out = np.zeros(np.sum([b.shape for b in blocks], 0))
    row = column = 0
    for b in blocks:
        out[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return out


def padded(pairs, mode, **how):
    return lambda x: np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode, **how)


def pad(widths, mode="constant", value=None):
    return lambda t, x: t.nn.functional.pad(x, widths, mode, value)


ARRANGED = [
    Case("ravel", ANY, np.ravel),
    Case("unflatten", [[(2, 12)]], lambda x: x.reshape(2, 3, 4), lambda t, x: x.unflatten(-1, (3, -1))),
    Case("unflatten", [[(0, 6)]], lambda x: x.reshape(0, 2, 3), lambda t, x: t.unflatten(x, 1, (2, 3)), "empty"),
    *(
        Case(name, TRIPLES, lambda x: np.moveaxis(x, (0, -1), (1, 0)),
             lambda t, x, name=name: getattr(t, name)(x, (0, -1), (1, 0)))
        for name in ("movedim", "moveaxis")
    ),
    Case("movedim", TRIPLES, lambda x: np.moveaxis(x, 0, -1), lambda t, x: x.movedim(0, -1), "one"),
    Case("swapaxes", TRIPLES, lambda x: x.swapaxes(0, -1), lambda t, x: x.swapaxes(0, -1)),
    Case("swapdims", TRIPLES, lambda x: x.swapaxes(1, 2), lambda t, x: t.swapdims(x, 1, 2)),
    Case("broadcast_to", [[(3, 1)], [()], [(0, 1)]], lambda x: np.broadcast_to(x, (2, *(x.shape or (3, 1))[:1], 4)),
         lambda t, x: t.broadcast_to(x, (2, *(tuple(x.shape) or (3, 1))[:1], 4))),
    Case("rot90", TRIPLES, np.rot90),
    *(
        Case("rot90", TRIPLES, lambda x, k=k: np.rot90(x, k, (2, 0)), lambda t, x, k=k: x.rot90(k, (-1, 0)), f"k={k}")
        for k in (-1, 0, 2)
    ),
    Case("fliplr", TRIPLES, np.fliplr),
    Case("flipud", TRIPLES, np.flipud),
    Case("diagonal", [[(3, 4)], [(2, 3, 4)], [(0, 3)]], np.diagonal),
    Case("diagonal", [[(2, 3, 4)]], lambda x: x.diagonal(-1, 1, 2), lambda t, x: x.diagonal(-1, dim1=-2, dim2=-1), "offset"),
    Case("diag", [[(3,)], [(3, 4)], [(0,)]], np.diag),
    Case("diag", [[(3,)], [(3, 4)]], lambda x: np.diag(x, -1), lambda t, x: x.diag(-1), "offset"),
    Case("diag_embed", [[(3,)], [(2, 3)], [(2, 0)]], diag_embed),
    Case("diag_embed", [[(2, 3)]], lambda x: np.moveaxis(diag_embed(x, 2), 0, -1),
         lambda t, x: t.diag_embed(x, 2, dim1=0, dim2=1), "offset and dims"),
    Case("diag_embed", [[(2, 3)]], lambda x: diag_embed(x, -1), lambda t, x: x.diag_embed(offset=-1), "below"),
    Case("diagflat", [[(3,)], [(2, 2)], [()], [(0,)]], np.diagflat),
    Case("diagflat", [[(2,)]], lambda x: np.diagflat(x, -2), lambda t, x: x.diagflat(offset=-2), "offset"),
    Case("adjoint", [[(3, 4)], [(2, 3, 4)]], lambda x: x.swapaxes(-1, -2)),
    Case("as_strided", [[(12,)]], lambda x: np.array([[x[3], x[5]], [x[4], x[6]], [x[5], x[7]]]),
         lambda t, x: x.clone().as_strided((3, 2), (1, 2), 3)),
    Case("unfold", [[(7, 2)]], lambda x: sliding_window_view(x, 3, 0)[::2], lambda t, x: x.unfold(0, 3, 2)),
    Case("unfold", [[(2, 5)]], lambda x: sliding_window_view(x, 2, 1), lambda t, x: x.unfold(-1, 2, 1), "overlap"),
    Case("F.pad", MATRIX, padded([(1, 2)], "constant"), pad((1, 2))),
    Case("F.pad", [[(3, 4)], [(2, 3, 4)]], padded([(0, 1), (2, 3)], "constant", constant_values=5), pad((2, 3, 0, 1), value=5), "value"),
    Case("F.pad", MATRIX, lambda x: np.pad(x[:, 1:], ((0, 0), (0, 1))), pad((-1, 1)), "negative"),
    *(
        Case("F.pad", [[(1, 2, 4)], [(2, 4)]], padded([(2, 1)], numpy_mode), pad((2, 1), mode), mode)
        for mode, numpy_mode in {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}.items()
    ),
    *(
        Case("F.pad", [[(1, 2, 3, 4)]], padded([(0, 2), (1, 1)], numpy_mode), pad((1, 1, 0, 2), mode), f"{mode} 2-d")
        for mode, numpy_mode in {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}.items()
    ),
]  # fmt: skip

JOINED = [
    *(Case(name, [[(2, 3), (1, 3)]], lambda *x: np.concatenate(x), lambda t, *x, name=name: getattr(t, name)(x))
      for name in ("concat", "concatenate")),
    *(
        Case(name, samples, lambda *x, name=name: getattr(np, name)(x), lambda t, *x, name=name: getattr(t, name)(x))
        for name, samples in {
            "hstack": [[(2, 3), (2, 1)], [(3,), (2,)], [(), ()]],
            "vstack": [[(2, 3), (1, 3)], [(3,), (3,)], [(), ()]],
            "dstack": [[(2, 3, 1), (2, 3, 2)], [(2, 3), (2, 3)], [(3,), (3,)]],
            "column_stack": [[(2, 3), (2, 1)], [(3,), (3,)], [(3,), (3, 2)]],
        }.items()
    ),
    *(Case(f"atleast_{n}d", [[()], [(3,)], [(2, 3)], [(2, 0, 1)]], getattr(np, f"atleast_{n}d")) for n in (1, 2, 3)),
    Case("atleast_2d", [[(), (3,)]], lambda *x: [np.atleast_2d(a) for a in x], label="several"),
    Case("row_stack", [[(2, 3), (1, 3)], [(3,), (3,)]], lambda *x: np.vstack(x), lambda t, *x: t.row_stack(x)),
    Case("block_diag", [[(2, 3), (3,), (), (2, 0), (1, 1)]], block_diag),
    Case("broadcast_shapes", [[(2, 1), (3,)]], lambda x, y: np.array(np.broadcast_shapes(x.shape, y.shape)),
         lambda t, x, y: t.tensor(t.broadcast_shapes(x.shape, y.shape)), differentiable=False),
    Case("broadcast_tensors", [[(2, 1), (3,), ()], [(0, 1), (3,)]], np.broadcast_arrays),
    Case("meshgrid", VECTORS, lambda *x: np.meshgrid(*x, indexing="ij"), lambda t, *x: t.meshgrid(*x, indexing="ij")),
    Case("meshgrid", [[(3,), (2,), (4,)]], lambda *x: np.meshgrid(*x), lambda t, *x: t.meshgrid(x, indexing="xy"), "xy"),
    Case("cartesian_prod", VECTORS, lambda *x: np.stack(np.meshgrid(*x, indexing="ij"), -1).reshape(-1, 2)),
    Case("combinations", [[(4,)]], lambda x: np.array(list(itertools.combinations(x, 2)))),
    Case("combinations", [[(3,)]], lambda x: np.array(list(itertools.combinations_with_replacement(x, 3))),
         lambda t, x: t.combinations(x, 3, True), "with replacement"),
    Case("tensor_split", [[(5, 2)]], lambda x: np.array_split(x, 3), lambda t, x: t.tensor_split(x, 3)),
    Case("tensor_split", [[(2, 5)]], lambda x: np.array_split(x, [1, 4, 9], 1), lambda t, x: x.tensor_split((1, 4, 9), dim=-1), "indices"),
    *(
        Case(name, [[(2, 4, 6)]], lambda x, name=name: getattr(np, name)(x, 2), lambda t, x, name=name: getattr(t, name)(x, 2))
        for name in ("hsplit", "vsplit", "dsplit")
    ),
    Case("hsplit", [[(5,)], [(2, 5)]], lambda x: np.hsplit(x, [1, 3]), lambda t, x: x.hsplit([1, 3]), "indices"),
    Case("split_with_sizes", [[(2, 5)]], lambda x: np.split(x, [1, 1], 1), lambda t, x: t.split_with_sizes(x, [1, 0, 4], 1)),
    Case("tile", [[(2, 3)], [()]], lambda x: np.tile(x, (2, 1, 2)), lambda t, x: t.tile(x, (2, 1, 2))),
    Case("tile", [[(2, 3)]], lambda x: np.tile(x, 2), lambda t, x: x.tile(2), "fewer dims"),
    Case("repeat_interleave", [[(2, 3)], [()], [(0, 2)]], lambda x: x.repeat(2), lambda t, x: x.repeat_interleave(2)),
    Case("repeat_interleave", [[(2, 3)]], lambda x: x.repeat(3, 1), lambda t, x: t.repeat_interleave(x, 3, dim=-1), "dim"),
    Case("repeat_interleave", [[(3, 2)]], lambda x: x.repeat([2, 0, 1], 0),
         lambda t, x: t.repeat_interleave(x, t.tensor([2, 0, 1]), dim=0), "one number each"),
    Case("cat", [[(2, 3), (0,)]], lambda x, y: x, lambda t, *x: t.cat(x, 1), "nothing"),
]  # fmt: skip

MORE_SHAPES = [*ARRANGED, *JOINED]
