"""Loses a rank in the middle of training: the survivors go on, to the same bits.

dtrain run -n 3 --elastic examples/lost_machine.py              rank 2 is killed in step 20
dtrain run -n 3 --elastic examples/lost_machine.py --kill none  and without, to compare
"""

import argparse
import os
import signal

from digits import build_model, load_digits, make_dataset

import dtrain
from dtrain import DataParallel, distributed
from dtrain.checkpoint import digest
from dtrain.data import DataLoader
from dtrain.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--kill", default="2", metavar="RANK", help="a rank, or none")
parser.add_argument("--step", type=int, default=20)
args = parser.parse_args()

dtrain.manual_seed(0)
(images, labels), _ = load_digits()
loader = DataLoader(
    make_dataset(images, labels, images.mean(), images.std(), "cpu"),
    8, shuffle=True, microbatches=6,
)  # fmt: skip
model = DataParallel(build_model(8))
optimizer = dtrain.optim.SGD(model.parameters(), lr=0.05)
for number, step in enumerate(loader.steps(), 1):
    for x, y in step:
        F.cross_entropy(model(x), y).backward()
        if number == args.step and str(distributed.rank()) == args.kill:
            os.kill(os.getpid(), signal.SIGKILL)  # as a machine that loses its power
    optimizer.step()
    optimizer.zero_grad()
if distributed.rank() == 0:
    weights = digest(model.module.state_dict())
    print(f"{number} steps, {distributed.world_size()} ranks left, weights sha256 {weights}")
