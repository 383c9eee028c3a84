"""Calls on parts of arrays, and on arrays in another order than C's, that compiled graphs run block
of rows by block of rows: eager mode's bits."""

import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain.jit import block_text
from tests.jit.test_rules import require_same

BATCH, LENGTH, HEADS, SIZE = 5, 120, 4, 24
WIDTH = HEADS * SIZE


def split_heads(x):
    return x.reshape(BATCH, LENGTH, -1, SIZE).transpose(1, 2)


def gated(x, table):
    gate, value = x.chunk(2, -1)
    return F.silu(gate) * value


def rotary(x, table):
    cos, sin = table.chunk(2, 0)
    first, second = split_heads(x).chunk(2, -1)
    return dtrain.cat([first * cos - second * sin, first * sin + second * cos], -1) * 0.3


def rotary_of_neighbours(x, table):
    cos, sin = table.chunk(2, 0)
    y = split_heads(x).unflatten(-1, (-1, 2))
    first, second = y[..., 0], y[..., 1]
    parts = [first * cos - second * sin, second * cos + first * sin]
    return dtrain.stack(parts, -1).flatten(-2)


def attention(x, table, **how):
    q, k, v = (split_heads(part) for part in (x * 1.5).chunk(3, -1))
    y = F.scaled_dot_product_attention(q, k, v, **how)
    return y.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH)


def causal_attention(x, table):
    return attention(x, table, is_causal=True)


def masked_attention(x, table):
    return attention(x, table, attn_mask=dtrain.ones(LENGTH, LENGTH, dtype=x.dtype).tril() - 1)


def attention_of_halves(x, table):
    first, second = x[:, ::2], x[:, 1::2]
    return (first * 2 - second).reshape(BATCH, -1, WIDTH) + first[..., :WIDTH]


def permuted(x, table):
    y = (x * 2).permute(2, 0, 1)
    return (F.gelu(y) + y).permute(1, 2, 0).reshape(BATCH, -1)


FUNCTIONS = {
    gated: 2 * WIDTH, rotary: WIDTH, rotary_of_neighbours: WIDTH, attention: 3 * WIDTH,
    causal_attention: 3 * WIDTH, masked_attention: 3 * WIDTH, attention_of_halves: WIDTH, permuted: WIDTH,
}  # fmt: skip


@pytest.fixture
def blocks(monkeypatch):
    """The results of the runs in blocks."""
    made, run = [], block_text._Blocks.run
    monkeypatch.setattr(
        block_text._Blocks, "run", lambda *given: made.append(run(*given)) or made[-1]
    )
    return made


def run_both(function, width, dtype, tables):
    """What the function and its compiled form give for each table, with the gradients."""
    results = []
    for f in (function, dtrain.compile(function, fullgraph=True)):
        dtrain.manual_seed(0)
        for table in tables:
            table = table.to(dtype)
            x = dtrain.randn(BATCH, LENGTH, width, dtype=dtype)
            x[0, 3, :4] = dtrain.tensor([-0.0, dtrain.inf, dtrain.nan, 1e-40], dtype=dtype)
            x.requires_grad_()
            out = f(x, table)
            (gradient,) = dtrain.autograd.grad(out, x, dtrain.randn(*out.shape, dtype=dtype))
            results.append([out.detach().numpy(), gradient.numpy()])
    half = len(results) // 2
    return results[:half], results[half:]


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_blocks_of_views_have_the_bits_of_whole_calls(function, dtype, blocks):
    table = dtrain.randn(2 * LENGTH, SIZE // 2)
    eager, compiled = run_both(function, FUNCTIONS[function], dtype, [table] * 4)
    for mine, expected in zip(compiled, eager):
        require_same(mine, expected)
    assert bool(blocks) is (function is not permuted)
    assert all(blocks)


def test_an_array_in_another_order_than_at_first_takes_no_blocks_and_keeps_the_bits(blocks):
    """A table is taken to lie in C order as it did when the graph was recorded."""
    table = dtrain.randn(2 * LENGTH, SIZE // 2)
    other = dtrain.randn(SIZE // 2, 2 * LENGTH).t()
    tables = [table, table, table, other, table, other]
    eager, compiled = run_both(rotary, WIDTH, dtrain.float32, tables)
    for mine, expected in zip(compiled, eager):
        require_same(mine, expected)
    assert blocks
    assert all(blocks)


def test_what_is_written_to_after_it_was_viewed_keeps_its_bits():
    def function(x, table):
        y = x * 2
        first, second = y.chunk(2, -1)
        z = first * 3 - second
        y.add_(1)
        return F.silu(first) * z - second

    tables = [dtrain.zeros(1)] * 4
    eager, compiled = run_both(function, 2 * WIDTH, dtrain.float32, tables)
    for mine, expected in zip(compiled, eager):
        require_same(mine, expected)
