"""BatchNorm on a GPU: one launch forward and one backward where channels are short, relu with it,
and the same bits whichever kernels compute it."""

import pytest

import dtrain
from dtrain import nn
from dtrain.backend.kernels.cuda import channel_norm, parts


class Apart(nn.Module):
    """relu(norm(x)), which nothing fuses."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return nn.functional.relu(self.norm(x))


def make_norm(channels, dtype, momentum=0.1):
    norm = nn.BatchNorm2d(channels, momentum=momentum, device="cuda", dtype=dtype)
    with dtrain.no_grad():
        norm.weight.copy_(dtrain.linspace(-1, 2, channels))
        norm.bias.copy_(dtrain.linspace(1, -1, channels))
    return norm


def bits_of_two_steps(model, norm, dtype, shape):
    generator = dtrain.Generator(3)
    bits = []
    for _ in range(2):
        x = dtrain.randn(*shape, generator=generator).to("cuda", dtype).requires_grad_()
        y = model(x)
        (y * y * 0.5).sum().backward()
        found = y, x.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()
        bits += [t.detach().cpu().numpy().tobytes() for t in found]
        norm.zero_grad()
    return bits


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64, dtrain.bfloat16])
def test_the_bits_are_those_of_separate_kernels(dtype, monkeypatch):
    shape = (3, 4, 5, 6)
    norm = make_norm(4, dtype)
    fused = bits_of_two_steps(nn.Sequential(norm, nn.ReLU()), norm, dtype, shape)
    norm = make_norm(4, dtype)
    assert fused == bits_of_two_steps(Apart(norm), norm, dtype, shape)
    norm = make_norm(4, dtype)
    assert fused == bits_of_two_steps(dtrain.compile(Apart(norm)), norm, dtype, shape)
    monkeypatch.setattr(channel_norm, "_TOGETHER", 0)
    norm = make_norm(4, dtype)
    assert fused == bits_of_two_steps(nn.Sequential(norm, nn.ReLU()), norm, dtype, shape)


def test_channels_in_parts_update_the_running_statistics(monkeypatch):
    monkeypatch.setattr(parts, "ELEMENTS", 16)
    norm, host = make_norm(2, None, momentum=None), nn.BatchNorm2d(2, momentum=None)
    for _ in range(2):
        x = dtrain.randn(3, 2, 5, 6, generator=dtrain.Generator(5))
        norm(x.to("cuda")), host(x)
    dtrain.testing.assert_close(norm.running_var.cpu(), host.running_var)
    dtrain.testing.assert_close(norm.running_mean.cpu(), host.running_mean)
    assert norm.num_batches_tracked.item() == 2


def test_a_normalization_with_relu_is_one_launch_each_way(counts):
    model = nn.Sequential(make_norm(4, None), nn.ReLU())
    x = dtrain.randn(3, 4, 5, 6, device="cuda").requires_grad_()
    counts()
    y = model(x)
    assert dict(counts()) == {"channel_statistics": 1}
    g = dtrain.ones_like(y)
    counts()
    y.backward(g)
    launches = counts()
    assert launches["channel_sums"] == 1
    assert not {"channel_norm_of_x", "relu_backward"} & launches.keys()


def test_a_hook_between_norm_and_relu_sees_the_normalized_input():
    norm = make_norm(4, None)
    model, seen = nn.Sequential(norm, nn.ReLU()), []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.min().item()))
    model(dtrain.randn(3, 4, 5, 6, device="cuda"))
    assert seen[0] < 0


def test_the_output_of_relu_may_not_be_changed_before_the_backward_pass():
    model = nn.Sequential(make_norm(4, None), nn.ReLU())
    y = model(dtrain.randn(3, 4, 5, 6, device="cuda"))
    y *= 2
    with pytest.raises(RuntimeError, match="needs its `output`"):
        y.sum().backward()


def test_second_derivatives_are_those_of_numpy():
    grads = []
    for device in ("cpu", "cuda"):
        model = nn.Sequential(nn.BatchNorm2d(2, dtype=dtrain.float64), nn.ReLU()).to(device)
        x = dtrain.randn(3, 2, 4, 2, generator=dtrain.Generator(1), dtype=dtrain.float64)
        x = x.to(device).requires_grad_()
        (grad,) = dtrain.autograd.grad((model(x) ** 2).sum(), x, create_graph=True)
        (grad**2).sum().backward()
        grads.append(x.grad.cpu())
        assert model[0].num_batches_tracked.item() == 1
    dtrain.testing.assert_close(grads[1], grads[0])
