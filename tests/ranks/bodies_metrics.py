"""What must hold of metrics over the ranks; run as the bodies of `bodies.py`."""

import tempfile

import numpy as np

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import load_checkpoint, save_checkpoint
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.step import Microbatch, Step, microbatch_scope
from dtrain.nn import functional as F
from dtrain.train import Accuracy, ConfusionMatrix, Mean
from tests.gathered import from_rank_0

from .bodies import MICROBATCHES, _alone

SAMPLES = 43  # no multiple of anything


def _figures():
    """The mean loss and the accuracy of an epoch of training and of an evaluation after it."""
    dtrain.manual_seed(3)
    x = dtrain.randn(SAMPLES, 6)
    data = TensorDataset(x, (x.sum(1) > 0).long())
    model = DataParallel(nn.Linear(6, 2))
    optimizer = dtrain.optim.SGD(model.parameters(), 0.1)
    loss_mean, accuracy = Mean(), Accuracy()
    for step in DataLoader(data, 2, microbatches=MICROBATCHES).steps():
        for x, y in step:
            output = model(x)
            loss = F.cross_entropy(output, y)
            loss.backward()
            loss_mean.update(loss, len(y))
            accuracy.update(output, y)
        optimizer.step()
        optimizer.zero_grad()
    matrix = ConfusionMatrix(2)
    with dtrain.no_grad():
        for x, y in DataLoader(data, 4):
            matrix.update(model(x), y)
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    save_checkpoint(folder, 1, loss=loss_mean, matrix=matrix)
    loss_mean, matrix = Mean(), ConfusionMatrix(2)  # a job that goes on
    load_checkpoint(f"{folder}/step-00000001", loss=loss_mean, matrix=matrix)
    counts = matrix.compute().numpy()
    assert counts.sum() == SAMPLES
    return loss_mean.compute(), accuracy.compute(), counts.tolist()


def figures_have_the_bits_of_one_rank():
    assert _figures() == _alone(_figures)


def a_step_that_runs_again_counts_once():
    mean = Mean()
    step = Step(0, (1,) * distributed.world_size(), True, True)
    for number, is_repeated in enumerate([False, True, False]):
        with microbatch_scope(Microbatch(step, distributed.rank())):
            mean.update(number)
        if is_repeated:
            mean.rollback_step(step)
        else:
            mean.reduce_step(step)
            mean.commit_step(step)
    mean.update(4, weight=2)
    np.testing.assert_allclose(mean.compute(), (0 + 2 + 2 * 4) / 4)
