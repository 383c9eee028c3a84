"""The table of operations: a row, or more, for every public function and every rule."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import OPS
from tests.cases.activations import ACTIVATIONS
from tests.cases.attention import ATTENTION
from tests.cases.binary import BINARY
from tests.cases.case import ANY, MATRIX, Case
from tests.cases.class_losses import CLASS_LOSSES
from tests.cases.complex_numbers import COMPLEX_NUMBERS
from tests.cases.elementwise import ELEMENTWISE
from tests.cases.fourier import FOURIER
from tests.cases.images import CONVOLUTION
from tests.cases.indexing import INDEXING
from tests.cases.losses import LOSSES
from tests.cases.nn import NN_CASES
from tests.cases.normalization import DROPOUT, NORMS
from tests.cases.pooling import POOLING
from tests.cases.products import LINALG, MORE_PRODUCTS
from tests.cases.recurrent import RECURRENT
from tests.cases.reductions import REDUCTIONS
from tests.cases.resampling import RESAMPLING
from tests.cases.scans import SCANS
from tests.cases.shapes import MORE_SHAPES
from tests.cases.special import DRAWN, SAMPLED, SPECIAL
from tests.cases.statistics import STATISTICS

PRODUCTS = [
    Case(
        "matmul",
        [
            [(3, 4), (4, 2)],
            [(5, 3, 4), (4, 2)],
            [(2, 1, 3, 4), (5, 4, 2)],
            [(4,), (4,)],
            [(3, 4), (4,)],
            [(4,), (2, 4, 3)],
            [(3, 0), (0, 2)],
            [(0, 4), (4, 2)],
        ],
        np.matmul,
    ),
    Case("mm", [[(3, 4), (4, 2)], [(0, 4), (4, 2)]], np.matmul),
    Case("bmm", [[(5, 3, 4), (5, 4, 2)], [(0, 3, 4), (0, 4, 2)]], np.matmul),
    Case("mv", [[(3, 4), (4,)]], np.matmul),
    Case("dot", [[(4,), (4,)], [(0,), (0,)]], np.dot),
    Case("outer", [[(3,), (4,)], [(0,), (4,)]], np.outer),
    Case("addmm", [[(3, 2), (3, 4), (4, 2)], [(2,), (3, 4), (4, 2)]], lambda b, x, y: b + x @ y),
    Case(
        "addmm",
        [[(3, 2), (3, 4), (4, 2)]],
        lambda b, x, y: 0.5 * b + 2 * (x @ y),
        lambda t, b, x, y: t.addmm(b, x, y, beta=0.5, alpha=2),
        "beta and alpha",
    ),
]

PLACES = np.array([[0, 2, 1], [1, 1, 0]])

SHAPES = [
    Case("reshape", [[(2, 6)]], lambda x: x.reshape(3, 4), lambda t, x: t.reshape(x, (3, -1))),
    Case("reshape", [[()]], lambda x: x.reshape(1, 1), lambda t, x: x.reshape(1, 1), "0-d"),
    Case("reshape", [[(0, 3)]], lambda x: x.reshape(3, 0), lambda t, x: x.reshape(3, -1), "empty"),
    Case("flatten", [[(2, 3, 4)], [()], [(0, 3)]], np.ravel),
    Case(
        "flatten", [[(2, 3, 4)]], lambda x: x.reshape(2, 12), lambda t, x: x.flatten(1), "start_dim"
    ),
    Case("permute", [[(2, 3, 4)]], lambda x: x.transpose(2, 0, 1), lambda t, x: x.permute(2, 0, -2)),
    Case("transpose", [[(2, 3, 4)]], lambda x: x.swapaxes(0, 2), lambda t, x: x.transpose(0, -1)),
    Case("t", [[(2, 3)], [(3,)], [()]], np.transpose),
    Case("squeeze", [[(2, 1, 3, 1)], [(1,)], [()]], np.squeeze),
    Case("squeeze", [[(2, 1, 1)]], lambda x: x[:, 0], lambda t, x: x.squeeze(1), "dim=1"),
    Case("squeeze", [[(2, 1)]], np.copy, lambda t, x: x.squeeze(0), "dim of length 2"),
    Case("squeeze", [[(1, 2, 1)]], np.squeeze, lambda t, x: x.squeeze((0, 1, 2)), "several"),
    Case("unsqueeze", ANY, lambda x: x[None], lambda t, x: x.unsqueeze(0)),
    Case("unsqueeze", ANY, lambda x: x[..., None], lambda t, x: x.unsqueeze(-1), "last"),
    Case("cat", [[(2, 3), (1, 3), (0, 3)]], lambda *x: np.concatenate(x), lambda t, *x: t.cat(x)),
    Case(
        "cat",
        [[(2, 3), (2, 1)]],
        lambda *x: np.concatenate(x, 1),
        lambda t, *x: t.cat(x, dim=-1),
        "dim=-1",
    ),
    Case("stack", [[(2, 3)] * 3, [()] * 2], lambda *x: np.stack(x), lambda t, *x: t.stack(x)),
    Case("stack", [[(2, 3)] * 2], lambda *x: np.stack(x, -1), lambda t, *x: t.stack(x, -1), "last"),
    Case("narrow", MATRIX, lambda x: x[:, 1:3], lambda t, x: t.narrow(x, 1, 1, 2)),
    Case("split", [[(5, 2)]], lambda x: np.split(x, [2, 4]), lambda t, x: t.split(x, 2)),
    Case(
        "split",
        [[(2, 5)]],
        lambda x: np.split(x, [1, 1], 1),
        lambda t, x: x.split([1, 0, 4], dim=1),
        "sections",
    ),
    Case("chunk", [[(5, 2)]], lambda x: np.split(x, [2, 4]), lambda t, x: t.chunk(x, 3)),
    Case("unbind", [[(3, 2)]], list, lambda t, x: t.unbind(x)),
    Case("unbind", [[(3, 2)]], lambda x: list(x.T), lambda t, x: x.unbind(-1), "last"),
    Case("flip", [[(2, 3, 4)], [(0, 3)]], lambda x: np.flip(x, (0, 1)), lambda t, x: x.flip(0, 1)),
    Case("roll", [[(2, 3)], [()]], lambda x: np.roll(x, 2), lambda t, x: t.roll(x, 2)),
    Case(
        "roll",
        [[(2, 3, 4)]],
        lambda x: np.roll(x, (1, -2), (0, 2)),
        lambda t, x: x.roll((1, -2), (0, 2)),
        "two dims",
    ),
    Case("tril", [[(3, 4)], [(2, 3, 3)]], lambda x: np.tril(x, -1), lambda t, x: t.tril(x, -1)),
    Case("triu", [[(3, 4)], [(2, 3, 3)]], lambda x: np.triu(x, 1), lambda t, x: x.triu(diagonal=1)),
    Case("view", [[(2, 6)]], lambda x: x.reshape(3, 4), lambda t, x: x.contiguous().view(3, 4)),
    Case("contiguous", ANY, np.copy, lambda t, x: x.contiguous()),
    Case(
        "expand",
        [[(3, 1)]],
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        lambda t, x: x.expand(2, -1, 4),
    ),
    Case("repeat", [[(2, 3)]], lambda x: np.tile(x, (2, 1, 3)), lambda t, x: x.repeat(2, 1, 3)),
    Case("repeat", [[()]], lambda x: np.tile(x, (2, 0)), lambda t, x: x.repeat(2, 0), "no times"),
    Case(
        "gather",
        [[(2, 3)]],
        lambda x: np.take_along_axis(x, PLACES, 1),
        lambda t, x: x.gather(1, t.tensor(PLACES)),
    ),
    Case(
        "gather",
        [[(2, 4)]],
        lambda x: np.take_along_axis(x[:, :3], PLACES % 2, 0),
        lambda t, x: t.gather(x, 0, t.tensor(PLACES % 2)),
        "dim=0",
    ),
    Case("gather", [[()]], np.copy, lambda t, x: x.gather(0, t.tensor(0)), "0-d"),
    Case(
        "index_select",
        [[(3, 4)]],
        lambda x: x[:, [3, 0, 3]],
        lambda t, x: t.index_select(x, -1, t.tensor([3, 0, 3])),
    ),
    Case("pad_constant", MATRIX, lambda x: np.pad(x[:, 1:], ((0, 2), (0, 1)), constant_values=5),
         lambda t, x: OPS["pad_constant"](x, widths=((0, 2), (-1, 1)), value=5.0), in_torch=False),
    Case("cast", ANY, np.copy, lambda t, x: OPS["cast"](x, dtype=x.dtype), in_torch=False),
    Case("to_device", ANY, np.copy, lambda t, x: OPS["to_device"](x, move=np.copy), in_torch=False),
]  # fmt: skip

CASES = [
    *ELEMENTWISE,
    *BINARY,
    *COMPLEX_NUMBERS,
    *FOURIER,
    *REDUCTIONS,
    *SCANS,
    *STATISTICS,
    *SPECIAL,
    *SAMPLED,
    *DRAWN,
    *PRODUCTS,
    *SHAPES,
    *MORE_SHAPES,
    *INDEXING,
    *MORE_PRODUCTS,
    *LINALG,
    *ACTIVATIONS,
    *CONVOLUTION,
    *POOLING,
    *RESAMPLING,
    *NN_CASES,
    *ATTENTION,
    *RECURRENT,
    *NORMS,
    *DROPOUT,
    *LOSSES,
    *CLASS_LOSSES,
]
