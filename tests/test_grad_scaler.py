"""GradScaler: steps that are skipped, how the scale changes, and PyTorch's refusals."""

import pickle

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.amp import GradScaler
from dtrain.checkpoint import load_checkpoint, save_checkpoint


def make(value=1.0, **options):
    """A parameter of two numbers, its optimizer, and a scaler."""
    weight = nn.Parameter(dtrain.full((2,), value))
    return weight, optim.SGD([weight], lr=0.5), GradScaler("cpu", **options)


def run_step(weight, optimizer, scaler, factor=1.0):
    optimizer.zero_grad()
    scaler.scale((weight * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()


def test_gradients_are_unscaled_before_the_step():
    weight, optimizer, scaler = make(init_scale=1024.0)
    loss = scaler.scale((weight * 3).sum())
    assert loss.item() == 6 * 1024
    loss.backward()
    assert weight.grad.tolist() == [3072, 3072]
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [3, 3]
    assert scaler.step(optimizer) is None
    assert weight.tolist() == [-0.5, -0.5]
    scaler.update()
    assert scaler.get_scale() == 1024


@pytest.mark.parametrize("factor", [np.inf, np.nan, -np.inf, 1e38])
def test_a_gradient_that_is_not_finite_skips_the_step(factor):
    weight, optimizer, scaler = make()
    run_step(weight, optimizer, scaler, factor)
    assert weight.tolist() == [1, 1]
    assert scaler.get_scale() == 2.0**15
    run_step(weight, optimizer, scaler)
    assert weight.tolist() == [0.5, 0.5]


def test_large_gradients_whose_sum_overflows_are_finite():
    weight, optimizer, scaler = make(init_scale=1.0)
    run_step(weight, optimizer, scaler, 3e38)
    assert weight.tolist() == pytest.approx([-1.5e38, -1.5e38])
    assert scaler.get_scale() == 1


def test_one_number_among_many_skips_the_step():
    weight = nn.Parameter(dtrain.zeros(40_000))
    bias = nn.Parameter(dtrain.zeros(3))
    optimizer, scaler = optim.SGD([weight, bias], lr=1.0), GradScaler("cpu")
    values = np.ones(40_000, np.float32)
    values[39_000] = np.inf
    scaler.scale((weight * dtrain.from_numpy(values)).sum() + bias.sum()).backward()
    scaler.step(optimizer)
    assert not weight.any()
    assert not bias.any()


def test_the_scale_grows_after_an_interval_of_good_steps():
    weight, optimizer, scaler = make(init_scale=4.0, growth_factor=3.0, growth_interval=2)
    scales = []
    for factor in (1, 1, 1, np.inf, 1, 1, 1):
        run_step(weight, optimizer, scaler, factor)
        scales.append(scaler.get_scale())
    assert scales == [4, 12, 12, 6, 6, 18, 18]


def test_the_scale_does_not_grow_to_infinity():
    weight, optimizer, scaler = make(init_scale=2.0**127, growth_interval=1)
    run_step(weight, optimizer, scaler, 2.0**-60)
    assert scaler.get_scale() == 2.0**127


def test_several_losses_and_optimizers():
    scaler, pairs = GradScaler("cpu", init_scale=8.0), []
    for value in (1.0, 2.0):
        weight = nn.Parameter(dtrain.full((1,), value))
        pairs.append((weight, optim.SGD([weight], lr=1.0)))
    losses = [pairs[0][0].sum(), (pairs[1][0] * np.inf).sum()]
    scaled = scaler.scale(losses)
    assert isinstance(scaled, list)
    assert scaled[0].item() == 8
    for loss in scaled:
        loss.backward()
    for _, optimizer in pairs:
        scaler.step(optimizer)
    scaler.update()
    assert [weight.item() for weight, _ in pairs] == [0, 2], "each optimizer for itself"
    assert scaler.get_scale() == 4


def test_misuse_is_refused_as_in_pytorch():
    weight, optimizer, scaler = make()
    with pytest.raises(AssertionError, match="Attempted step but no loss was scaled"):
        scaler.step(optimizer)
    with pytest.raises(AssertionError, match="Attempted unscale_ but"):
        scaler.unscale_(optimizer)
    scaler.scale(weight.sum()).backward()
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        scaler.update()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) has already been called on this optim"):
        scaler.unscale_(optimizer)
    with pytest.raises(AssertionError, match="may only be pickled at the beginning"):
        pickle.dumps(scaler)
    with pytest.raises(RuntimeError, match="Closure use is not currently supported"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called since the last"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) is being called after step\(\)"):
        scaler.unscale_(optimizer)
    scaler.update()
    with pytest.raises(ValueError, match="outputs must be a Tensor or an iterable of Tensors, got"):
        scaler.scale(3)
    with pytest.raises(AssertionError, match="growth factor must be > 1"):
        GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff factor must be < 1"):
        GradScaler("cpu", backoff_factor=1.0)


def test_float16_parameters_are_refused():
    weight = nn.Parameter(dtrain.ones(2).half())
    optimizer, scaler = optim.SGD([weight], lr=1.0), GradScaler("cpu", init_scale=2.0)
    scaler.scale(weight.sum()).backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.step(optimizer)
    assert weight.grad.tolist() == [2, 2]


def test_a_disabled_scaler_does_nothing():
    weight, optimizer, scaler = make(enabled=False)
    loss = weight.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    assert scaler.step(optimizer, lambda: 7) == 7
    scaler.update()
    assert weight.tolist() == [0.5, 0.5]
    assert scaler.get_scale() == 1
    assert scaler.state_dict() == {}
    assert not scaler.is_enabled()
    scaler.load_state_dict({"scale": 2.0})


@pytest.mark.skipif(dtrain.cuda.is_available(), reason="a GPU")
def test_without_a_gpu_the_scaler_of_gpus_is_disabled():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not GradScaler().is_enabled()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not dtrain.cuda.amp.GradScaler(init_scale=2.0).is_enabled()
    assert dtrain.cpu.amp.GradScaler(init_scale=2.0).get_scale() == 2


def test_new_scale():
    _, _, scaler = make()
    scaler.scale(dtrain.ones(1))
    scaler.update(8.0)
    assert scaler.get_scale() == 8
    scaler.update(dtrain.tensor([16.0]))
    assert scaler.get_scale() == 16
    with pytest.raises(AssertionError, match="should be a float or a 1-element tensor"):
        scaler.update(dtrain.ones(2))


def test_settings():
    scaler = GradScaler("cpu")
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor()) == (2.0, 0.5)
    assert scaler.get_growth_interval() == 2000
    scaler.set_growth_factor(4.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(3)
    assert scaler.state_dict() == {
        "scale": 65536.0, "growth_factor": 4.0, "backoff_factor": 0.25, "growth_interval": 3,
        "_growth_tracker": 0,
    }  # fmt: skip


def test_the_state_is_that_of_the_checkpoint(tmp_path):
    weight, optimizer, scaler = make(init_scale=32.0, growth_interval=3)
    run_step(weight, optimizer, scaler)
    run_step(weight, optimizer, scaler)
    save_checkpoint(tmp_path, 1, scaler=scaler)
    _, _, other = make()
    load_checkpoint(tmp_path, scaler=other)
    copy = pickle.loads(pickle.dumps(scaler))
    assert other.state_dict() == copy.state_dict() == scaler.state_dict()
    for restored in (other, copy):
        run_step(weight, optimizer, restored)
        assert restored.get_scale() == 64
    with pytest.raises(RuntimeError, match="The source state dict is empty"):
        other.load_state_dict({})
    with pytest.raises(KeyError, match="the state dict has no _growth_tracker, growth_interval"):
        other.load_state_dict({"scale": 1.0, "growth_factor": 2.0, "backoff_factor": 0.5})
    assert other.get_scale() == 64


def test_a_schedule_goes_on_where_a_step_is_skipped():
    weight, optimizer, scaler = make()
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    run_step(weight, optimizer, scaler, np.inf)
    schedule.step()
    run_step(weight, optimizer, scaler)
    assert weight.tolist() == [0.75, 0.75]
