"""Every optimizer of the table steps on CuPy as on NumPy, and keeps its state on the device."""

import numpy as np
import pytest

import dtrain
from dtrain import optim
from dtrain.backend import to_host
from tests.cases.layer_case import numbers
from tests.cases.optimizer_cases import BY_PARAMETER, OPTIMIZERS

#: the parts of a state that are numbers, on the host
NUMBERS = ("step", "mu_product", "eta", "mu")
ROWS = OPTIMIZERS | BY_PARAMETER


def stepping(name, options, device):
    """Steps on two groups of parameters, one of which has no gradient at times."""
    shapes = [(3, 4), (4, 3), (2, 2)] if name == "Muon" else [(3, 2), (), (5,), (2, 2)]
    params = [
        dtrain.tensor(numbers(shape, n), device=device, requires_grad=True)
        for n, shape in enumerate(shapes)
    ]
    groups = [{"params": params[:-1]}, {"params": params[-1:], "lr": 0.003}]
    optimizer = getattr(optim, name)(groups, lr=0.02, **options)
    for step in range(6):
        for n, param in enumerate(params):
            grad = dtrain.tensor(numbers(param.shape, 10 * step + n), device=device)
            param.grad = None if n == 1 and step % 3 == 1 else grad
        yield optimizer  # the gradients are there
        optimizer.step()
        yield optimizer


def left(name, options, device):
    """Parameters and states after the steps, in a row."""
    *_, optimizer = stepping(name, options, device)
    return [
        tensor.array
        for param, state in optimizer.state.items()
        for tensor in (param, *(state[key] for key in state if key not in NUMBERS))
    ]


@pytest.mark.parametrize("row", ROWS)
def test_steps_and_states_are_those_of_numpy(row):
    cupy = pytest.importorskip("cupy")
    expected, given = left(*ROWS[row], "cpu"), left(*ROWS[row], "cuda")
    for host, array in zip(expected, given, strict=True):
        assert isinstance(array, cupy.ndarray)
        np.testing.assert_allclose(to_host(array), host, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [dtrain.float16, dtrain.bfloat16], ids=str)
def test_master_weights_are_those_of_numpy_in_three_launches(dtype, counts):
    def stepped(device):
        param = dtrain.linspace(-2, 2, 99).to(dtype).to(device).requires_grad_()
        optimizer = optim.AdamW([param], lr=1e-5, master_weights=True)
        for step in range(4):
            with dtrain.no_grad():
                param[step] = 3.0  # which the weights follow
            param.grad = dtrain.from_numpy(numbers((99,), step)).to(dtype).to(device)
            counts()
            optimizer.step()
        assert device == "cpu" or sum(counts().values()) == 3
        state = optimizer.state[param]
        return [state[name].cpu().numpy() for name in ("master_param", "exp_avg_sq")]

    for a, b in zip(stepped("cuda"), stepped("cpu")):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("row", ROWS)
def test_a_step_copies_nothing(row, copies):
    steps = stepping(*ROWS[row], "cuda")
    for _ in steps:
        copies()
        next(steps)
        assert copies() == (0, 0)
