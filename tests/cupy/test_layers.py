"""Every module of the table gives on CuPy what it gives on NumPy, forward and backward."""

import numpy as np
import pytest

import dtrain
from dtrain.backend import to_host
from tests.cases.layer_case import filled, ran_backward, tensors
from tests.cases.layer_cases import MODULES


def trained(name, device):
    """All that two passes leave: outputs, the inputs' gradients, those of parameters, the state."""
    layer = MODULES[name]
    dtrain.manual_seed(0)
    module = filled(layer, dtrain.nn).to(device)
    arrays = {}
    for step in range(2):  # the second sees what the first left in the buffers
        inputs = tensors(layer, dtrain, step, device=device)
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
        np.testing.assert_allclose(to_host(array), host, rtol=1e-4, atol=1e-5, err_msg=what)
