"""Graphs of a model that is moved to another device after it was recorded or saved."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from tests.jit.test_files import through_a_file
from tests.jit.test_other_inputs import FORMS


@pytest.mark.parametrize("form", FORMS)
def test_a_model_runs_where_it_is_moved(form):
    model, x = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), dtrain.randn(2, 3)
    right = model(x).detach().numpy()
    made = FORMS[form](model, x)
    for device in ("cpu", "cuda", "cpu", "cuda"):
        made.to(device)
        for _ in range(3):  # recorded, verified, run
            got = made(x.to(device))
            assert got.device.type == device
            np.testing.assert_allclose(got.detach().cpu().numpy(), right, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
        made(x)


def test_a_trace_from_a_file_is_on_the_device_that_is_asked_for():
    x = dtrain.randn(2, 3)
    loaded = through_a_file(dtrain.jit.trace(nn.Linear(3, 2), x))
    with pytest.raises(RuntimeError, match="same device, got cpu and cuda:0"):
        loaded(x.to("cuda"))
    assert loaded.to("cuda")(x.to("cuda")).is_cuda
