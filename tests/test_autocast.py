"""Autocast: which functions convert, what is cached, and where it is off."""

import threading
from typing import ClassVar

import numpy as np
import pytest

import dtrain
from dtrain import amp, nn
from dtrain.autograd import autocast_mode, grad
from dtrain.functions import autocast as lists
from dtrain.nn import functional as F
from dtrain.utils.checkpoint import checkpoint

BF16, HALF, FLOAT = dtrain.bfloat16, dtrain.float16, dtrain.float32


def rounded(tensor, dtype=BF16):
    return tensor.detach().to(dtype).float()


@pytest.fixture
def cuda_lists(monkeypatch):
    """The lists of a GPU, for tensors of the CPU."""
    for table in (lists.LOWER_PRECISION, lists.FLOAT32, lists.PROMOTED, lists.UNCHANGED,
                  lists.REFUSED):  # fmt: skip
        monkeypatch.setitem(table, "cpu", table["cuda"])


# --- where it is on ---


def test_products_round_their_inputs_and_their_output():
    x, w, b = dtrain.randn(5, 7), dtrain.randn(3, 7), dtrain.randn(3)
    with dtrain.autocast("cpu"):
        out = F.linear(x, w, b)
    expected = rounded(x) @ rounded(w).T + rounded(b)
    assert out.dtype == BF16
    assert out.float().equal(rounded(expected))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("context", [dtrain.autocast, amp.autocast, "cpu.amp"])
def test_contexts_of_all_names(context, dtype):
    dtype = getattr(dtrain, dtype)
    x = dtrain.ones(2, 2)
    with (
        dtrain.cpu.amp.autocast(dtype=dtype)
        if context == "cpu.amp"
        else context("cpu", dtype=dtype)
    ):
        assert (x @ x).dtype == dtype
        assert dtrain.is_autocast_enabled("cpu")
        assert dtrain.is_autocast_cpu_enabled()
        assert not dtrain.is_autocast_enabled()
        assert not dtrain.is_autocast_enabled("cuda")
        assert dtrain.get_autocast_dtype("cpu") == dtrain.get_autocast_cpu_dtype() == dtype
    assert (x @ x).dtype == FLOAT
    assert not dtrain.is_autocast_enabled("cpu")
    assert dtrain.get_autocast_dtype("cpu") == BF16


def test_nested_and_disabled_contexts():
    x = dtrain.ones(2, 2)
    context = dtrain.autocast("cpu")
    with context:
        with dtrain.autocast("cpu", enabled=False):
            assert (x @ x).dtype == FLOAT
            with context, dtrain.autocast("cpu", dtype=HALF):
                assert (x @ x).dtype == HALF
            assert (x @ x).dtype == FLOAT
        assert (x @ x).dtype == BF16
        with pytest.raises(KeyError), dtrain.autocast("cpu", enabled=False):
            raise KeyError
        assert (x @ x).dtype == BF16


def test_decorator():
    @dtrain.autocast("cpu")
    def multiply(x, again=False):
        """Product."""
        inner = multiply(x) if again else x
        return inner @ x

    assert multiply(dtrain.ones(2, 2), again=True).dtype == BF16
    assert multiply.__doc__ == "Product."
    assert not dtrain.is_autocast_enabled("cpu")
    with pytest.raises(TypeError, match="requires a callable, but got Tensor"):
        dtrain.autocast("cpu")(dtrain.ones(1))


def test_it_is_on_for_one_thread_alone():
    found = []
    with dtrain.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(dtrain.is_autocast_enabled("cpu")))
        thread.start()
        thread.join()
    assert found == [False]


def test_settings_without_a_context():
    try:
        dtrain.set_autocast_enabled("cpu", True)
        dtrain.set_autocast_dtype("cpu", HALF)
        dtrain.set_autocast_cache_enabled(False)
        assert (dtrain.ones(2, 2) @ dtrain.ones(2, 2)).dtype == HALF
        assert not dtrain.is_autocast_cache_enabled()
        with dtrain.autocast("cpu"):
            assert not dtrain.is_autocast_cache_enabled()
            assert dtrain.get_autocast_dtype("cpu") == HALF
        dtrain.set_autocast_cpu_enabled(False)
        assert not dtrain.is_autocast_enabled("cpu")
        dtrain.set_autocast_cpu_dtype(BF16)
        assert dtrain.get_autocast_gpu_dtype() == HALF
    finally:
        autocast_mode.set_mode(autocast_mode.AutocastMode())


def test_refusals():
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`, got: `<class 'in"):
        dtrain.autocast(1)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'gpu'; expected one"):
        dtrain.autocast("gpu")
    with pytest.warns(UserWarning, match="target dtype float32 is not supported, only bfloat16"):
        context = dtrain.autocast("cpu", dtype=FLOAT)
    with context:
        assert not dtrain.is_autocast_enabled("cpu")
    assert [amp.is_autocast_available(d) for d in ("cpu", "cuda", "xla")] == [True, True, False]


@pytest.mark.skipif(dtrain.cuda.is_available(), reason="a GPU")
def test_cuda_without_a_gpu_warns_and_is_off():
    with pytest.warns(UserWarning, match="CUDA is not available. Disabling autocast"):
        context = dtrain.cuda.amp.autocast()
    with context:
        assert not dtrain.is_autocast_enabled()


# --- the lists ---


def test_every_function_of_the_lists_is_decorated():
    tables = (lists.LOWER_PRECISION, lists.FLOAT32, lists.PROMOTED, lists.UNCHANGED, lists.REFUSED)
    for device in ("cpu", "cuda"):
        names = [name for table in tables for name in table[device]]
        assert len(names) == len(set(names)), "a function is in two lists"
    assert lists.decorated >= lists.LISTED


def test_only_floats_are_converted():
    integers, doubles = dtrain.ones(2, 2, dtype=dtrain.int64), dtrain.ones(2, 2).double()
    with dtrain.autocast("cpu"):
        assert (integers @ integers).dtype == dtrain.int64
        assert (doubles @ doubles).dtype == dtrain.float64
        with pytest.raises(RuntimeError, match="same dtype, but got: float64 != bfloat16"):
            doubles @ dtrain.ones(2, 2)


def test_promotion():
    half, full = dtrain.ones(2).bfloat16(), dtrain.ones(2)
    with dtrain.autocast("cpu"):
        assert dtrain.cat([half, full]).dtype == FLOAT
        assert dtrain.stack((half, half)).dtype == BF16
        with pytest.raises(RuntimeError, match="cat: under autocast in bfloat16 expected tensors"):
            dtrain.cat([half, dtrain.ones(2).half()])


def test_losses_compute_in_float32():
    x, y = dtrain.randn(4, 3).bfloat16(), dtrain.tensor([0, 1, 2, 0])
    with dtrain.autocast("cpu"):
        loss = F.cross_entropy(x, y)
        assert F.mse_loss(x, x.float()).dtype == FLOAT
    assert loss.equal(F.cross_entropy(x.float(), y))


def test_lists_of_a_gpu(cuda_lists):
    x = dtrain.rand(3, 3).half()
    with dtrain.autocast("cpu", dtype=HALF):
        for function in (dtrain.exp, dtrain.log, dtrain.sum, dtrain.rsqrt, F.softplus, dtrain.tan):
            assert function(x).dtype == FLOAT, function
            assert function(x).equal(function(x.float())), function
        assert (x**2).dtype == dtrain.softmax(x, 0).dtype == F.layer_norm(x, (3,)).dtype == FLOAT
        assert x.sum(dtype=HALF).dtype == dtrain.softmax(x, 0, HALF).dtype == HALF
        assert dtrain.einsum("i,j->ij", x[0], x[1].float()).dtype == HALF
        assert dtrain.addcmul(x, x.float(), x).dtype == FLOAT
        assert (x + x).dtype == x.trace().dtype == HALF
        with pytest.raises(RuntimeError, match="unsafe to autocast on cpu: use binary_cross_entr"):
            F.binary_cross_entropy(x, x)
        assert F.binary_cross_entropy_with_logits(x, x).dtype == FLOAT


def test_tensors_in_named_tuples_are_converted():
    pair = dtrain.aminmax(dtrain.randn(3, 2), dim=0)
    mixed = pair._replace(min=pair.min.bfloat16())
    with dtrain.autocast("cpu"):
        assert dtrain.stack(mixed).equal(dtrain.stack((mixed.min.float(), mixed.max)))


def test_out_and_inplace_forms_compute_in_their_own_dtype():
    x, y = dtrain.randn(3, 4), dtrain.randn(4, 3)
    out, total = dtrain.empty(3, 3), dtrain.zeros(3, 3)
    with dtrain.autocast("cpu"):
        dtrain.mm(x, y, out=out)
        total.addmm_(x, y)
    assert out.equal(x @ y)
    assert total.equal(x @ y)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (lambda: nn.Conv2d(2, 3, 3), [(2, 2, 5, 5)]),
        (lambda: nn.ConvTranspose1d(2, 3, 3), [(2, 2, 5)]),
        (lambda: nn.LSTM(4, 5, 2), [(3, 2, 4)]),
        (lambda: nn.GRU(4, 5, bidirectional=True), [(3, 2, 4)]),
        (lambda: nn.MultiheadAttention(4, 2), [(3, 2, 4)] * 3),
        (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), [(3, 2, 4)]),
    ],
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_layers_have_gradients_of_their_parameters_dtype(module, shapes, dtype):
    dtrain.manual_seed(0)
    layer = module()
    inputs = [dtrain.randn(shape) for shape in shapes]
    found = []
    for enabled in (False, True):
        layer.zero_grad()
        with dtrain.autocast("cpu", dtype=getattr(dtrain, dtype), enabled=enabled):
            out = layer(*inputs)
            out = out[0] if isinstance(out, tuple) else out
        out.float().square().sum().backward()
        found.append([p.grad.clone() for p in layer.parameters()])
    for exact, ours in zip(*found, strict=True):
        assert ours.dtype == FLOAT
        error, size = (ours - exact).abs().max(), exact.abs().max()
        assert error <= 0.05 * size + 0.02
    assert any(not exact.equal(ours) for exact, ours in zip(*found)), "nothing was rounded"


# --- the cache ---


def test_parameters_are_converted_once_until_the_outermost_context_is_left():
    layer, x = nn.Linear(3, 3), dtrain.ones(1, 3)
    with dtrain.autocast("cpu"):
        with dtrain.autocast("cpu"):
            layer(x)
        first = autocast_mode.get_casts()[id(layer.weight)].cast
        layer(layer(x)).sum().backward()
        assert autocast_mode.get_casts()[id(layer.weight)].cast is first
        assert len(autocast_mode.get_casts()) == 2, "an input was kept"
    assert not autocast_mode.get_casts()
    with dtrain.autocast("cpu", cache_enabled=False):
        layer(x)
        assert not autocast_mode.get_casts()


@pytest.mark.parametrize(
    "write",
    [
        lambda layer: layer.weight.data.fill_(2.0),
        lambda layer: dtrain.optim.SGD(layer.parameters(), lr=1.0).step(),
        lambda layer: setattr(layer.weight, "data", layer.weight * 2),
    ],
)
def test_a_parameter_that_is_written_is_converted_again(write):
    layer, x = nn.Linear(2, 2), dtrain.ones(1, 2)
    layer(x).sum().backward()
    with dtrain.autocast("cpu"):
        before = layer(x)
        write(layer)
        after = layer(x)
        fresh = F.linear(x, layer.weight.detach(), layer.bias.detach())
    assert after.equal(fresh)
    assert not after.equal(before)


def test_a_parameter_is_converted_for_each_lower_precision():
    layer, x = nn.Linear(2, 2), dtrain.ones(1, 2)
    with dtrain.autocast("cpu"):
        layer(x)
        with dtrain.autocast("cpu", dtype=HALF):
            assert layer(x).dtype == HALF
        assert layer(x).dtype == BF16


def test_what_was_converted_without_a_graph_is_converted_again():
    layer, x = nn.Linear(2, 2), dtrain.ones(1, 2)
    with dtrain.autocast("cpu"):
        with dtrain.no_grad():
            layer(x)
        layer(x).sum().backward()
    assert layer.weight.grad is not None


# --- with the rest of autograd ---


def test_recomputation_is_in_the_same_settings():
    dtrain.manual_seed(0)
    layer, x = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4)), dtrain.randn(3, 4)
    found = []
    for recomputed in (False, True):
        layer.zero_grad()
        with dtrain.autocast("cpu"):
            layer[0](x)  # its weight is cached
            y = checkpoint(layer, x) if recomputed else layer(x)
            loss = F.mse_loss(y, x)
        loss.backward()
        found.append([y.tolist(), *(p.grad.tolist() for p in layer.parameters())])
    assert found[0] == found[1]


def test_a_compiled_function_has_a_graph_for_each_setting():
    dtrain.manual_seed(0)
    layer = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2))
    compiled, x = dtrain.compile(layer), dtrain.randn(3, 4)
    found = []
    for model in (layer, compiled):
        for enabled in (False, True, True, True, False, True):
            layer.zero_grad()
            with dtrain.autocast("cpu", enabled=enabled):
                layer(x)  # fills the cache
                out = model(x)
            out.float().sum().backward()
            assert out.dtype == (BF16 if enabled else FLOAT)
            found.append([out.tolist(), *(p.grad.tolist() for p in layer.parameters())])
            with dtrain.no_grad():
                layer[0].weight.mul_(1.0)
    assert found[:6] == found[6:]


def test_second_derivatives_and_hooks():
    x = dtrain.randn(3, 2, requires_grad=True)
    layer, seen = nn.Linear(2, 2), []
    layer.weight.register_hook(lambda g: seen.append(g.dtype))
    with dtrain.autocast("cpu"):
        out = layer(x).tanh()
        out.register_hook(lambda g: seen.append(g.dtype))
        (slope,) = grad(out.float().sum(), x, create_graph=True)
    assert slope.dtype == FLOAT
    (slope**2).sum().backward()
    assert seen == [BF16, FLOAT]  # of the output, of the weight
    h = 1e-2
    exact = layer.weight.grad.clone()
    assert exact.dtype == FLOAT
    assert exact.abs().max() > 0
    wide = x.detach().requires_grad_()
    layer.zero_grad()
    (slope,) = grad(layer(wide).tanh().sum(), wide, create_graph=True)
    (slope**2).sum().backward()
    assert (layer.weight.grad - exact).abs().max() < 5 * h


class Scaled(dtrain.autograd.Function):
    """x * 2, and the dtypes that its methods see."""

    seen: ClassVar[list] = []

    @staticmethod
    @amp.custom_fwd(device_type="cpu")
    def forward(ctx, x):
        Scaled.seen.append((x.dtype, (x @ x).dtype))
        return x * 2

    @staticmethod
    @amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        Scaled.seen.append((g.dtype, (g @ g).dtype))
        return g * 2


class Wide(dtrain.autograd.Function):
    """x * 2 in float32."""

    seen: ClassVar[list] = []

    @staticmethod
    @amp.custom_fwd(device_type="cpu", cast_inputs=FLOAT)
    def forward(ctx, x):
        Wide.seen.append((x.dtype, (x @ x).dtype))
        return x * 2

    @staticmethod
    @amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        Wide.seen.append((g.dtype, (g @ g).dtype))
        return g * 2


def test_custom_functions():
    x = dtrain.ones(2, 2, requires_grad=True)
    with dtrain.autocast("cpu"):
        y = Scaled.apply(x)
    y.sum().backward()
    assert Scaled.seen == [(FLOAT, BF16), (FLOAT, BF16)]
    with dtrain.autocast("cpu"):
        z = Wide.apply(x @ x)
        Wide.apply(x.double()[:, :].detach())
    z.sum().backward()
    assert Wide.seen == [(FLOAT, FLOAT), (dtrain.float64,) * 2, (FLOAT, FLOAT)]
    Wide.seen.clear()
    Wide.apply(x.detach().bfloat16())
    assert Wide.seen == [(BF16, BF16)], "outside of autocast nothing is converted"


def test_norms_of_halves_with_float32_parameters_give_halves():
    x = dtrain.randn(3, 4, 2).bfloat16()
    for layer in (nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True)):
        out = layer(x)
        assert out.dtype == BF16
        assert out.float().equal(rounded(layer(x.float())))


def test_float16_overflows_as_in_a_gpu():
    x = dtrain.full((1, 2), 300.0)
    with dtrain.autocast("cpu", dtype=HALF):
        assert np.isinf((x @ x.T).item())
