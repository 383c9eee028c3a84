"""Complex tensors: PyTorch's gradients, dtypes, views, refusals; saved, printed, optimized."""

import numpy as np
import pytest

import dtrain
from dtrain import autograd, complex64, complex128, float32, float64, int64, nn, optim
from dtrain.errors import GradcheckError


def leaf(*values, dtype=complex128):
    return dtrain.tensor(list(values), dtype=dtype, requires_grad=True)


def test_the_gradient_is_that_of_the_real_part_plus_i_times_that_of_the_imaginary_part():
    z = leaf(1 + 2j, 3 - 1j)
    seen = []
    y = z * 2j
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.retain_grad()
    (y.real * 5 + y.imag * 7).sum().backward()
    assert seen == [[5 + 7j, 5 + 7j]]
    assert y.grad.tolist() == seen[0]
    assert z.grad.tolist() == [(5 + 7j) * -2j] * 2
    (abs(z) ** 2).sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), (5 + 7j) * -2j + 2 * z.detach().numpy())
    y = z * 2j
    (inner,) = autograd.grad((y * y).imag.sum(), y)
    np.testing.assert_allclose(inner.numpy(), 1j * 2 * y.detach().numpy().conj())


def test_a_hook_and_a_gradient_of_the_users_are_pytorchs():
    z = leaf(1 + 2j)
    y = z * 1j
    y.register_hook(lambda g: g + 1j)
    y.backward(dtrain.tensor([3 + 0j], dtype=complex128))
    assert z.grad.tolist() == [(3 + 1j) * -1j]


class Conjugate(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return dtrain.tensor(x.numpy(force=True).conj())

    @staticmethod
    def backward(ctx, g):
        return g.conj()


class Wrong(Conjugate):
    @staticmethod
    def backward(ctx, g):
        return g


def test_a_function_of_the_users_gets_and_returns_pytorchs_gradients():
    z = leaf(1 + 2j, 0.5j)
    assert autograd.gradcheck(Conjugate.apply, z)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        autograd.gradcheck(Wrong.apply, z)


def test_gradients_of_real_tensors_beside_complex_ones_are_real():
    x = dtrain.tensor([2.0, 3.0], requires_grad=True)
    (x * 1j * leaf(1j, 2j, dtype=complex64)).real.sum().backward()
    assert x.grad.dtype == float32
    assert x.grad.tolist() == [-1.0, -2.0]


def _write(name):
    def write(x, y):
        base = x * 1
        view = getattr(dtrain, name)(base)
        view[0] = (y if name == "view_as_real" else y[..., 0])[0]
        return base * base

    return write


def _write_through_two_views(x, y):
    base = x * 1
    dtrain.view_as_complex(dtrain.view_as_real(base))[0].mul_(dtrain.view_as_complex(y)[0])
    return base * base


def _write_pairs(x, y):
    base = y * 1
    dtrain.view_as_complex(base)[0] = x[0]
    return base * base * base


@pytest.mark.parametrize(
    "function",
    [
        _write("real"),
        _write("imag"),
        _write("view_as_real"),
        _write_through_two_views,
        _write_pairs,
    ],
    ids=["real", "imag", "view_as_real", "two views", "view_as_complex"],
)
def test_writes_to_views_of_parts_are_writes_to_the_base(function):
    rng = np.random.default_rng(0)
    x = dtrain.from_numpy(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))).requires_grad_()
    y = dtrain.from_numpy(rng.normal(size=(2, 2, 2))).requires_grad_()
    assert autograd.gradcheck(function, (x, y))
    assert autograd.gradgradcheck(function, (x, y))


def test_real_and_imag_and_view_as_real_share_memory():
    z = dtrain.zeros(2, dtype=complex64)
    z.real[0], z.imag[1] = 3, 4
    dtrain.view_as_real(z)[0, 1] = 5
    assert z.tolist() == [3 + 5j, 4j]
    assert dtrain.view_as_complex(dtrain.view_as_real(z)).data_ptr() == z.data_ptr()


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (complex64, float32, complex64),
        (complex64, float64, complex128),
        (complex64, int64, complex64),
        (complex128, dtrain.float16, complex128),
        (dtrain.bfloat16, complex64, complex64),
        (dtrain.bool, complex64, complex64),
    ],
)
def test_two_tensors_promote(x, y, expected):
    assert (dtrain.ones(2, dtype=x) * dtrain.ones(2, dtype=y)).dtype == expected
    assert dtrain.promote_types(y, x) == expected


def test_numbers_and_0d_tensors_promote_by_their_kind():
    single = dtrain.ones((), dtype=complex128)
    assert (dtrain.ones(2) * 1j).dtype == (dtrain.ones(2) + single).dtype == complex64
    assert (dtrain.ones(2, dtype=float64) * 1j).dtype == complex128
    assert (dtrain.ones(2, dtype=float64) * dtrain.ones((), dtype=complex64)).dtype == complex128
    assert (dtrain.ones(2, dtype=int64) * 1j).dtype == complex64
    assert (dtrain.ones(2, dtype=complex64) * 2.5).dtype == complex64
    assert (1j + dtrain.ones(2, dtype=complex64)).tolist() == [1 + 1j] * 2
    assert dtrain.tensor([1, 2j]).dtype == dtrain.full((1,), 2j).dtype == complex64
    assert (dtrain.ones(1) == 1j).tolist() == [False]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda z: z < 2, NotImplementedError, "lt: expected real numbers, got complex64"),
        (lambda z: dtrain.ones(2) < 1j, NotImplementedError, "lt: expected real numbers"),
        (lambda z: z.max(), NotImplementedError, "amax: expected real numbers"),
        (lambda z: z.sort(), NotImplementedError, "sort: expected real numbers"),
        (lambda z: z.unique(), NotImplementedError, "unique: expected real numbers"),
        (lambda z: z // 2, NotImplementedError, "floor_divide: expected real numbers"),
        (lambda z: z.relu(), NotImplementedError, "relu: expected real numbers"),
        (lambda z: z.softmax(0), NotImplementedError, "softmax"),
        (lambda z: dtrain.conv1d(z[None], z.real[None, None]), RuntimeError, "conv1d: the dtypes"),
        (lambda z: nn.functional.max_pool1d(z[None], 2), NotImplementedError, "max_pool1d: expected"),
        (lambda z: dtrain.ones(2).fill_(1j), RuntimeError, "value 1j cannot be converted"),
        (lambda z: dtrain.ones(2).mul_(1j), RuntimeError, "result type complex64 can't be cast"),
        (lambda z: dtrain.tensor([1j], dtype=float32), RuntimeError, "cannot be converted"),
        (lambda z: dtrain.imag(z.real), RuntimeError, "imag: expected a complex tensor"),
        (lambda z: dtrain.view_as_real(z.real), RuntimeError, "expected a complex tensor"),
        (lambda z: dtrain.view_as_complex(dtrain.ones(3)), RuntimeError, "a last dimension of size 2"),
        (lambda z: dtrain.view_as_complex(dtrain.ones(2, 3).T.repeat(1, 1).T[:, :2]),
         RuntimeError, "side by side in memory"),
        (lambda z: dtrain.complex(z.real, z.real.double()), RuntimeError, "complex: expected two"),
        (lambda z: (z.requires_grad_() * 1).sum().backward(), RuntimeError, "real scalar outputs"),
        (lambda z: z.real.requires_grad_().sum().backward(dtrain.tensor(1j)), RuntimeError,
         "expected a gradient of dtype float32"),
        (lambda z: optim.LBFGS([z.requires_grad_()]), RuntimeError, "parameter 0 is complex"),
        (lambda z: optim.Muon([z.reshape(1, 2).detach().requires_grad_()]), RuntimeError,
         "parameter 0 is complex"),
    ],
)  # fmt: skip
def test_what_complex_numbers_cannot_do_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(dtrain.tensor([1 + 2j, 3 - 1j]))


def test_they_are_printed_as_by_pytorch():
    assert repr(dtrain.tensor([1 + 2j, 3 - 1j])) == "tensor([1.+2.j, 3.-1.j])"
    assert repr(dtrain.tensor([[1.5 + 2j, 3 - 1.25j], [100, -0.1j]])) == (
        "tensor([[  1.5000+2.0000j,   3.0000-1.2500j],\n"
        "        [100.0000+0.0000j,  -0.0000-0.1000j]])"
    )
    assert repr(dtrain.tensor(1j, dtype=complex128)) == "tensor(0.+1.j, dtype=complex128)"


def test_new_tensors():
    dtrain.manual_seed(0)
    z = dtrain.randn(20000, dtype=complex64)
    assert abs(z.real.var().item() - 0.5) < 0.02
    assert abs(z.imag.var().item() - 0.5) < 0.02
    u = dtrain.rand(1000, dtype=complex128)
    assert u.real.min() >= 0
    assert u.imag.max() < 1
    assert u.imag.std() > 0.2
    layer = nn.Linear(3, 4, dtype=complex64)
    assert layer(dtrain.ones(2, 3, dtype=complex64)).shape == (2, 4)
    assert complex(dtrain.tensor(2 + 1j)) == dtrain.tensor(2 + 1j).item() == 2 + 1j


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.Rprop(p, lr=0.1),
        lambda p: optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.5),
    ],
    ids=["SGD", "Adam", "Rprop", "Adagrad"],
)
def test_optimizers_update_both_parts_as_numbers_of_their_own(make):
    start = dtrain.randn(2, 3, dtype=complex64)
    z = start.clone().requires_grad_()
    pairs = dtrain.view_as_real(start.clone()).contiguous().requires_grad_()
    for param, read in ((z, lambda p: p), (pairs, dtrain.view_as_complex)):
        optimizer = make([param])
        for step in range(3):
            optimizer.zero_grad()
            w = read(param)
            ((w * w - step).abs() + w.real * w.imag).sum().backward()
            optimizer.step()
    assert dtrain.view_as_real(z.detach()).numpy().tobytes() == pairs.detach().numpy().tobytes()


def test_a_module_keeps_imaginary_parts_where_its_dtype_changes():
    layer = nn.Linear(2, 2, dtype=complex64)
    imaginary = layer.weight.detach().imag.tolist()
    for change in (layer.double, layer.half, lambda: layer.to(float64), lambda: layer.to("cpu")):
        change()
        assert layer.weight.dtype == complex64
        assert layer.weight.detach().imag.tolist() == imaginary
    assert layer.to(complex128).bias.dtype == complex128
    assert nn.Linear(2, 2).to(complex64).weight.dtype == complex64


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_they_are_saved_and_loaded(ending, tmp_path):
    state = {"w": dtrain.randn(2, 3, dtype=complex64)}
    dtrain.save(state, tmp_path / f"a.{ending}")
    back = dtrain.load(tmp_path / f"a.{ending}")["w"]
    assert back.dtype == complex64
    assert dtrain.equal(back, state["w"])


def test_assert_close_compares_both_parts():
    with pytest.raises(AssertionError, match="not close"):
        dtrain.testing.assert_close(dtrain.tensor([1j, 2]), dtrain.tensor([1.01j, 2]))


def test_fourier_transforms_refuse_what_pytorch_refuses():
    x = dtrain.ones(4)
    for call, message in (
        (lambda: dtrain.fft.rfft(x * 1j), "rfft: expected a real tensor"),
        (lambda: dtrain.fft.fft(x, 0), "at least one element"),
        (lambda: dtrain.fft.fft(x, norm="x"), "invalid norm 'x'"),
        (lambda: dtrain.fft.fftn(x, dim=(0, 0)), "different dimensions"),
        (lambda: dtrain.fft.rfftn(x, s=()), "rfftn: expected at least one dimension"),
        (lambda: dtrain.fft.irfft2(x, dim=()), "irfft2: expected at least one dimension"),
        (lambda: dtrain.fft.fftn(x, s=(2, 2), dim=(0,)), "as many lengths as dimensions"),
        (lambda: dtrain.stft(x, 4), "return_complex"),
        (lambda: dtrain.stft(x, 4, window=x[:3], return_complex=True), "a window of win_length=4"),
        (lambda: dtrain.istft(x[:, None], 6), "expected complex spectra"),
        (lambda: dtrain.istft(dtrain.ones(3, 4, dtype=complex64), 6), "expected 4 frequencies"),
    ):
        with pytest.raises(RuntimeError, match=message):
            call()
    weights = dtrain.hann_window(8)
    spectra = dtrain.stft(dtrain.ones(24), 8, window=weights, center=False, return_complex=True)
    with pytest.raises(RuntimeError, match="squared windows sum to 0"):
        dtrain.istft(spectra, 8, window=weights, center=False)


def test_transforms_of_float32_stay_in_single_precision_and_frequencies_are_numpys():
    assert dtrain.fft.rfft2(dtrain.ones(4, 4)).dtype == complex64
    assert dtrain.fft.irfft2(dtrain.ones(4, 3, dtype=complex64)).dtype == float32
    np.testing.assert_allclose(dtrain.fft.fftfreq(5, 0.5), np.fft.fftfreq(5, 0.5), rtol=1e-6)
    np.testing.assert_allclose(dtrain.fft.rfftfreq(6), np.fft.rfftfreq(6), rtol=1e-6)
