"""Moving tensors, models and checkpoints between the host and a device."""

import io
import sys

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.checkpoint import load_checkpoint, save_checkpoint
from dtrain.train import Checkpoints
from tests.listings.test_listings import listing, run


def test_there_and_back():
    x = dtrain.arange(6).reshape(2, 3)
    there = x.to("cuda")
    assert there.is_cuda
    assert there.device == dtrain.device("cuda:0")
    assert there.to("cuda") is there
    assert there.cpu().tolist() == x.cuda().tolist() == x.tolist()
    assert "device='cuda:0'" in repr(there)


def test_gradients_cross_the_devices():
    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    (x.cuda() * 3).sum().backward()
    assert not x.grad.is_cuda
    assert x.grad.tolist() == [3, 3]
    y = dtrain.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    (y.cpu() * 3).sum().backward()
    assert y.grad.is_cuda
    assert y.grad.tolist() == [3, 3]


def test_a_module_moves_with_buffers_and_gradients():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    model(dtrain.ones(5, 4)).sum().backward()
    assert model.to("cuda") is model
    assert all(t.is_cuda for t in model.state_dict().values())
    assert all(p.grad.is_cuda for p in model.parameters())
    model(dtrain.ones(5, 4, device="cuda")).sum().backward()
    assert not any(t.is_cuda for t in model.cpu().state_dict().values())
    assert not any(p.grad.is_cuda for p in model.parameters())


def test_an_optimizer_follows_a_module_that_moves_before_its_first_step():
    model = nn.Linear(4, 3)
    optimizer = optim.Adam(model.parameters())
    model.cuda()
    model(dtrain.ones(2, 4, device="cuda")).sum().backward()
    before = model.weight.detach().clone()
    optimizer.step()
    assert model.weight.is_cuda
    assert bool((model.weight < before).all())


def test_a_device_that_is_not_there_is_refused():
    for make in (dtrain.zeros, dtrain.rand, lambda n, device: dtrain.zeros(n).to(device)):
        with pytest.raises(
            RuntimeError, match=r"device cuda:7: this machine shows \d+ CUDA device"
        ):
            make(2, device="cuda:7")


def test_set_device_says_which_gpu_cuda_is(monkeypatch):
    gpus = sys.modules[
        "dtrain.backend.device"
    ]._CurrentGpu  # the package hands on a class of that name
    monkeypatch.setattr(gpus, "chosen", None)
    assert dtrain.cuda.current_device() == 0
    with pytest.raises(RuntimeError, match="device cuda:7: this machine shows"):
        dtrain.cuda.set_device(7)
    dtrain.cuda.set_device("cuda:0")
    assert dtrain.cuda.current_device() == 0


def test_a_device_tensor_is_not_a_numpy_array():
    x = dtrain.ones(2, device="cuda")
    with pytest.raises(TypeError, match=r"use tensor\.cpu\(\)\.numpy\(\)"):
        x.numpy()
    with pytest.raises(TypeError, match=r"use tensor\.cpu\(\)\.numpy\(\)"):
        np.asarray(x)


def test_a_number_on_the_host_works_with_a_device_tensor():
    x = dtrain.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    scale = dtrain.tensor(3.0, requires_grad=True)
    out = x * scale + dtrain.tensor(1.0)
    out.sum().backward()
    assert out.is_cuda
    assert out.tolist() == [4, 7]
    assert not scale.grad.is_cuda
    assert (x.grad.tolist(), scale.grad.tolist()) == ([3, 3], 3)


def test_tensors_on_two_devices_are_refused():
    with pytest.raises(RuntimeError, match=r"same device.*cuda:0.*cpu"):
        dtrain.ones(2, device="cuda") + dtrain.ones(2)


def test_a_file_of_device_tensors_is_read_on_the_host():
    file = io.BytesIO()
    dtrain.save({"x": dtrain.arange(3, device="cuda")}, file)
    x = dtrain.load(io.BytesIO(file.getvalue()))["x"]
    assert not x.is_cuda
    assert x.tolist() == [0, 1, 2]


def test_map_location_is_where_a_file_is_read_to():
    file = io.BytesIO()
    dtrain.save({"x": dtrain.arange(3)}, file)
    x = dtrain.load(io.BytesIO(file.getvalue()), map_location="cuda")["x"]
    assert x.is_cuda
    assert x.tolist() == [0, 1, 2]


def job(device):
    dtrain.manual_seed(0)
    model = nn.Linear(4, 3).to(device)
    optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return model, optimizer


def one_step(model, optimizer):
    x = dtrain.ones(2, 4, device=model.weight.device)
    model(x).pow(2).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("other", ["cpu", "cuda"])
def test_a_checkpoint_of_a_device_resumes_on_any(other, tmp_path):
    model, optimizer = job("cuda")
    one_step(model, optimizer)
    save_checkpoint(tmp_path, 1, model=model, optimizer=optimizer)
    one_step(model, optimizer)
    resumed, resumed_optimizer = job(other)
    assert load_checkpoint(tmp_path, model=resumed, optimizer=resumed_optimizer) == 1
    assert resumed.weight.device.type == other
    one_step(resumed, resumed_optimizer)
    np.testing.assert_allclose(
        resumed.weight.detach().cpu().numpy(), model.weight.detach().cpu().numpy(), rtol=1e-6
    )


def test_the_course_trains_on_cuda_0(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", dtrain)
    names = run(listing("grad_w2 = h_relu.t().mm(grad_y_pred)"))
    assert names["device"] == names["w1"].device == dtrain.device("cuda:0")
    assert float(names["loss"]) < 1


@pytest.mark.parametrize("reserved", [False, True])
def test_a_checkpoint_beside_training_copies_to_pinned_memory(tmp_path, reserved):
    cupy = pytest.importorskip("cupy")
    model = nn.Linear(3, 2).to("cuda").bfloat16()
    weight = model.weight.tolist()
    with Checkpoints(tmp_path, {"model": model}, every_steps=2) as kept:
        if reserved:
            kept.save_if_due(1)
        kept.save_if_due(2)
        nn.init.zeros_(model.weight)
    memory = kept._copies._memory["model.safetensors/weight"]
    attributes = cupy.cuda.runtime.pointerGetAttributes(memory.ctypes.data)
    assert attributes.type == cupy.cuda.runtime.memoryTypeHost
    assert kept.resume(tmp_path) == 2
    assert model.weight.tolist() == weight
