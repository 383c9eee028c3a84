"""Large calls that compiled graphs run block of rows by block of rows: eager mode's bits."""

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.jit import block_text
from tests.jit.test_rules import require_same

N = 96


def activation(name):
    return lambda x, y, w, b: getattr(F, name)(x + b)


CHAINS = {
    **{name: activation(name) for name in ("gelu", "relu", "silu", "sigmoid")},
    "gelu_tanh": lambda x, y, w, b: F.gelu(x + b, approximate="tanh"),
    "residual sum and norm": lambda x, y, w, b: F.layer_norm(x + b + y, (N,), w, b),
    "norm of a product": lambda x, y, w, b: F.layer_norm(x * y * 0.5, (N,), w, b) - y,
    "a linear map": lambda x, y, w, b: F.gelu(F.linear(x, w * b[:, None], b)) + y,
    "norm of groups": lambda x, y, w, b: F.silu(
        F.group_norm((x * 2).reshape(9, N, -1), 6, w, b)
    ).reshape(-1, N),
    "two uses": lambda x, y, w, b: (z := F.silu(x + b)) * y + z,
    "a position": lambda x, y, w, b: F.silu(x.reshape(-1, 9, N) + y[:9]).reshape(-1, N) * w,
}


def run_both(function, shape, dtype, special=True, runs=4):
    """What the function and its compiled form give, with the gradients of their arguments."""
    results = []
    for f in (function, dtrain.compile(function, fullgraph=True)):
        dtrain.manual_seed(0)
        for _ in range(runs):
            x, y = (dtrain.randn(*shape, dtype=dtype) for _ in range(2))
            if special:
                x[0, :4] = dtrain.tensor([-0.0, dtrain.inf, dtrain.nan, 1e-40], dtype=dtype)
                x[5, 7], y[-1, 2] = -dtrain.inf, dtrain.nan
            w, b = (dtrain.randn(N, dtype=dtype) for _ in range(2))
            given = [v.requires_grad_() for v in (x, y, w, b)]
            out = f(*given)
            gradient = dtrain.randn(*out.shape, dtype=dtype)
            gradient[:, 3] = -0.0
            found = [out, *dtrain.autograd.grad(out, given, gradient, allow_unused=True)]
        results.append([v.detach().numpy() for v in found if v is not None])
    return results


@pytest.fixture
def blocks(monkeypatch):
    """The results of the runs in blocks."""
    made, run = [], block_text._Blocks.run
    monkeypatch.setattr(
        block_text._Blocks, "run", lambda *given: made.append(run(*given)) or made[-1]
    )
    return made


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
@pytest.mark.parametrize("name", CHAINS)
def test_blocks_have_the_bits_of_whole_calls(name, dtype, blocks):
    eager, compiled = run_both(CHAINS[name], (1791, N), dtype)  # no whole number of blocks
    require_same(compiled, eager)
    assert blocks
    assert all(blocks)


@pytest.mark.parametrize("rows", [9, 1791])  # in a table, and in blocks
def test_sums_of_rows_begin_with_the_first_row(rows):
    """A column of -0.0 has the sum -0.0, as NumPy's."""

    def function(x, y, w, b):
        return (x * y + b) * 2.0

    eager, compiled = run_both(function, (rows, N), dtrain.float32, special=False)
    assert np.signbit(eager[-1][3])
    require_same(compiled, eager)


def test_a_gradient_in_another_order_takes_no_blocks_and_keeps_the_bits(blocks):
    def function(x, w, b):
        return F.gelu(x * w + b).t()

    results = []
    for f in (function, dtrain.compile(function, fullgraph=True)):
        dtrain.manual_seed(0)
        for _ in range(4):
            given = [dtrain.randn(*s).requires_grad_() for s in ((1791, N), (N,), (N,))]
            out = f(*given)
            found = dtrain.autograd.grad(out, given, dtrain.randn(*out.shape))
        results.append([v.detach().numpy() for v in (out, *found)])
    require_same(results[1], results[0])
    assert False in blocks


def test_a_block_of_a_transformer_trains_to_the_same_bits(blocks):
    results = []
    for compiles in (False, True):
        dtrain.manual_seed(0)
        model = nn.TransformerEncoderLayer(N, 4, 2 * N, 0.1, F.gelu, batch_first=True)
        model = dtrain.compile(model, fullgraph=True) if compiles else model
        optimizer = dtrain.optim.SGD(model.parameters(), 0.1)
        for _ in range(4):
            model(dtrain.randn(10, 40, N)).pow(2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        results.append([p.detach().numpy() for p in model.parameters()])
    require_same(results[1], results[0])
    assert blocks
    assert all(blocks)


def test_an_array_that_was_written_to_is_copied_again():
    def function(x):
        y = x * 2
        first = y.t().reshape(-1)
        y.mul_(3)
        return first + y.t().reshape(-1)

    compiled = dtrain.compile(function, fullgraph=True)
    for _ in range(4):
        x = dtrain.randn(5, 7)
        assert dtrain.equal(compiled(x), function(x))


def test_columns_of_a_large_matrix_are_summed_to_the_bits_of_eager_mode():
    """Of a matrix that no block of rows reaches, in C order and transposed."""
    results = []
    for compiles in (False, True):
        dtrain.manual_seed(0)
        linear = nn.Linear(40, N)

        def whole(x, linear=linear):
            return linear(x).reshape(-1, 9, N).transpose(0, 1)

        f = dtrain.compile(whole, fullgraph=True) if compiles else whole
        for rows in (1791, 1791, 1791, 1791):
            out = f(dtrain.randn(rows, 40))
            out.backward(dtrain.randn(*out.shape))
        results.append([p.grad.numpy() for p in linear.parameters()])
    require_same(results[1], results[0])
