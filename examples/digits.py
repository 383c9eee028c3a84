"""Trains a small CNN on handwritten digits, on any number of ranks, to the same bits.

launch/mpirun.sh -n 2 examples/digits.py              scikit-learn's 1,797 digits
launch/mpirun.sh -n 2 examples/digits.py --data DIR   MNIST, Fashion-MNIST: a folder of IDX files
dtrain run -n 4 --max-restarts 3 examples/digits.py --checkpoint-every 10    restarts when killed
dtrain run -n 4 --elastic examples/digits.py          survivors continue when ranks are killed
dtrain debug -n 4 examples/digits.py                  four ranks, as threads of one process
python examples/digits.py                             one process
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest, resume, save_checkpoint
from dtrain.data import DataLoader, TensorDataset, read_idx_folder
from dtrain.errors import DtrainError
from dtrain.nn import functional as F
from dtrain.train import Accuracy, Logs, Mean, Progress


def load_digits():
    """scikit-learn's digits as (images, labels): a fixed split, 80 % for training.

    They are read from its file, since importing scikit-learn takes each rank longer than an epoch.
    """
    package = find_spec("sklearn")
    if package is None:
        raise ModuleNotFoundError(
            "no scikit-learn, which has the digits: pip install scikit-learn, or give --data DIR"
        )
    folder = Path(package.submodule_search_locations[0], "datasets", "data")
    rows = np.loadtxt(folder / "digits.csv.gz", delimiter=",")  # 8 x 8 pixels, and the label
    order = dtrain.randperm(len(rows), generator=dtrain.Generator(0)).numpy()
    images, labels = rows[order, :-1].reshape(-1, 8, 8) / 16, rows[order, -1].astype(int)
    cut = len(order) * 4 // 5
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def load_idx(folder):
    """The training and test sets of a folder of IDX files: images in [0, 1], and labels."""
    return [(images / 255, labels) for images, labels in
            (read_idx_folder(folder, split) for split in ("train", "test"))]  # fmt: skip


def make_dataset(images, labels, mean, std, device):
    pixels = ((images - mean) / std).astype(np.float32)[:, None]
    x, y = dtrain.from_numpy(pixels), dtrain.from_numpy(labels.astype(np.int64))
    return TensorDataset(x.to(device), y.to(device))


def build_model(side):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * (side // 4) ** 2, 10),
    )


@dtrain.no_grad()
def evaluate(model, data):
    """The accuracy over the test images of all ranks."""
    model.eval()
    accuracy = Accuracy()
    for x, y in DataLoader(data, 50):
        accuracy.update(model(x), y)
    model.train()
    return accuracy.compute()


def train(args):
    dtrain.manual_seed(args.seed)
    train_data, test_data = load_idx(args.data) if args.data else load_digits()
    mean, std = train_data[0].mean(), train_data[0].std()
    loader = DataLoader(
        make_dataset(*train_data, mean, std, args.device), args.batch_size, shuffle=True,
        microbatches=args.microbatches,
    )  # fmt: skip
    test_data = make_dataset(*test_data, mean, std, args.device)
    model = DataParallel(build_model(train_data[0].shape[1]).to(args.device))
    optimizer = dtrain.optim.SGD(
        model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    scheduler = dtrain.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * len(loader))
    job = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
    steps = resume(args.out, args.resume, **job)

    logs = Logs(args.out, config=vars(args))  # for `dtrain plot`

    for epoch in range(loader.epoch, args.epochs):
        mean_loss, accuracy = Mean(), Accuracy()
        with Progress(f"epoch {epoch + 1}/{args.epochs}", len(loader)) as progress:
            for step in loader.steps():
                for x, y in step:
                    output = model(x)
                    loss = F.cross_entropy(output, y)
                    loss.backward()
                    mean_loss.update(loss, len(y))
                    accuracy.update(output, y)
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
                steps += 1
                progress.advance(
                    args.batch_size * args.microbatches, loss=mean_loss, accuracy=accuracy
                )
                stop = distributed.stop_requested()  # by SIGTERM, SIGINT or SIGUSR1
                if stop or (args.checkpoint_every and steps % args.checkpoint_every == 0):
                    checkpoint = save_checkpoint(args.out, steps, **job)
                if stop:
                    exit_stopped(checkpoint)
        logs.log(steps, lr=scheduler.get_last_lr()[0], **progress.figures)
    finish(args.out, steps, job, test_data)


@distributed.recoverable  # with --elastic: run again by the survivors if a rank fails here
def finish(out, steps, job, test_data):
    checkpoint = save_checkpoint(out, steps, **job)
    accuracy = evaluate(job["model"], test_data)
    if distributed.rank() == 0:
        weights = digest(job["model"].module.state_dict())
        print(f"test accuracy {accuracy:.2%}  weights sha256 {weights}  checkpoint {checkpoint}")


def exit_stopped(checkpoint):
    if distributed.rank() == 0:
        print(f"stopped; to continue: --resume {checkpoint}")
    sys.exit(distributed.STOPPED)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of IDX files; by default scikit-learn's digits")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8, help="images of one microbatch")
    parser.add_argument(
        "--microbatches", type=int, default=8, help="microbatches of a step, over all ranks"
    )
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--out", default="runs/digits", help="folder for checkpoints")
    parser.add_argument("--checkpoint-every", type=int, default=0, metavar="STEPS")
    parser.add_argument("--resume", metavar="PATH", help="a checkpoint, or a folder of them")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        train(parse_arguments())
    except DtrainError as error:
        sys.exit(f"{type(error).__name__}: {error}")
