"""What compiled graphs join to fewer calls has eager mode's bits, the signs of zeros included."""

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain.jit import joined_calls, scatter_sums


def weight(*shape):
    w = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    w.reshape(-1)[::3] = -0.0  # gradients of -0.0
    return dtrain.tensor(w)


def require_same_gradient(function, *shape):
    """The gradient of x has eager mode's bits, in each of several calls."""

    def whole(x):
        return function(-x)

    compiled = dtrain.compile(whole, fullgraph=True)
    for _ in range(4):
        x = dtrain.randn(*shape).requires_grad_()
        mine, theirs = (
            dtrain.autograd.grad(y := f(x), x, weight(*y.shape))[0].numpy()
            for f in (compiled, whole)
        )
        assert mine.tobytes() == theirs.tobytes()


def chunks(x):
    q, k, v = (part.reshape(2, 5, 2, 4).transpose(1, 2) for part in x.chunk(3, -1))
    made = (v * 2, q * k, k.sqrt())
    return dtrain.cat([part.transpose(1, 2).reshape(2, 5, 8) for part in made], -1)


def interleaved(x):
    even, odd = x[..., ::2], x[..., 1::2]
    return dtrain.stack([odd, -even], -1).reshape(x.shape)


def with_a_gap(x):
    return dtrain.cat([x[:, :2], x[:, 3:] * 2], 1)


def overlapping(x):
    return dtrain.cat([x[..., :16] * 2, x[..., 8:16]], -1)


@pytest.mark.parametrize(
    ("function", "joined"), [(chunks, 3), (interleaved, 2), (with_a_gap, 2), (overlapping, 0)]
)
def test_gradients_of_parts_are_put_into_one_array(function, joined, monkeypatch):
    count, put = [], scatter_sums._put
    monkeypatch.setattr(scatter_sums, "_put", lambda *args: count.append(1) or put(*args))
    require_same_gradient(function, 2, 5, 24)
    assert len(count) == joined


def lower_half(n):
    return dtrain.full((n, n), -dtrain.inf).triu(1)


MASKS = {
    "causal": lower_half(70),
    "float": dtrain.randn(1, 3, 70, 70, dtype=dtrain.float64),
    "a masked row": dtrain.full((70, 70), -dtrain.inf),
    "of one row": dtrain.randn(70),
    "of the batch": dtrain.randn(2, 1, 1, 70),
    "kept": lower_half(70),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_added_within_the_softmax(name, monkeypatch):
    count, join = [], joined_calls._joined
    monkeypatch.setattr(joined_calls, "_joined", lambda *args: count.append(1) or join(*args))
    mask, dtype = MASKS[name], MASKS[name].dtype

    def attend(x):
        scores = x + mask
        return F.softmax(scores, -1) + (scores.sigmoid() if name == "kept" else 0)

    compiled = dtrain.compile(attend, fullgraph=True)
    for value in (0.5, dtrain.nan, dtrain.inf, -dtrain.inf):
        x = dtrain.randn(2, 3, 70, 70, dtype=dtype)
        x[0, 1, 5, 7] = x[1, 0, 9, 4] = value
        x.requires_grad_()
        found = [[y := f(x), *dtrain.autograd.grad((y * x).sum(), x)] for f in (compiled, attend)]
        for mine, theirs in zip(*found):
            assert mine.detach().numpy().tobytes() == theirs.detach().numpy().tobytes()
    assert len(count) == (name not in ("of the batch", "kept"))
