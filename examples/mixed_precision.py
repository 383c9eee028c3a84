"""Trains in mixed precision: a small network in float32, bfloat16 and float16, and how they end.

dtrain run -n 2 examples/mixed_precision.py
"""

from digits import build_model, load_digits, make_dataset

import dtrain
from dtrain import DataParallel, distributed
from dtrain.amp import GradScaler
from dtrain.checkpoint import digest
from dtrain.data import DataLoader
from dtrain.nn import functional as F


def train(precision, data, epochs=3):
    """Train in a precision; returns the model, and how often a step was skipped."""
    dtrain.manual_seed(0)
    loader = DataLoader(data, 16, shuffle=True, microbatches=4)
    model = DataParallel(build_model(8))
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    # float16 has small numbers down to 6e-8: gradients are multiplied before the backward pass,
    # and divided before the step, which is skipped if one has become infinite.
    scaler = GradScaler("cpu", enabled=precision == dtrain.float16)
    skipped = 0
    for _ in range(epochs):
        for step in loader.steps():
            for x, y in step:
                with dtrain.autocast("cpu", precision, enabled=precision != dtrain.float32):
                    loss = F.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
            scaler.step(optimizer)
            scale = scaler.get_scale()
            scaler.update()
            skipped += scaler.get_scale() < scale
            optimizer.zero_grad()
    return model.module.eval(), skipped


@dtrain.no_grad()
def main():
    (images, labels), test = load_digits()
    mean, std = images.mean(), images.std()
    data = make_dataset(images, labels, mean, std, "cpu")
    x, y = make_dataset(*test, mean, std, "cpu").tensors
    for precision in (dtrain.float32, dtrain.bfloat16, dtrain.float16):
        with dtrain.enable_grad():
            model, skipped = train(precision, data)
        accuracy = (model(x).argmax(1) == y).float().mean().item()
        if distributed.rank() == 0:
            weights = digest(model.state_dict())[:12]
            print(f"{precision}: accuracy {accuracy:.2%}, {skipped} skipped, weights {weights}")


if __name__ == "__main__":
    main()
