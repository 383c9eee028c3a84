"""The package einops works on dtrain's tensors, by `import dtrain` alone."""

import subprocess
import sys

import pytest

import dtrain

einops = pytest.importorskip("einops")

x = dtrain.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("made", "shape", "total"),
    [
        (lambda: einops.rearrange(x, "a b c -> b (a c)"), (3, 8), 276),
        (lambda: einops.repeat(x, "a b c -> a b c n", n=2), (2, 3, 4, 2), 552),
        (lambda: einops.reduce(x, "a b c -> b", "mean"), (3,), 34.5),
        (lambda: einops.reduce(x, "a b c -> b", "max"), (3,), 57),
        (lambda: einops.reduce(x, "a b c -> c", "sum"), (4,), 276),
        (lambda: einops.rearrange([x, x], "n a b c -> a (n b) c"), (2, 6, 4), 552),
        (lambda: einops.pack([x, x], "a *")[0], (2, 24), 552),
        (lambda: einops.einsum(x, x, "a b c, a d c -> b d"), (3, 3), 12204),
    ],
)
def test_einops_knows_tensors(made, shape, total):
    out = made()
    assert isinstance(out, dtrain.Tensor)
    assert out.shape == shape
    assert out.sum().item() == total


def test_gradients_flow_through_einops():
    y = dtrain.ones(2, 3, requires_grad=True)
    (einops.rearrange(y, "a b -> (b a)") * dtrain.arange(6.0)).sum().backward()
    assert y.grad.tolist() == [[0, 2, 4], [1, 3, 5]]


def test_layers_and_an_earlier_import():
    program = """
import einops, dtrain
print(einops.rearrange(dtrain.ones(2, 3), "a b -> b a").shape)
from dtrain.as_torch import serve_torch
serve_torch()
from einops.layers.torch import Rearrange
print(dtrain.nn.Sequential(Rearrange("a b -> a b 1"))(dtrain.ones(2, 3)).shape)
"""
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.split("\n")[:2] == ["dtrain.Size([3, 2])", "dtrain.Size([2, 3, 1])"]
