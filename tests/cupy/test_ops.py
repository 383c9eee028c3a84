"""Every operation of the table gives on CuPy what it gives on NumPy, forward and backward."""

import numpy as np
import pytest

import dtrain
from dtrain.backend import to_host
from tests.cases.table import CASES
from tests.cupy.conftest import EVERY_SAMPLE, HOSTED

SAMPLES = [
    pytest.param(
        case,
        sample,
        id=f"{case} {sample}",
        marks=pytest.mark.skipif(
            case.solver and HOSTED, reason="cuSOLVER and cuFFT are not emulated on host memory"
        ),
    )
    for case in CASES
    if case.op != "to_device"  # its row stays on the host; see test_devices.py
    for sample in (case.samples if EVERY_SAMPLE else case.samples[:1])
]


class DtrainOn:
    """dtrain, whose `tensor` makes tensors on `device`."""

    def __init__(self, device):
        self._device = device

    def __getattr__(self, name):
        return getattr(dtrain, name)

    def tensor(self, data, **how):
        return dtrain.tensor(data, **how, device=self._device)


def outputs_and_gradients(case, sample, device, dtype=dtrain.float32):
    """As arrays of the device, outputs first; None for a gradient that is not there."""
    dtrain.manual_seed(0)
    inputs = [
        dtrain.tensor(array, dtype=dtype, device=device, requires_grad=case.differentiable)
        for array in case.arrays(sample)
    ]
    outputs = case.run(DtrainOn(device), *inputs)
    for out in outputs:
        if out.requires_grad:
            weights = np.cos(np.arange(out.numel())).reshape(out.shape)
            gradient = dtrain.tensor(weights, dtype=out.dtype, device=out.device)
            out.backward(gradient, retain_graph=True)
    return [x if x is None else x.array for x in (*outputs, *(x.grad for x in inputs))]


@pytest.mark.parametrize(("case", "sample"), SAMPLES)
def test_cupy_gives_what_numpy_gives(case, sample):
    cupy = pytest.importorskip("cupy")
    expected = outputs_and_gradients(case, sample, "cpu")
    given = outputs_and_gradients(case, sample, "cuda")
    assert len(given) == len(expected)
    for array, host in zip(given, expected):
        assert (array is None) == (host is None)
        if array is not None:
            assert isinstance(array, cupy.ndarray)
            assert (array.dtype, array.shape) == (host.dtype, host.shape)
            np.testing.assert_allclose(to_host(array), host, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("half", [dtrain.float16, dtrain.bfloat16])
@pytest.mark.parametrize(
    ("case", "sample"),
    # its other argument is an array that its callers give in float32
    [p for p in SAMPLES if p.values[0].op != "log_gamma_quantile"],
)
def test_halves_give_what_numpy_gives(case, sample, half):
    """Outputs and gradients have the dtype of NumPy's, and its values within a tolerance, as sums
    may be rounded more often. Inputs that NumPy refuses, such as complex halves, CuPy refuses."""
    pytest.importorskip("cupy")
    try:
        expected = outputs_and_gradients(case, sample, "cpu", half)
    except (RuntimeError, TypeError, ValueError) as refusal:
        with pytest.raises(type(refusal)):
            outputs_and_gradients(case, sample, "cuda", half)
        return
    given = outputs_and_gradients(case, sample, "cuda", half)
    assert len(given) == len(expected)
    for array, host in zip(given, expected):
        assert (array is None) == (host is None)
        if array is not None:
            assert (array.dtype, array.shape) == (host.dtype, host.shape)
            found, host = (widened(a) for a in (to_host(array), host))
            tolerance = 2**-8 if half == dtrain.float16 else 2**-6
            if case.op == "F.multi_head_attention_forward":  # exp of products that were rounded
                tolerance *= 8
            largest = np.abs(host[np.isfinite(host)]).max(initial=0)
            np.testing.assert_allclose(found, host, rtol=tolerance, atol=tolerance * largest)


def widened(array):
    return array if array.dtype.kind in "biuc" else array.astype(np.float64)


def second_derivatives(case, sample, device):
    """The gradients of the squared gradients of the outputs' squares, as arrays."""
    dtrain.manual_seed(0)
    leaves = [
        dtrain.tensor(array, device=device, requires_grad=True) for array in case.arrays(sample)
    ]
    outputs = [out for out in case.run(DtrainOn(device), *leaves) if out.requires_grad]
    loss = sum((out * out).sum() for out in outputs)
    first = dtrain.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
    slopes = [(g * g).sum() for g in first if g.requires_grad]
    return [g.array for g in dtrain.autograd.grad(slopes, leaves, materialize_grads=True)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("case", "sample"),
    [p for p in SAMPLES if p.values[0].differentiable and p.values[1] is p.values[0].samples[0]],
)
def test_second_derivatives_are_those_of_numpy(case, sample):
    cupy = pytest.importorskip("cupy")
    expected = second_derivatives(case, sample, "cpu")
    given = second_derivatives(case, sample, "cuda")
    for array, host in zip(given, expected):
        assert isinstance(array, cupy.ndarray)
        np.testing.assert_allclose(to_host(array), host, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["i0e", "i1e"])
def test_scaled_bessel_functions_do_not_overflow(name):
    pytest.importorskip("cupy")
    values = np.array([-1e4, -39, 39, 41, 100, 1e30], np.float32)
    given = getattr(dtrain.special, name)(dtrain.tensor(values, device="cuda"))
    host = getattr(dtrain.special, name)(dtrain.tensor(values))
    np.testing.assert_allclose(to_host(given.array), host.numpy(), rtol=1e-6)
