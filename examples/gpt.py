"""Trains a small GPT on the characters of a text, on any number of ranks, then generates text.

launch/mpirun.sh -n 2 examples/gpt.py                    Python's own library as the text
launch/mpirun.sh -n 2 examples/gpt.py --text book.txt    any text file, or a folder of them
"""

import argparse
import collections
import sys
import sysconfig
from pathlib import Path

import numpy as np

import dtrain
from dtrain import DataParallel, distributed, models
from dtrain.checkpoint import digest, resume, save_checkpoint
from dtrain.data import DataLoader, TensorDataset
from dtrain.errors import DtrainError
from dtrain.nn import functional as F
from dtrain.nn.utils import clip_grad_norm_
from dtrain.parallel import FullyShardedDataParallel
from dtrain.train import Progress


def read_text(path):
    """The text of a file, of a folder's files with the commonest suffix, or of Python's library."""
    if path is None:
        folder = Path(sysconfig.get_paths()["stdlib"])
        files = sorted(folder.glob("*.py"))
    elif Path(path).is_dir():
        found = sorted(file for file in Path(path).rglob("*") if file.is_file())
        suffix = collections.Counter(file.suffix for file in found).most_common(1)
        files = [file for file in found if file.suffix == suffix[0][0]] if suffix else []
    else:
        files = [Path(path)]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    if len(text) < 10_000:
        sys.exit(f"{path}: {len(text)} characters are too few to learn from; expected 10,000")
    return text


class Alphabet:
    """Maps the characters of a text to numbers; rare characters share the last, a space."""

    def __init__(self, text):
        counts = collections.Counter(text)
        self.characters = [*sorted(c for c, n in counts.items() if n > len(text) / 50_000), " "]
        self._numbers = {c: i for i, c in enumerate(self.characters)}

    def encode(self, text):
        rare = len(self.characters) - 1
        return np.array([self._numbers.get(c, rare) for c in text], np.int64)

    def decode(self, numbers):
        return "".join(self.characters[i] for i in numbers)


def windows(numbers, length):
    """Windows of `length` characters, and for each character the next one as its target."""
    count = (len(numbers) - 1) // length
    x, y = (numbers[i : i + count * length].reshape(count, length) for i in (0, 1))
    return TensorDataset(dtrain.from_numpy(x), dtrain.from_numpy(y))


def compute_loss(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


@dtrain.no_grad()
def evaluate(model, loader):
    """The mean loss in nats a character, over all ranks."""
    model.eval()
    total, count = 0.0, 0
    for x, y in loader:
        if len(x):
            total += compute_loss(model, x, y).item() * len(x)
            count += len(x)
    model.train()
    sums = dtrain.tensor([total, float(count)], dtype=dtrain.float64)
    total, count = distributed.all_reduce(sums).tolist()
    return total / count


@dtrain.no_grad()
def generate(model, alphabet, start, count, context, temperature=0.8):
    """`start`, and `count` characters sampled after it from the model's probabilities."""
    model.eval()
    generator = dtrain.Generator(0)
    numbers = alphabet.encode(start).tolist()
    for _ in range(count):
        logits = model(dtrain.tensor([numbers[-context:]]))[0, -1] / temperature
        numbers.append(dtrain.multinomial(logits.softmax(0), 1, generator=generator).item())
    return alphabet.decode(numbers)


def train(args):
    dtrain.manual_seed(args.seed)
    text = read_text(args.text)
    alphabet = Alphabet(text)
    numbers = alphabet.encode(text)
    cut = len(numbers) * 19 // 20
    held_out = numbers[cut:][: 200 * args.context + 1]
    loader = DataLoader(
        windows(numbers[:cut], args.context), args.batch_size, shuffle=True, drop_last=True,
        microbatches=args.microbatches,
    )  # fmt: skip
    test_loader = DataLoader(windows(held_out, args.context), args.batch_size)

    options = {"n_embd": args.width, "n_layer": args.layers, "n_head": args.heads, "dropout": 0.0}
    model = models.gpt2(vocab_size=len(alphabet.characters), n_positions=args.context, **options)
    if args.shard:
        model = FullyShardedDataParallel(model, auto_wrap_policy={type(model.transformer.h[0])})
    else:
        model = DataParallel(model)
    optimizer = dtrain.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.99), weight_decay=0.1)
    scheduler = dtrain.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.steps + 1, pct_start=0.05, cycle_momentum=False
    )
    job = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
    done = resume(args.out, args.resume, **job)
    if distributed.rank() == 0:
        size = sum(p.numel() for p in model.parameters())
        print(f"{len(text):,} characters, {len(alphabet.characters)} distinct, {size:,} parameters")

    samples = args.batch_size * args.microbatches
    with Progress("training", args.steps - done) as progress:
        while done < args.steps:
            for step in loader.steps(one_backward=True):
                for x, y in step:
                    loss = compute_loss(model, x, y)
                    loss.backward()
                clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                scheduler.step()
                done += 1
                progress.advance(samples * args.context, loss=loss.item())
                stop = distributed.stop_requested()  # by SIGTERM, SIGINT or SIGUSR1
                if stop or (args.checkpoint_every and done % args.checkpoint_every == 0):
                    checkpoint = save_checkpoint(args.out, done, **job)
                if stop:
                    exit_stopped(checkpoint)
                if done == args.steps:
                    break
    finish(args.out, done, job, test_loader)
    if distributed.rank() == 0:
        print(generate(model.module, alphabet, args.start, args.write, args.context))


@distributed.recoverable  # with --elastic: run again by the survivors if a rank fails here
def finish(out, done, job, test_loader):
    checkpoint = save_checkpoint(out, done, **job)
    loss = evaluate(job["model"], test_loader)
    if distributed.rank() == 0:
        weights = digest(job["model"].module.state_dict())
        print(f"loss {loss:.4f} nats  weights sha256 {weights}  checkpoint {checkpoint}")


def exit_stopped(checkpoint):
    if distributed.rank() == 0:
        print(f"stopped; to continue: --resume {checkpoint}")
    sys.exit(distributed.STOPPED)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", help="a file, or a folder of files; Python's library by default")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--context", type=int, default=128, help="characters that the model sees")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16, help="windows of one microbatch")
    parser.add_argument(
        "--microbatches", type=int, default=4, help="microbatches of a step, over all ranks"
    )
    parser.add_argument("--shard", action="store_true", help="for a model that does not fit a rank")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=int, default=400, metavar="N", help="characters at the end")
    parser.add_argument("--start", default="def ", help="text that the model continues")
    parser.add_argument("--out", default="runs/gpt", help="folder for checkpoints")
    parser.add_argument("--checkpoint-every", type=int, default=0, metavar="STEPS")
    parser.add_argument("--resume", metavar="PATH", help="a checkpoint, or a folder of them")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        train(parse_arguments())
    except DtrainError as error:
        sys.exit(f"{type(error).__name__}: {error}")
