"""Attention on a GPU is one operation, that has no array of scores, and gives the CPU's values."""

import numpy as np
import pytest

import dtrain
from dtrain.nn import functional as F


def results(device, second=False):
    """Attention of the parts of one projection, its gradient, and that of the gradient's square."""
    packed = dtrain.randn(2, 40, 3 * 24, generator=dtrain.Generator(3)).to(device)
    packed = packed.requires_grad_()
    q, k, v = (x.reshape(2, 40, 3, 8).transpose(1, 2) for x in (2 * packed).chunk(3, -1))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)
    (grad,) = dtrain.autograd.grad(out.pow(2).sum(), packed, create_graph=second)
    if not second:
        return out.detach(), grad
    grad.pow(2).sum().backward()
    return out.detach(), grad.detach(), packed.grad


# Compiling what the second derivative is composed of takes most of the time.
@pytest.mark.parametrize("second", [False, pytest.param(True, marks=pytest.mark.long)])
def test_values_and_derivatives_are_those_of_the_cpu(second):
    for a, b in zip(results("cuda", second), results("cpu", second)):
        np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), rtol=1e-4, atol=1e-4)


def test_the_gradients_of_a_projections_parts_are_not_copied(counts):
    results("cuda")
    counts()
    results("cuda")
    names = counts()
    assert {"attention", "attention_of_queries", "attention_of_keys"} <= set(names)
    assert not [name for name in names if name.startswith(("cupy_copy__", "softmax", "cublas"))]


def test_no_array_has_an_element_for_each_query_and_key():
    q = dtrain.randn(1, 1, 600, 4, device="cuda").requires_grad_()
    dtrain.cuda.reset_peak_memory_stats()
    before = dtrain.cuda.memory_allocated()
    F.scaled_dot_product_attention(q, q, q).sum().backward()
    assert dtrain.cuda.max_memory_allocated() - before < 600 * 600


@pytest.mark.parametrize("options", [{"dropout_p": 0.5}, {"attn_mask": True}, {"width": 65}])
def test_what_the_kernel_does_not_take_is_composed(options, counts):
    q = dtrain.randn(1, 1, 3, options.pop("width", 4), device="cuda")
    if "attn_mask" in options:
        options["attn_mask"] = dtrain.ones(3, 3, dtype=dtrain.bool, device="cuda")
    F.scaled_dot_product_attention(q, q, q, **options)
    assert "attention" not in counts()


def test_a_graph_has_the_kernels_and_the_bits_of_eager_mode(counts):
    def attend(x):
        q, k, v = (part.reshape(2, 6, 2, 4).transpose(1, 2) for part in (x * 2).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    compiled = dtrain.compile(attend, fullgraph=True)  # raises where the bits are others
    x = dtrain.randn(2, 6, 24, device="cuda").requires_grad_()
    for _ in range(3):
        x.grad = None
        out = compiled(x)
        out.sum().backward()
    assert counts()["attention"] >= 3
    grad, x.grad = x.grad, None
    expected = attend(x)
    expected.sum().backward()
    assert out.tolist() == expected.tolist()
    assert grad.tolist() == x.grad.tolist()
