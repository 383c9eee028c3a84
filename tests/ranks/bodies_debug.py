"""What must hold of ``DTRAIN_DEBUG=detail``; run as the bodies of `bodies.py`."""

import os
import warnings

import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.data import DataLoader, TensorDataset
from dtrain.errors import DesyncError
from dtrain.parallel import ZeroRedundancyOptimizer
from tests.gathered import from_rank_0


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
            model.module[2].weight.detach().numpy()[0, 1] += 1e-3  # no vote counts such a write

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


def _warnings_of(run):
    """Rank 0's warnings while all ranks run; ranks as threads share how warnings are shown."""
    told = None
    if distributed.rank() == 0:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            distributed.barrier()
            run()
            distributed.barrier()
        told = [str(w.message) for w in caught if "DTRAIN_DEBUG" in str(w.message)]
    else:
        distributed.barrier()
        run()
        distributed.barrier()
    return from_rank_0(told)


def _train_on(samples, disturb, epochs=2, **options):
    """The warnings of training; `disturb(x, module)` is added to the loss."""
    module = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False))
    model = _model(1, module)
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.0)
    loader = DataLoader(samples, 2, microbatches=8)

    def run():
        for _ in range(epochs):
            for step in loader.steps(**options):
                for x in step:
                    (model(x).sum() + disturb(x, module)).backward()
                optimizer.step()
                optimizer.zero_grad()

    return _warnings_of(run)


def _rank_of(microbatch):
    size = distributed.world_size()
    return next(r for r in range(size) if microbatch < (r + 1) * 8 // size)


def _samples(count=32):
    return [dtrain.full((1,), float(i)) for i in range(count)]


def a_loss_that_is_not_finite_is_named_with_its_samples():
    def disturb(x, module):
        return x.max().detach() * float("nan") if 21 in x.flatten().tolist() else 0.0

    told = [
        f"DTRAIN_DEBUG=detail: step {step}: the loss is NaN on rank {_rank_of(2)}, in microbatch "
        "2, samples 20, 21"
        for step in (1, 3)
    ]
    assert _train_on(_samples(), disturb) == told
    assert _train_on(iter(_samples()), disturb, epochs=1) == told[:1]


def a_gradient_that_is_not_finite_is_named_with_its_parameter():
    def disturb(x, module):
        """Zero, whose gradient by one weight is infinite in microbatches 5 and 7 of each step."""
        weight = module[1].weight[0, 1]
        bad = float(x[0, 0]) % 16 in (10, 14)
        return (weight - weight.detach()).sqrt() if bad else weight.sum() * 0

    for options in ({}, {"one_backward": True}):
        told = _train_on(_samples(), disturb, **options)
        assert told == [  # once, until a step is finite again
            "DTRAIN_DEBUG=detail: step 0: the gradient of 1.weight is infinity at [0, 1], one of "
            f"1 on rank {_rank_of(5)}, in microbatch 5, samples 10, 11"
        ]


def finite_steps_are_not_warned_of():
    assert _train_on(_samples(), lambda x, module: 0.0) == []
