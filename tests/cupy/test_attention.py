"""Attention on a GPU is one operation, that has no array of scores, and gives the CPU's values."""

import numpy as np
import pytest

import dtrain
from dtrain.backend.kernels.cuda.attention import forms
from dtrain.nn import functional as F

SEEN = dtrain.rand(2, 1, 40, 40, generator=dtrain.Generator(1)) < 0.6
SEEN[0, 0, 7] = False  # a query that sees no key
ADDED = dtrain.randn(3, 1, 40, generator=dtrain.Generator(2))
MASKS = {"bool": SEEN, "added": ADDED, "nothing": dtrain.where(SEEN, 0.0, -float("inf"))}


def results(device, second=False, mask=None, dropout_p=0.0):
    """Attention of the parts of one projection, its gradient, and that of the gradient's square."""
    dtrain.manual_seed(5)
    packed = dtrain.randn(2, 40, 3 * 24, generator=dtrain.Generator(3)).to(device)
    packed = packed.requires_grad_()
    q, k, v = (x.reshape(2, 40, 3, 8).transpose(1, 2) for x in (2 * packed).chunk(3, -1))
    mask = None if mask is None else MASKS[mask].to(device)
    out = F.scaled_dot_product_attention(q, k, v, mask, dropout_p, mask is None, scale=0.3)
    (grad,) = dtrain.autograd.grad(out.pow(2).sum(), packed, create_graph=second)
    if not second:
        return out.detach(), grad
    grad.pow(2).sum().backward()
    return out.detach(), grad.detach(), packed.grad


# Compiling what the second derivative is composed of takes most of the time.
@pytest.mark.parametrize("second", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "options", [{}, {"mask": "bool", "dropout_p": 0.4}, {"mask": "added"}, {"mask": "nothing"}]
)
def test_values_and_derivatives_are_those_of_the_cpu(options, second):
    """With dropout, too: of the same random numbers."""
    given = results("cuda", second, **options)
    for a, b in zip(given, results("cpu", second, **options)):
        largest = b.abs().max().item()
        np.testing.assert_allclose(a.cpu().numpy(), b.numpy(), atol=1e-5 * largest)


#: a case for each form of the kernels: dtype, widths of keys and values, and lengths
FORMS = [
    ("float32", 64, 20, 70), ("float32", 80, 96, 40), ("float32", 33, 256, 20),
    ("float64", 64, 64, 40), ("float64", 128, 3, 20), ("float64", 200, 16, 20),
    ("float16", 33, 17, 70), ("float16", 64, 64, 70), ("float16", 80, 25, 70), ("float16", 256, 96, 40),
    ("bfloat16", 64, 64, 70), ("bfloat16", 128, 128, 40), ("bfloat16", 144, 144, 40),
    ("tf32", 64, 64, 40), ("tf32", 128, 17, 40),
]  # fmt: skip


def of_shared_heads(device, dtype, d, e, length):
    """Causal attention of four heads that share two, with dropout, and the gradients."""
    dtrain.manual_seed(5)
    shapes = (1, 4, length, d), (1, 2, length, d), (1, 2, length, e)
    inputs = [dtrain.randn(*s, generator=dtrain.Generator(i)) for i, s in enumerate(shapes)]
    inputs = [x.to(dtype).to(device, dtype if device == "cuda" else dtrain.float64) for x in inputs]
    inputs = [x.requires_grad_() for x in inputs]
    options = {"dropout_p": 0.3, "is_causal": True, "enable_gqa": True}
    out = F.scaled_dot_product_attention(*inputs, **options)
    values = dtrain.arange(out.numel(), device=device) % 7 - 3
    out.backward(values.reshape(out.shape).to(out.dtype))
    return [x.cpu().to(dtrain.float64).numpy() for x in (out.detach(), *(x.grad for x in inputs))]


@pytest.mark.parametrize(("dtype", "d", "e", "length"), FORMS)
def test_every_form_of_the_kernels_gives_the_cpus_values_in_float64(dtype, d, e, length, request):
    tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 2e-2}.get(dtype, 3e-3)
    if dtype == "tf32":
        request.addfinalizer(lambda: dtrain.set_float32_matmul_precision("highest"))
        dtrain.set_float32_matmul_precision("high")
    stored = dtrain.float32 if dtype == "tf32" else getattr(dtrain, dtype)
    given = of_shared_heads("cuda", stored, d, e, length)
    for a, b in zip(given, of_shared_heads("cpu", stored, d, e, length)):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def test_there_is_a_case_for_every_form():
    def form(dtype, d, e):
        kinds = {"float64": "d", "float16": "e", "bfloat16": "E"}
        return forms(kinds.get(dtype, "f"), max(d, e), dtype == "tf32")[0]

    tried = {form(dtype, d, e) for dtype, d, e, _ in FORMS}
    every = {forms(kind, width, True)[0] for kind in "fdeE" for width in (64, 128, 256)}
    assert tried >= every


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


@pytest.mark.parametrize("width", [4, 257])
def test_wide_heads_and_the_gradient_of_a_mask_are_composed(width, counts):
    q = dtrain.randn(1, 1, 3, width, device="cuda")
    mask = dtrain.ones(3, 3, device="cuda").requires_grad_(width == 4)
    F.scaled_dot_product_attention(q, q, q, mask)
    assert "attention" not in counts()


def test_nan_is_not_hidden_by_a_mask():
    key = dtrain.ones(1, 1, 3, 2, device="cuda")
    key[..., 2, 0] = float("nan")
    seen = dtrain.tensor([[True, True, False], [False] * 3, [True] * 3], device="cuda")
    out = F.scaled_dot_product_attention(dtrain.ones_like(key), key, dtrain.ones_like(key), seen)
    assert bool(out.isnan().all())


def test_a_graph_has_the_kernels_and_the_bits_of_eager_mode(counts):
    mask = dtrain.ones(6, 6, dtype=dtrain.bool, device="cuda").tril()

    def attend(x):
        q, k, v = (part.reshape(2, 6, 2, 4).transpose(1, 2) for part in (x * 2).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=0.5)

    compiled = dtrain.compile(attend, fullgraph=True)  # raises where the bits are others
    x = dtrain.randn(2, 6, 24, device="cuda").requires_grad_()
    for _ in range(3):
        x.grad = None
        dtrain.manual_seed(3)
        out = compiled(x)
        out.sum().backward()
    assert counts()["attention"] >= 3
    grad, x.grad = x.grad, None
    dtrain.manual_seed(3)
    expected = attend(x)
    expected.sum().backward()
    assert out.tolist() == expected.tolist()
    assert grad.tolist() == x.grad.tolist()
