"""What public PyTorch programs rely on."""

from __future__ import annotations

import pytest

import dtrain
from dtrain import nn
from dtrain.nn import functional as F


def test_a_list_of_tensors_of_one_element_is_a_vector():
    t = dtrain.tensor
    assert t([t([1.0]), t([2.0])]).tolist() == [1, 2]
    assert t([2.0, t([[1.0]])]).tolist() == [2, 1]
    assert t([t([1]), t([2.5])]).tolist() == [1, 2.5]
    assert t([[t([1.0])], [t([2.0])]]).shape == (2, 1)
    assert t([t([1.0], dtype=dtrain.float64), 1.0]).dtype == dtrain.float64
    assert t([t(1), t(2)]).dtype == dtrain.int64


def test_a_parameter_frozen_after_the_forward_pass_gets_no_gradient():
    w, v = (dtrain.ones(1, requires_grad=True) for _ in range(2))
    loss = (w * v * 2).sum()
    w.requires_grad_(False)
    loss.backward()
    assert w.grad is None
    assert v.grad.tolist() == [2]


def test_a_number_is_a_gpu():
    assert dtrain.device(0) == dtrain.device("cuda:0")
    assert dtrain.device(1).index == 1
    for wrong in (-1, True):
        with pytest.raises(RuntimeError, match="expected 'cpu', 'cuda', 'cuda:N' or N"):
            dtrain.device(wrong)


@pytest.mark.skipif(dtrain.cuda.is_available(), reason="a GPU is there")
@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.to(0),
        lambda x: x.to(device=0),
        lambda x: x.cuda(0, non_blocking=True),
        lambda x: x.cuda(None),
        lambda x: dtrain.zeros(1, device=0),
        lambda x: dtrain.tensor([1.0], device=0),
        lambda x: dtrain.zeros_like(x, device=0),
        lambda x: dtrain.rand(1, device=0),
        lambda x: x.new_zeros(1, device=0),
        lambda x: nn.Linear(1, 1).to(0),
        lambda x: nn.Linear(1, 1).cuda(0),
        lambda x: nn.Linear(1, 1, device=0),
    ],
)
def test_device_0_is_never_the_cpu(call):
    with pytest.raises(RuntimeError, match="CUDA devices"):
        call(dtrain.zeros(1))


@pytest.mark.parametrize(
    ("size_average", "reduce", "reduction"),
    [
        (False, None, "sum"),
        (True, None, "mean"),
        (None, False, "none"),
        (False, False, "none"),
        (None, True, "mean"),
    ],
)
def test_size_average_and_reduce_choose_the_reduction(size_average, reduce, reduction):
    x, y = dtrain.tensor([1.0, 2.0]), dtrain.zeros(2)
    expected = F.mse_loss(x, y, reduction=reduction).tolist()
    with pytest.warns(UserWarning, match=f"use reduction='{reduction}'"):
        assert F.mse_loss(x, y, size_average, reduce).tolist() == expected
    with pytest.warns(UserWarning, match=f"use reduction='{reduction}'"):
        assert nn.MSELoss(size_average=size_average, reduce=reduce)(x, y).tolist() == expected


def test_losses_have_the_positions_of_pytorch():
    x, target = dtrain.tensor([[1.0, 2.0], [0.0, 1.0]]), dtrain.tensor([0, 1])
    by_name = F.cross_entropy(x, target, ignore_index=1, reduction="sum")
    assert F.cross_entropy(x, target, None, None, 1, None, "sum").item() == by_name.item()
    assert nn.CrossEntropyLoss(None, None, 1, None, "sum")(x, target).item() == by_name.item()
    with pytest.raises(TypeError, match="reduction='sum'"):
        F.mse_loss(x, x, "sum")
