"""A short training whose ranks fail where a plan says: the program of `random_faults.py`.

    dtrain run -n 3 tests/faults/faulty_training.py --model lstm --out runs --marks FOLDER

The plan is FOLDER/plan.json, a list of faults. A fault comes in the given call of its phase in its
step, or at the first one after that; before it comes, FOLDER/came-N is made, so that it comes once,
also where the job is restarted.
"""

import argparse
import atexit
import functools
import importlib
import json
import os
import threading
from collections import Counter
from pathlib import Path

#: phases that are calls of the library's own: the module and function, in whose call a rank fails
CALLS = {
    "gather": "dtrain.distributed.comm.mpi:allgather_objects",
    "vote": "dtrain.parallel.reducer:Reducer._vote",
    "reduction": "dtrain.distributed.comm.mpi:combine",
    "wait": "dtrain.distributed.comm.node_local:NodeLocalGroup.barrier",
    "commit": "dtrain.distributed.comm.mpi:MpiCommunicator.commit",
    "recovery": "dtrain.distributed.comm.mpi:MpiCommunicator.recover",
    "checkpoint": "dtrain.checkpoint.folder_writer:_sync",
    "join": "dtrain.distributed.comm.mpi:MpiCommunicator._join",
    "notice": "dtrain.distributed.launch.rank:write_exit_notice",
}
STEPS, EPOCHS, CHECKPOINT_EVERY = 12, 2, 4
MICROBATCHES, BATCH = 4, 2


class Faults:
    """The faults of this rank; `step` is the step that runs, from 1."""

    def __init__(self, folder: Path, rank: int):
        plan = json.loads((folder / "plan.json").read_text())
        self._own = [(n, fault) for n, fault in enumerate(plan) if fault["rank"] == rank]
        self._folder, self._reached = folder, Counter()
        self.step = 0

    def reach(self, phase: str) -> None:
        """Fail if a fault is due in this call of a phase."""
        self._reached[phase, self.step] += 1
        now = self.step, self._reached[phase, self.step]
        for number, fault in self._own:
            mark = self._folder / f"came-{number}"
            is_due = fault["phase"] == phase and now >= (fault["step"], fault["call"])
            if is_due and not mark.exists():
                mark.touch()
                self._fail(fault["signal"], fault["delay_s"])

    def _fail(self, number: int, delay_s: float) -> None:
        if delay_s:  # inside of whatever the rank goes on to, also of MPI
            threading.Timer(delay_s, os.kill, (os.getpid(), number)).start()
        else:
            os.kill(os.getpid(), number)

    def wrap(self, phase: str, place: str) -> None:
        """Have each call of a function of the library reach a phase."""
        module, _, path = place.partition(":")
        owner = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        function = getattr(owner, name)

        @functools.wraps(function)
        def call(*args, **options):
            self.reach(phase)
            return function(*args, **options)

        setattr(owner, name, call)


def make_cnn(nn, optim, shards_state):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)
    )

    def optimizer(params):
        options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
        if shards_state:
            from dtrain.parallel import ZeroRedundancyOptimizer

            return ZeroRedundancyOptimizer(params, optim.SGD, **options)
        return optim.SGD(params, **options)

    def schedule(made):
        return optim.lr_scheduler.CosineAnnealingLR(made, STEPS)

    return model, optimizer, schedule


def make_lstm(nn, optim):
    class NextToken(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(16, 8)
            self.lstm = nn.LSTM(8, 12, num_layers=2, dropout=0.2, batch_first=True)
            self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(12, 16))

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])[:, -1]

    def optimizer(params):
        return optim.AdamW(params, lr=0.01)

    def schedule(made):
        return optim.lr_scheduler.OneCycleLR(made, max_lr=0.05, total_steps=STEPS + 1)

    return NextToken(), optimizer, schedule


def make_dataset(model, count, seed, faults):
    """Samples of random numbers; loading one is a phase."""
    import numpy as np

    import dtrain

    rng = np.random.default_rng(seed)
    x = rng.integers(0, 16, (count, 7)) if model == "lstm" else rng.normal(size=(count, 1, 6, 6))
    y = rng.integers(0, 16 if model == "lstm" else 4, count)
    x = x.astype(np.int64 if model == "lstm" else np.float32)

    class Samples(dtrain.data.Dataset):
        def __len__(self):
            return count

        def __getitem__(self, index):
            faults.reach("loader")
            return dtrain.from_numpy(x[index]), int(y[index])

    return Samples()


def train(args, faults):
    import dtrain
    from dtrain import DataParallel, checkpoint, distributed, nn, optim
    from dtrain.data import DataLoader
    from dtrain.nn import functional as F
    from dtrain.parallel import fully_shard

    dtrain.manual_seed(1)
    shards_state = args.sharded == "state"
    made = make_lstm(nn, optim) if args.model == "lstm" else make_cnn(nn, optim, shards_state)
    net, make_optimizer, make_schedule = made
    per_step = MICROBATCHES * BATCH
    data = make_dataset(args.model, STEPS // EPOCHS * per_step, 0, faults)
    test_data = make_dataset(args.model, 3 * per_step, 1, faults)
    loader = DataLoader(data, BATCH, shuffle=True, microbatches=MICROBATCHES)
    model = fully_shard(net) if args.sharded == "model" else DataParallel(net)
    atexit.register(faults.reach, "exit")  # before ranks say good-bye to each other
    optimizer = make_optimizer(model.parameters())
    schedule = make_schedule(optimizer)
    job = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": loader}
    steps = faults.step = checkpoint.resume(args.out, None, **job)

    @distributed.recoverable
    @dtrain.no_grad()
    def evaluate():
        model.eval()
        total = dtrain.zeros(1, dtype=dtrain.float64)
        for x, y in DataLoader(test_data, per_step):
            faults.reach("evaluation")
            total += (model(x).argmax(1) == y).sum()
        model.train()
        return int(distributed.all_reduce(total).item())

    for epoch in range(loader.epoch, EPOCHS):
        for step in loader.steps():
            faults.step = steps + 1
            for x, y in step:
                faults.reach("forward")
                loss = F.cross_entropy(model(x), y)
                faults.reach("backward")
                loss.backward()
            if args.model == "lstm":
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            faults.reach("step")
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            steps += 1
            distributed.stop_requested()
            if steps % CHECKPOINT_EVERY == 0:
                checkpoint.save_checkpoint(args.out, steps, **job)
        if epoch + 1 < EPOCHS:
            evaluate()
    correct = evaluate()
    if distributed.rank() == 0:
        digest = checkpoint.digest(net.state_dict())
        print(f"{steps} steps, {correct} correct, weights sha256 {digest}", flush=True)
    faults.reach("end")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["cnn", "lstm"], required=True)
    parser.add_argument("--sharded", choices=["state", "model"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--marks", type=Path, required=True)
    args = parser.parse_args()
    faults = Faults(args.marks, int(os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
    faults.reach("start")  # it has not joined the others yet
    for phase, place in CALLS.items():
        faults.wrap(phase, place)
    train(args, faults)


if __name__ == "__main__":
    main()
