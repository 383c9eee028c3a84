"""What must hold of an optimizer that is spread over the ranks; run as those of `bodies.py`."""

import tempfile

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, ZeroRedundancyOptimizer, distributed, nn, optim
from dtrain.checkpoint import digest, load_checkpoint, save_checkpoint
from dtrain.data import DataLoader
from dtrain.nn import functional as F
from tests.gathered import from_rank_0

from .bodies import MICROBATCHES, _alone, _data, _train

RULES = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "AdamW": {"lr": 0.01},
    "LAMB": {"lr": 0.01},  # wants whole parameters
}


def _sharded(name):
    return lambda params: ZeroRedundancyOptimizer(params, getattr(optim, name), **RULES[name])


def _whole(name):
    return lambda params: getattr(optim, name)(params, **RULES[name])


def a_sharded_optimizer_gives_the_bits_of_a_whole_one():
    for name in RULES:
        expected = _alone(_train, make_optimizer=_whole(name))
        assert _train(make_optimizer=_sharded(name)) == expected
        options = {"bucket_bytes": 300, "overlap": True}
        assert _train(make_optimizer=_sharded(name), **options) == expected


class HalfModel(nn.Sequential):
    """Linear layers of bfloat16."""

    def __init__(self):
        super().__init__(nn.Linear(16, 9), nn.Linear(9, 5))
        self.bfloat16()

    def forward(self, x):
        return super().forward(x.flatten(1).bfloat16()).float()


def weights_of_halves_in_float32_are_sharded():
    def whole(params):
        return optim.AdamW(params, lr=1e-4, master_weights=True)

    def sharded(params):
        return ZeroRedundancyOptimizer(params, optim.AdamW, lr=1e-4, master_weights=True)

    expected = _alone(_train, make_optimizer=whole, model=HalfModel)
    assert _train(make_optimizer=whole, model=HalfModel) == expected
    assert _train(make_optimizer=sharded, model=HalfModel) == expected


def _clipped(make_optimizer):
    """Two param groups, and gradients that are clipped; three steps."""
    dtrain.manual_seed(3)
    model = DataParallel(nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.Linear(9, 5)))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = make_optimizer(groups)
    for step in DataLoader(_data(), 2, microbatches=MICROBATCHES).steps():
        for x, y in step:
            F.cross_entropy(model(x), y).backward()
        if isinstance(optimizer, ZeroRedundancyOptimizer):
            optimizer.gather_grads()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    return digest(model.state_dict())


def gathered_gradients_can_be_clipped():
    assert _clipped(_sharded("AdamW")) == _alone(_clipped, _whole("AdamW"))


def a_gradient_that_is_spread_over_the_ranks_is_not_shown():
    model = DataParallel(nn.Linear(3, 2))
    optimizer = _sharded("SGD")(model.parameters())
    model(dtrain.ones(1, 3)).sum().backward()
    with pytest.raises(RuntimeError, match=r"call optimizer.gather_grads\(\) on every rank"):
        _ = model.module.weight.grad
    optimizer.gather_grads()
    assert model.module.weight.grad.tolist() == [[1, 1, 1], [1, 1, 1]]
    optimizer.zero_grad()
    assert model.module.weight.grad is None


def a_rank_keeps_its_part_of_the_state():
    model = DataParallel(nn.Linear(100, 80))
    optimizer = _sharded("AdamW")(model.parameters())
    model(dtrain.ones(1, 100)).sum().backward()
    optimizer.step()
    kept = sum(array.nbytes for flat in optimizer.optim._flat.values() for array in flat.values())
    whole = 2 * 4 * (100 * 80 + 80)
    assert abs(kept - whole / distributed.world_size()) <= 2 * 4


def _interrupted(make_optimizer, folder=None):
    """Trains; with a folder, anew from a checkpoint after the second step."""
    dtrain.manual_seed(3)

    def job():
        model = DataParallel(nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.Linear(9, 5)))
        loader = DataLoader(_data(), 2, shuffle=True, microbatches=MICROBATCHES)
        return {"model": model, "optimizer": make_optimizer(model.parameters()), "loader": loader}

    objects, number = job(), 0
    while number < 4:
        for step in objects["loader"].steps():
            for x, y in step:
                F.cross_entropy(objects["model"](x), y).backward()
            objects["optimizer"].step()
            objects["optimizer"].zero_grad()
            number += 1
            if number == 2 and folder:
                save_checkpoint(folder, number, **objects)
                distributed.barrier()
                objects = job()
                assert load_checkpoint(folder, **objects) == 2
                break
    return digest(objects["model"].state_dict())


def a_checkpoint_holds_the_state_of_all_ranks():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    expected = _alone(_interrupted, _whole("AdamW"))
    assert _interrupted(_sharded("AdamW"), folder) == expected


def the_state_of_a_sharded_optimizer_is_that_of_a_whole_one():
    def stepped(make_optimizer):
        dtrain.manual_seed(3)
        model = DataParallel(nn.Linear(5, 3))
        optimizer = make_optimizer(model.parameters())
        model(dtrain.ones(1, 5)).sum().backward()
        optimizer.step()
        return optimizer

    whole, sharded = stepped(_whole("AdamW")), stepped(_sharded("AdamW"))
    with pytest.raises(RuntimeError, match=r"call consolidate_state_dict\(\) on every rank"):
        sharded.state_dict()
    sharded.consolidate_state_dict()
    if distributed.rank() == 0:
        have, expected = sharded.state_dict(), whole.state_dict()
        assert have["param_groups"] == expected["param_groups"]
        for index, state in expected["state"].items():
            for name, value in state.items():
                np.testing.assert_array_equal(have["state"][index][name].numpy(), value.numpy())
    sharded.load_state_dict(whole.state_dict())


def some_parameters_of_a_bucket_are_refused():
    model = DataParallel(nn.Linear(5, 3))
    with pytest.raises(ValueError, match="expected all parameters of the model, got some"):
        _sharded("SGD")([model.module.weight])
