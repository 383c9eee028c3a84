"""Every module of the table gives on CuPy what it gives on NumPy, forward and backward."""

import numpy as np
import pytest

import dtrain
from dtrain.backend import to_host
from tests.cases.layer_case import filled, ran_backward, tensors
from tests.cases.layer_cases import MODULES


def trained(name, device, dtype=dtrain.float32, steps=2):
    """All that passes leave: outputs, the inputs' gradients, those of parameters, the state."""
    layer = MODULES[name]
    dtrain.manual_seed(0)
    module = filled(layer, dtrain.nn).to(device).to(dtype)
    arrays = {}
    for step in range(steps):  # the second sees what the first left in the buffers
        inputs = [
            x.detach().to(dtype).requires_grad_(x.requires_grad) if x.is_floating_point() else x
            for x in tensors(layer, dtrain, step, device=device)
        ]
        outputs = ran_backward(layer, dtrain, module, inputs)
        arrays |= {f"output {step}.{n}": out for n, out in enumerate(outputs)}
        arrays |= {f"input {step}.{n}": x.grad for n, x in enumerate(inputs) if x.grad is not None}
    grads = {f"gradient of {name}": p.grad for name, p in module.named_parameters()}
    arrays |= {name: grad for name, grad in grads.items() if grad is not None}
    return {name: tensor.array for name, tensor in (arrays | module.state_dict()).items()}


@pytest.mark.parametrize("name", MODULES)
def test_cupy_gives_what_numpy_gives(name):
    cupy = pytest.importorskip("cupy")
    expected, given = trained(name, "cpu"), trained(name, "cuda")
    assert given.keys() == expected.keys()
    for what, host in expected.items():
        array = given[what]
        assert isinstance(array, cupy.ndarray), what
        assert (array.dtype, array.shape) == (host.dtype, host.shape)
        largest = np.abs(host[np.isfinite(host)]).max(initial=1)
        tolerance = 1e-5 * float(largest)
        np.testing.assert_allclose(to_host(array), host, rtol=1e-4, atol=tolerance, err_msg=what)


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n in MODULES if n != "Transformer"])  # a float32 mask
def test_modules_of_halves_give_what_numpy_gives(name):
    """The largest number says how much is rounding: a bias before BatchNorm has no gradient."""
    pytest.importorskip("cupy")
    expected, given = (trained(name, device, dtrain.float16, 1) for device in ("cpu", "cuda"))
    assert given.keys() == expected.keys()
    largest = max(np.abs(a[np.isfinite(a)]).max(initial=0) for a in expected.values())
    for what, host in expected.items():
        array = to_host(given[what])
        assert (array.dtype, array.shape) == (host.dtype, host.shape), what
        tolerance = 2**-8 * float(largest)
        np.testing.assert_allclose(array, host, rtol=2**-7, atol=tolerance, err_msg=what)
