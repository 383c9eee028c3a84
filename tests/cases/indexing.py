"""The rows of the table for reading and writing by index and by mask."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

PLACES = np.array([[0, 2, 1], [1, 1, 0]])
ROWS = [2, 0, 2]


def scattered(x, values, dim=1, places=PLACES, write=None):
    """x with values at places along dim, by loops."""
    out = np.array(x)
    values = np.broadcast_to(values, np.broadcast_shapes(np.shape(values), places.shape))
    for at in np.ndindex(places.shape):
        to = (*at[:dim], places[at], *at[dim + 1 :])
        out[to] = values[at] if write is None else write(out[to], values[at])
    return out


def put(x, index, values, add=False):
    out = np.array(x)
    if add:
        np.add.at(out, index, values)
    else:
        out[index] = values
    return out


def first(x, mask, source):
    out = np.array(x)
    out[mask] = source.ravel()[: mask.sum()]
    return out


def reduced(x, src, how, include_self):
    """scatter_reduce along dimension 1, by loops."""
    out = np.array(x)
    for i, row in enumerate(x):
        for j, own in enumerate(row):
            found = [s for s, k in zip(src[i], PLACES[i]) if k == j]
            if found:
                out[i, j] = how(([own] if include_self else []) + found)
    return out


def slices_reduced(x, src, how, include_self):
    """index_reduce along dimension 0, by loops."""
    out = np.array(x)
    for place in set(ROWS):
        found = [s for s, k in zip(src, ROWS) if k == place]
        out[place] = how(([x[place]] if include_self else []) + found, axis=0)
    return out


GATHERED = [
    Case("take", [[(2, 4)]], lambda x: x.ravel()[[[0, 7], [3, 0]]], lambda t, x: x.take(t.tensor([[0, 7], [3, 0]]))),
    Case("take_along_dim", [[(2, 3)]], lambda x: np.take_along_axis(x, PLACES, 1),
         lambda t, x: t.take_along_dim(x, t.tensor(PLACES), dim=1)),
    Case("take_along_dim", [[(2, 4)]], lambda x: np.take_along_axis(x, np.array([[3, 0]]), 1),
         lambda t, x: x.take_along_dim(t.tensor([[3, 0]]), 1), "broadcast"),
    Case("take_along_dim", [[(2, 3)]], lambda x: x.ravel()[PLACES.ravel()], lambda t, x: x.take_along_dim(t.tensor(PLACES)), "flat"),
    Case("gather", [[(3,)]], lambda x: x[2], lambda t, x: x.gather(0, t.tensor(2)), "0-d index"),
    Case("gather", [[(3, 4)]], lambda x: x[:0], lambda t, x: x.gather(1, t.tensor(np.zeros((0, 4), np.int64))), "empty"),
    Case("index_select", [[()]], np.copy, lambda t, x: x.index_select(0, t.tensor(0)), "0-d"),
    Case("select", [[(2, 3, 4)]], lambda x: x[:, -1], lambda t, x: t.select(x, 1, -1)),
    Case("masked_select", [[(2, 3), (2, 3)], [(2, 1), (3,)], [(), ()], [(0, 3), (3,)]],
         lambda x, m: np.broadcast_arrays(x, m)[0][np.broadcast_to(m > 0, np.broadcast_shapes(x.shape, m.shape))],
         lambda t, x, m: x.masked_select(m > 0)),
    Case("nonzero", [[(2, 3)], [(3,)], [()], [(0, 2)]], lambda x: np.argwhere(x > 0), lambda t, x: (x > 0).nonzero(), differentiable=False),
    Case("nonzero", [[(2, 3)], [(0, 2)]], lambda x: np.nonzero(x > 0), lambda t, x: t.nonzero(x > 0, as_tuple=True), "as_tuple", differentiable=False),
    Case("where", [[(2, 3)]], lambda x: np.nonzero(x > 0), lambda t, x: t.where(x > 0), "alone", differentiable=False),
    Case("where", [[(2, 3), (3,)]], lambda x, y: np.where(x > 0, x, y), lambda t, x, y: x.where(x > 0, y), "method"),
    Case("argwhere", [[(2, 3)], [(0, 2)]], lambda x: np.argwhere(x > 0), lambda t, x: t.argwhere(x > 0), differentiable=False),
]  # fmt: skip

WRITTEN = [
    Case("index_add", [[(3, 2), (3, 2)]], lambda x, y: put(x, ROWS, y, add=True), lambda t, x, y: x.index_add(0, t.tensor(ROWS), y)),
    Case("index_add", [[(2, 3), (2, 3)]], lambda x, y: put(x, (slice(None), ROWS), -2 * y, add=True),
         lambda t, x, y: t.index_add(x, -1, t.tensor(ROWS), y, alpha=-2), "alpha"),
    Case("index_copy", [[(2, 3), (2, 2)]], lambda x, y: put(x, (slice(None), [2, 0]), y),
         lambda t, x, y: x.index_copy(1, t.tensor([2, 0]), y)),
    Case("index_fill", [[(2, 3)]], lambda x: put(x, (slice(None), ROWS), 7), lambda t, x: x.index_fill(1, t.tensor(ROWS), 7)),
    Case("index_fill", [[(2, 3), ()]], lambda x, v: put(x, [1], v), lambda t, x, v: t.index_fill(x, 0, t.tensor([1]), v), "tensor"),
    Case("index_put", [[(3, 2), (2,)]], lambda x, y: put(x, ([2, 0], [1, 1]), y),
         lambda t, x, y: x.index_put((t.tensor([2, 0]), t.tensor([1, 1])), y)),
    Case("index_put", [[(3, 2), (3, 2)], [(3, 2), (2,)]], lambda x, y: put(x, ROWS, y, add=True),
         lambda t, x, y: t.index_put(x, (t.tensor(ROWS),), y, accumulate=True), "accumulate"),
    Case("index_put", [[(2, 3), ()]], lambda x, y: np.where(x > 0, y, x), lambda t, x, y: x.index_put((x > 0,), y), "mask"),
    Case("scatter", [[(2, 4)]], lambda x: scattered(x, 7.0), lambda t, x: x.scatter(1, t.tensor(PLACES), 7.0)),
    Case("scatter", [[(2, 4), (2, 2)]], lambda x, y: scattered(x, y, places=PLACES[:, 1:] * [[1, 1], [2, 1]]),
         lambda t, x, y: t.scatter(x, -1, t.tensor(PLACES[:, 1:] * [[1, 1], [2, 1]]), y), "src"),
    Case("scatter", [[(2, 4)]], lambda x: scattered(x, 7.0), lambda t, x: x.scatter(1, t.tensor(PLACES), value=7.0), "value"),
    Case("scatter_add", [[(2, 4), (2, 3)]],
         lambda x, y: scattered(x, y, write=lambda a, b: a + b), lambda t, x, y: x.scatter_add(1, t.tensor(PLACES), y)),
    Case("scatter_add", [[(2, 3), (4, 5)]],  # PyTorch's backward wants src in the shape of the index
         lambda x, y: scattered(x, y[:2, :3], write=lambda a, b: a + b), lambda t, x, y: x.scatter_add(1, t.tensor(PLACES), y),
         "part of src", in_torch=False),
    Case("scatter_add", [[(3, 3), (2, 3)]], lambda x, y: scattered(x, y, 0, write=lambda a, b: a + b),
         lambda t, x, y: t.scatter_add(x, 0, t.tensor(PLACES), y), "dim=0"),
    *(
        Case("scatter", [[(2, 3), (2, 3)]], lambda x, y, write=write: scattered(x, y, write=write),
             lambda t, x, y, how=how: x.detach().scatter(1, t.tensor(PLACES), y.detach(), reduce=how), how, differentiable=False, in_torch=False)
        for how, write in {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b}.items()
    ),
    *(
        Case("scatter_reduce", [[(2, 4), (2, 3)]],
             lambda x, y, how=how, own=own: reduced(x, y, how, own),
             lambda t, x, y, name=name, own=own: x.scatter_reduce(1, t.tensor(PLACES), y, name, include_self=own),
             f"{name} include_self={own}", smooth=False)
        for name, how in {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}.items()
        for own in (True, False)
    ),
    *(
        Case("index_reduce", [[(3, 2), (3, 2)]], lambda x, y, how=how, own=own: slices_reduced(x, y, how, own),
             lambda t, x, y, name=name, own=own: x.index_reduce(0, t.tensor(ROWS), y, name, include_self=own),
             f"{name} include_self={own}", smooth=False, in_torch=False)  # which warns of it
        for name, how in {"prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}.items()
        for own in (True, False)
    ),
    Case("put", [[(2, 3), (2,)]], lambda x, y: put(x.ravel(), [5, 0], y).reshape(2, 3), lambda t, x, y: x.put(t.tensor([-1, 0]), y)),
    Case("put", [[(2, 3), (3,)]], lambda x, y: put(x.ravel(), [4, 0, 4], y, add=True).reshape(2, 3),
         lambda t, x, y: t.put(x, t.tensor([4, 0, 4]), y, accumulate=True), "accumulate"),
    Case("select_scatter", [[(2, 3), (2,)]], lambda x, y: put(x, (slice(None), -1), y), lambda t, x, y: x.select_scatter(y, 1, -1)),
    Case("slice_scatter", [[(2, 5), (2, 2)]], lambda x, y: put(x, (slice(None), slice(1, 5, 3)), y), lambda t, x, y: t.slice_scatter(x, y, 1, 1, 5, 3)),
    Case("diagonal_scatter", [[(2, 4, 3), (4, 2)]], lambda x, y: put(x, ([0, 1], slice(None), [1, 2]), y.T),
         lambda t, x, y: x.diagonal_scatter(y, 1, 0, 2)),
    Case("masked_scatter", [[(2, 3), (2, 3), (2, 3)], [(2, 3), (3,), (6,)]],
         lambda x, m, y: first(x, np.broadcast_to(m > 0, x.shape), y), lambda t, x, m, y: x.masked_scatter(m > 0, y)),
]  # fmt: skip

BOUNDARIES = np.array([-1.0, 0.0, 0.5, 1.0])


def searched(rows, values, side):
    return np.stack([np.searchsorted(r, v, side) for r, v in zip(np.sort(rows), values)])


LOOKED_UP = [
    Case("bucketize", [[(2, 3)], [()], [(0,)]], lambda x: np.searchsorted(BOUNDARIES, np.round(x * 2) / 2),
         lambda t, x: t.bucketize(t.round(x * 2) / 2, t.tensor(BOUNDARIES).to(x.dtype)), differentiable=False),
    Case("bucketize", [[(2, 3)]], lambda x: np.searchsorted(BOUNDARIES, np.round(x * 2) / 2, "right"),
         lambda t, x: t.bucketize(t.round(x * 2) / 2, t.tensor(BOUNDARIES).to(x.dtype), right=True), "right", differentiable=False),
    *(
        Case("searchsorted", [[(2, 4), (2, 3)]], lambda r, v, side=side: searched(r, v, side),
             lambda t, r, v, side=side: t.searchsorted(t.sort(r)[0].detach(), v.detach().contiguous(), side=side), side, differentiable=False)
        for side in ("left", "right")
    ),
    Case("unravel_index", [[(2, 3)]], lambda x: np.unravel_index(np.floor(x * 3 + 6).astype(int), (3, 4)),
         lambda t, x: t.unravel_index(t.floor(x.detach() * 3 + 6).long(), (3, 4)), differentiable=False),
    Case("F.one_hot", [[(2, 3)], [()]], lambda x: np.eye(5, dtype=np.int64)[np.floor(x + 2).astype(int)],
         lambda t, x: t.nn.functional.one_hot(t.floor(x.detach() + 2).long(), 5), differentiable=False),
    Case("F.one_hot", [[(2, 3)]], lambda x: np.eye(3, dtype=np.int64)[PLACES],
         lambda t, x: t.nn.functional.one_hot(t.tensor(PLACES)), "no number", differentiable=False),
]  # fmt: skip

INDEXING = [*GATHERED, *WRITTEN, *LOOKED_UP]
