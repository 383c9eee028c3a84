"""What must hold of mixed precision on any number of ranks; run as those of `bodies.py`."""

import tempfile

import numpy as np

import dtrain
from dtrain import DataParallel, ZeroRedundancyOptimizer, amp, distributed, nn, optim
from dtrain.checkpoint import digest, load_checkpoint, save_checkpoint
from dtrain.data import DataLoader
from dtrain.distributed.step import current_microbatch
from dtrain.nn import functional as F
from dtrain.parallel import DistributedDataParallel
from tests.gathered import gathered

from .bodies import MICROBATCHES, _alone, _data, _model


def _infinite(step, gradient):
    """Infinity in one gradient of one microbatch of the second step: one rank computes it."""
    if step == 1 and current_microbatch().index == 5:
        gradient = gradient.clone()
        gradient[0] = np.inf
        return gradient
    return None


def _train(make_optimizer, dtype, **options):
    """Three steps under autocast, of which the second is skipped; the weights and the scales."""
    dtrain.manual_seed(3)
    plain = _model()
    model = DataParallel(plain, **options)
    optimizer = make_optimizer(model.parameters())
    scaler = amp.GradScaler("cpu", init_scale=256.0, growth_interval=1)
    number, scales = [0], []
    plain[0].bias.register_hook(lambda g: _infinite(number[0], g))
    for step in DataLoader(_data(3 * 2 * MICROBATCHES), 2, microbatches=MICROBATCHES).steps():
        for x, y in step:
            with dtrain.autocast("cpu", dtype=dtype):
                loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
        before = digest(dict(model.named_parameters()))
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        skipped = digest(dict(model.named_parameters())) == before
        assert gathered(skipped) == [number[0] == 1] * distributed.get_world_size()
        scales.append(scaler.get_scale())
        number[0] += 1
    assert scales == [512, 256, 512]
    return digest(model.state_dict())


def mixed_precision_gives_the_same_bits_and_all_ranks_skip_the_same_step():
    for dtype in (dtrain.bfloat16, dtrain.float16):
        rule = lambda params: optim.SGD(params, lr=0.05, momentum=0.9)
        assert _train(rule, dtype) == _alone(_train, rule, dtype)


def ranks_with_shards_of_the_gradients_skip_the_same_step():
    expected = _alone(_train, lambda params: optim.AdamW(params, lr=0.01), dtrain.bfloat16)
    sharded = lambda params: ZeroRedundancyOptimizer(params, optim.AdamW, lr=0.01)
    assert _train(sharded, dtrain.bfloat16, bucket_bytes=300) == expected


def a_scaler_is_saved_with_the_checkpoint():
    scaler = amp.GradScaler("cpu", init_scale=4.0)
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    scaler.scale(layer(dtrain.full((1, 2), np.inf)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    folder = gathered(tempfile.mkdtemp())[0]
    save_checkpoint(folder, 1, scaler=scaler)
    other = amp.GradScaler("cpu")
    load_checkpoint(folder, scaler=other)
    assert other.state_dict() == scaler.state_dict()
    assert other.get_scale() == 2


def ranks_of_ddp_skip_the_same_step():
    rank, size = distributed.get_rank(), distributed.get_world_size()
    dtrain.manual_seed(3)
    module = nn.Linear(3, 2)
    model = DistributedDataParallel(module)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = amp.GradScaler("cpu", init_scale=256.0)
    for bad in (False, True, False):
        before = digest(module.state_dict())
        factor = np.inf if bad and rank == size - 1 else 1.0
        with dtrain.autocast("cpu"):
            loss = model(dtrain.ones(2, 3)).float().square().mean() * factor
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert gathered(digest(module.state_dict()) == before) == [bad] * size
    assert len(set(gathered((scaler.get_scale(), digest(module.state_dict()))))) == 1
    assert scaler.get_scale() == 128
