"""What must hold of LBFGS under DataParallel; run as those of `bodies.py`."""

import math

import numpy as np
import pytest
from dtrain.nn.parallel import DistributedDataParallel

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F
from dtrain.optim import LBFGS
from dtrain.utils.checkpoint import checkpoint
from tests.gathered import gathered

from .bodies import MICROBATCHES, _alone


def _data(samples):
    g = dtrain.Generator(2)
    x = dtrain.randn(samples, 3, generator=g)
    return TensorDataset(x, x.sin().sum(1, keepdim=True))


def _model():
    dtrain.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))


def _closure(model, optimizer, batches):
    def closure():
        optimizer.zero_grad()
        for x, y in batches:
            loss = F.mse_loss(model(x), y)
            loss.backward()
        return loss

    return closure


def _trained(search, samples=21, dropout=True):
    """The losses of two steps, the digest of the weights and the model."""
    model = DataParallel(_model().train(dropout))
    optimizer = LBFGS(model.parameters(), lr=0.5, max_iter=3, line_search_fn=search)
    losses = []
    for _ in range(2):
        (step,) = DataLoader(_data(samples), 3, microbatches=MICROBATCHES).steps()
        losses.append(optimizer.step(_closure(model, optimizer, step)).item())
    return losses, digest(model.state_dict()), model


def _without_data_parallel(search, samples):
    model = _model().eval()
    optimizer = LBFGS(model.parameters(), lr=0.5, max_iter=3, line_search_fn=search)
    closure = _closure(model, optimizer, [_data(samples).tensors])
    return [optimizer.step(closure).item() for _ in range(2)], model


def lbfgs_takes_the_same_steps_on_any_number_of_ranks():
    for search in (None, "strong_wolfe"):
        losses, weights, _ = _trained(search)
        assert (losses, weights) == _alone(_trained, search)[:2]
        assert losses == sorted(losses, reverse=True)
        assert len(set(losses)) == 2


def lbfgs_on_shards_takes_the_steps_of_lbfgs_on_all_samples():
    for search in (None, "strong_wolfe"):
        losses, _, model = _trained(search, samples=21, dropout=False)
        expected, alone = _alone(_without_data_parallel, search, 21)
        np.testing.assert_allclose(losses, expected, rtol=2e-4)
        for param, other in zip(model.parameters(), alone.parameters()):
            np.testing.assert_allclose(param.detach(), other.detach(), rtol=5e-3, atol=1e-4)


def lbfgs_in_the_loop_over_a_loader_takes_the_same_steps_on_all_ranks():
    model = DataParallel(_model())
    optimizer = LBFGS(model.parameters(), max_iter=3, line_search_fn="strong_wolfe")
    losses = []
    for batch in DataLoader(_data(8 * distributed.world_size() + 1), 4):
        losses.append(optimizer.step(_closure(model, optimizer, [batch])).item())
    assert len(losses) >= 2
    assert len(set(gathered((tuple(losses), digest(model.state_dict()))))) == 1


def lbfgs_under_distributed_data_parallel_compares_mean_losses():
    """The loss of rank r is (w - r)^2, in two parts, one of them without synchronization."""
    rank, size = distributed.rank(), distributed.world_size()
    model = DistributedDataParallel(nn.Linear(1, 1, bias=False).double())
    model.module.weight.detach().fill_(10.0)
    optimizer = LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    one = dtrain.ones(1, 1).double()

    def closure():
        optimizer.zero_grad()
        part = (model(one) - rank) ** 2 * 0.25
        with model.no_sync():
            part.sum().backward()
        rest = checkpoint(lambda x: model(x) - rank, one, use_reentrant=True) ** 2
        rest.backward(dtrain.full((1, 1), 0.75, dtype=rest.dtype))
        return part

    first = optimizer.step(closure)
    assert first.dtype == dtrain.float64
    center = (size - 1) / 2
    spread = np.var(np.arange(size))
    assert first.item() == pytest.approx((10 - center) ** 2 + spread)
    assert model.module.weight.item() == pytest.approx(center, abs=1e-6)


def lbfgs_refuses_a_closure_whose_gradients_are_not_means():
    size = distributed.world_size()
    model = DataParallel(nn.Linear(1, 1))
    optimizer = LBFGS(model.parameters())
    before = digest(model.state_dict())
    x = dtrain.ones(2, 1)
    with pytest.raises(RuntimeError, match=r"called backward\(\) on no loss of its DataParallel"):
        optimizer.step(lambda: model(x).sum())
    data = TensorDataset(dtrain.ones(2 * size, 1))
    step = next(DataLoader(data, 1, microbatches=2 * size).steps())

    def left_early():
        for (x,) in step:
            loss = model(x).sum()
            loss.backward()
            break
        return loss

    with pytest.raises(RuntimeError, match="the gradients of this step are not summed"):
        optimizer.step(left_early)
    other, own = DataParallel(nn.Linear(1, 1)), nn.Linear(1, 1)
    with pytest.raises(ValueError, match="parameters are in 2 DataParallel models"):
        LBFGS([*model.parameters(), *other.parameters()]).step(lambda: model(x).sum())

    def mixed():
        loss = own(model(x)).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match=r"the parameters \[2, 3\] are not in the DataParallel"):
        LBFGS([*model.parameters(), *own.parameters()]).step(mixed)
    assert digest(model.state_dict()) == before


def a_loss_that_is_not_finite_ends_no_rank_early():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    model.module.weight.detach().fill_(1.0)
    optimizer = LBFGS(model.parameters(), max_iter=2, line_search_fn="strong_wolfe")
    bad = math.inf if distributed.rank() == distributed.world_size() - 1 else 1.0

    def closure():
        optimizer.zero_grad()
        loss = model(dtrain.ones(1, 1)).sum() * bad
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(2)]
    assert losses[0] == math.inf
    told = gathered(repr((losses, model.module.weight.detach().numpy().tobytes())))
    assert len(set(told)) == 1


def a_step_may_be_iterated_over_again_after_a_break():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    data = TensorDataset(dtrain.arange(1.0 * MICROBATCHES).reshape(-1, 1))
    step = next(DataLoader(data, 1, microbatches=MICROBATCHES).steps())
    for (x,) in step:
        model(x).sum().backward()
        break
    for _ in range(2):
        model.zero_grad()
        for (x,) in step:
            model(x).sum().backward()
        assert model.module.weight.grad.item() == 3.5
