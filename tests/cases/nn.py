"""The rows of the table for `nn.functional`: references written out from the formulas."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case

# --- linear maps ---


LINEAR = [
    Case("F.linear", [[(5, 4), (3, 4)], [(0, 4), (3, 4)], [(5, 0), (3, 0)]], lambda x, w: x @ w.T),
    Case(
        "F.linear",
        [[(2, 5, 4), (3, 4), (3,)], [(4,), (3, 4), (3,)], [(2, 0), (3, 0), (3,)]],
        lambda x, w, b: x @ w.T + b,
        label="bias",
    ),
    Case("F.bilinear", [[(5, 4), (5, 2), (3, 4, 2)], [(0, 4), (0, 2), (3, 4, 2)]],
         lambda x, y, w: np.einsum("bn,knm,bm->bk", x, w, y)),
    Case("F.bilinear", [[(2, 5, 4), (2, 5, 2), (3, 4, 2), (3,)], [(4,), (2,), (3, 4, 2), (3,)]],
         lambda x, y, w, b: np.einsum("...n,knm,...m->...k", x, w, y) + b, label="bias"),
]  # fmt: skip


# --- embedding, and rearranging channels ---

WORDS = np.array([[1, 0, 3], [3, 3, 2]])


def one_hot(padding=None):
    """WORDS as rows of the identity; the gradient does not go to the row `padding`."""
    rows = np.eye(4)[WORDS]
    return rows if padding is None else rows * (np.arange(4) != padding)


BAGS = np.array([0, 1, 1, 4])  # where each bag of the six words begins; the second is empty


def bags(weight, reduce, padding=None, starts=BAGS):
    """The words of each bag, reduced; zeros for an empty bag."""
    words = WORDS.reshape(-1)
    parts = [part[part != padding] for part in np.split(words, starts[1:])]
    return np.stack([
        reduce(weight[part], 0) if len(part) else np.zeros(weight.shape[1]) for part in parts
    ])  # fmt: skip


def in_bags(label, reduce, offsets=BAGS, padding_idx=None, **options):
    """A row for bags of words that begin at the offsets."""
    return Case(
        "F.embedding_bag",
        [[(4, 2)]],
        lambda w: bags(w, reduce, padding_idx),
        lambda t, w: t.nn.functional.embedding_bag(
            t.tensor(WORDS.reshape(-1)), w, t.tensor(offsets), padding_idx=padding_idx, **options
        ),
        label,
        smooth=reduce is not np.max,
    )


def shuffled(x, r):
    """Pixel by pixel."""
    out = np.empty((*x.shape[:-3], x.shape[-3] // r**2, x.shape[-2] * r, x.shape[-1] * r))
    for i, j in np.ndindex(r, r):
        out[..., i::r, j::r] = x[..., i * r + j :: r**2, :, :]
    return out


LAYERS = [
    Case(
        "F.embedding",
        [[(4, 2)]],
        lambda w: one_hot() @ w,
        lambda t, w: t.nn.functional.embedding(t.tensor(WORDS), w),
    ),
    in_bags("mean", np.mean),
    in_bags("sum", np.sum, mode="sum"),
    in_bags("max", np.max, mode="max"),
    in_bags("padding", np.mean, padding_idx=3),
    in_bags("last offset", np.sum, [*BAGS, 6], include_last_offset=True, mode="sum"),
    Case("F.embedding_bag", [[(4, 2)]], lambda w: w[WORDS].mean(1),
         lambda t, w: t.nn.functional.embedding_bag(t.tensor(WORDS), w), "rows"),
    Case("F.embedding_bag", [[(4, 2), (2, 3)]], lambda w, s: (w[WORDS] * s[..., None]).sum(1),
         lambda t, w, s: t.nn.functional.embedding_bag(
             t.tensor(WORDS), w, mode="sum", per_sample_weights=s), "weights"),
    Case("F.pixel_shuffle", [[(2, 8, 2, 3)], [(4, 1, 2)], [(2, 2, 4, 3, 1)]],
         lambda x: shuffled(x, 2), lambda t, x: t.nn.functional.pixel_shuffle(x, 2)),
    Case("F.pixel_unshuffle", [[(2, 1, 6, 4)], [(2, 2, 4)]], lambda x: np.concatenate(
        [x[..., i::2, j::2] for i in range(2) for j in range(2)], -3
    ) if x.shape[-3] == 1 else np.stack(
        [x[..., c, i::2, j::2] for c in range(2) for i in range(2) for j in range(2)], -3),
         lambda t, x: t.nn.functional.pixel_unshuffle(x, 2)),
    Case("F.channel_shuffle", [[(2, 6, 2)], [(1, 6, 2, 2)]], lambda x: x[:, [0, 3, 1, 4, 2, 5]],
         lambda t, x: t.nn.functional.channel_shuffle(x, 2)),
]  # fmt: skip

NN_CASES = [*LINEAR, *LAYERS]
