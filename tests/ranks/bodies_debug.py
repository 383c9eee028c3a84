"""What must hold of ``DTRAIN_DEBUG=detail``; run as the bodies of `bodies.py`."""

import os

import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.data import DataLoader, TensorDataset
from dtrain.errors import DesyncError
from dtrain.parallel import ZeroRedundancyOptimizer


def _compare_every(steps):
    """Ranks that are threads share the environment, and so must not change it apart."""
    distributed.barrier()
    os.environ["DTRAIN_DEBUG"], os.environ["DTRAIN_DEBUG_EVERY"] = "detail", str(steps)
    distributed.barrier()


def _compare_no_more():
    distributed.barrier()
    for name in ("DTRAIN_DEBUG", "DTRAIN_DEBUG_EVERY"):
        os.environ.pop(name, None)
    distributed.barrier()


def _model(every, module=None):
    module = module or nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    _compare_every(every)
    model = DataParallel(module)
    _compare_no_more()
    return model


def _train(model, optimizer, disturb=lambda step: None):
    loader = DataLoader(TensorDataset(dtrain.ones(8 * distributed.world_size(), 3)), 2)
    for number, (x,) in enumerate(loader):
        model(x).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        disturb(number)


def weights_that_are_the_same_pass():
    model = _model(1)
    _train(model, dtrain.optim.Adam(model.parameters()))


def the_state_of_a_sharded_optimizer_differs_by_design():
    model = _model(1)
    _train(model, ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.Adam))
    model = _model(1, nn.Linear(3, 1, bias=False))  # one parameter, and LAMB wants it whole
    _train(model, ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.LAMB))


def _others():
    return ", ".join(str(rank) for rank in range(distributed.world_size()) if rank != 1)


def a_weight_that_differs_is_named():
    if distributed.world_size() == 1:
        return
    model = _model(2)

    def disturb(step):
        if step == 0 and distributed.rank() == 1:
            model.module[2].weight.data[0, 1] += 1e-3  # no write that each vote would count

    message = (
        r"at the end of step 2, .* the value of 2\.weight is not the same on all ranks: "
        f"rank {_others()} unlike rank 1"
    )
    with pytest.raises(DesyncError, match=message):
        _train(model, dtrain.optim.SGD(model.parameters(), lr=0.1), disturb)


def a_state_that_differs_is_named():
    if distributed.world_size() == 1:
        return
    model = _model(1)
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def disturb(step):
        if step == 1 and distributed.rank() == 1:
            optimizer.state[model.module[0].bias]["momentum_buffer"].add_(1)

    message = "at the end of step 2, .* the optimizer's momentum_buffer of 0.bias is not the same"
    with pytest.raises(DesyncError, match=message):
        _train(model, optimizer, disturb)


def levels_of_debugging_are_checked():
    model = nn.Linear(1, 1)
    distributed.barrier()
    os.environ["DTRAIN_DEBUG"] = "details"
    distributed.barrier()
    with pytest.raises(ValueError, match="DTRAIN_DEBUG: expected 'detail' or nothing, got 'det"):
        DataParallel(model)
    _compare_no_more()
