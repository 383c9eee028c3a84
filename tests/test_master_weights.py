"""Optimizers with master_weights=True: weights of halves are kept in float32, with their state."""

from __future__ import annotations

import copy

import pytest

import dtrain
from dtrain import nn, optim
from tests.cases.optimizer_cases import OPTIMIZERS

HALVES = [dtrain.float16, dtrain.bfloat16]
#: Adafactor refuses them.
ROWS = {name: row for name, row in OPTIMIZERS.items() if row[0] != "Adafactor"}


def make(name, options, dtype, **more):
    dtrain.manual_seed(0)
    param = nn.Parameter(dtrain.randn(8, 8).to(dtrain.float16).to(dtrain.bfloat16).to(dtype))
    return param, getattr(optim, name)([param], lr=2**-9, **options, **more)


def steps(param, optimizer, start, stop):
    for step in range(start, stop):
        dtrain.manual_seed(step)
        grad = dtrain.randn(8, 8).to(dtrain.float16).to(dtrain.bfloat16)  # both halves hold it
        param.grad = grad.to(param.dtype)
        optimizer.step()
    return param.tolist()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(("name", "options"), ROWS.values(), ids=ROWS.keys())
def test_many_steps_are_those_of_float32_rounded_once(name, options, dtype):
    half, optimizer = make(name, options, dtype, master_weights=True)
    full, reference = make(name, options, dtrain.float32, master_weights=True)
    steps(half, optimizer, 0, 20)
    steps(full, reference, 0, 20)
    assert half.dtype == dtype
    assert half.tolist() == full.to(dtype).tolist()
    state, expected = optimizer.state[half], reference.state[full]
    assert state.pop("master_param").tolist() == full.tolist()
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert (state[key].dtype, state[key].tolist()) == (value.dtype, value.tolist()), key


@pytest.mark.parametrize("change", ["resumed", "copied"])
def test_a_run_that_goes_on_elsewhere_has_the_bits_of_one_that_did_not(change, tmp_path):
    options = {"master_weights": True}
    whole = steps(*make("AdamW", {}, dtrain.bfloat16, **options), 0, 20)
    param, optimizer = make("AdamW", {}, dtrain.bfloat16, **options)
    steps(param, optimizer, 0, 11)
    if change == "copied":
        param, optimizer = copy.deepcopy((param, optimizer))
    else:
        dtrain.save([param.detach(), optimizer.state_dict()], tmp_path / "state")
        values, state = dtrain.load(tmp_path / "state")
        param, optimizer = make("AdamW", {}, dtrain.bfloat16, **options)
        param.data = values
        optimizer.load_state_dict(state)
    assert steps(param, optimizer, 11, 20) == whole


def test_values_that_somebody_writes_are_gone_on_from():
    param, optimizer = make("SGD", {}, dtrain.bfloat16, master_weights=True)
    steps(param, optimizer, 0, 5)
    with dtrain.no_grad():
        param[0] = 7.0
        param[1] = float("nan")
    kept = optimizer.state[param]["master_param"].clone()
    param.grad = dtrain.zeros_like(param)
    optimizer.step()
    master = optimizer.state[param]["master_param"]
    assert master[0].tolist() == [7.0] * 8
    assert bool(master[1].isnan().all())
    assert master[2:].tolist() == kept[2:].tolist()


def test_parameters_of_float32_need_none():
    param, optimizer = make("AdamW", {}, dtrain.float32, master_weights=True)
    other, without = make("AdamW", {}, dtrain.float32)
    assert steps(param, optimizer, 0, 3) == steps(other, without, 0, 3)
    assert optimizer.state[param].keys() == without.state[other].keys()


def test_a_model_moved_to_another_dtype_goes_on():
    layer = nn.Linear(3, 2)
    optimizer = optim.Adam(layer.parameters(), lr=0.01, master_weights=True)
    for dtype, kept in ((dtrain.bfloat16, dtrain.float32), (dtrain.float64, dtrain.float64)):
        layer.to(dtype)
        layer(dtrain.ones(1, 3, dtype=dtype)).sum().backward()
        optimizer.step()
        state = optimizer.state[layer.weight]
        assert state["exp_avg"].dtype == kept
        assert ("master_param" in state) == (dtype == dtrain.bfloat16)


def test_what_would_lose_them_is_refused():
    param, optimizer = make("AdamW", {}, dtrain.float16, master_weights=True)
    steps(param, optimizer, 0, 1)
    _, without = make("AdamW", {}, dtrain.float16)
    with pytest.raises(ValueError, match="made without master_weights=True"):
        without.load_state_dict(optimizer.state_dict())
    with pytest.raises(NotImplementedError, match="Adafactor: master_weights"):
        optim.Adafactor([param], master_weights=True)
