"""A step as a CUDA graph: replays have the bits of steps without one."""

import pytest

import dtrain
from dtrain import nn, optim
from dtrain.nn import functional as F

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, 0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 0.01, capturable=True),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    "adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.1),
    "adadelta": lambda p: optim.Adadelta(p),
    "adamax": lambda p: optim.Adamax(p, 0.01),
    "nadam": lambda p: optim.NAdam(p, 0.01),
    "radam": lambda p: optim.RAdam(p, 0.01),
    "rprop": lambda p: optim.Rprop(p, 0.01),
    "asgd": lambda p: optim.ASGD(p, 0.1, t0=3),
}


class Block(nn.Module):
    """Products, attention with dropout, normalization, dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(F.dropout(self.layer(x), 0.3, self.training)).flatten(0, 1)


def convolutions():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.5),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 4, 3),
    )  # fmt: skip


MODELS = {"attention": (Block, (2, 5, 8), 10), "convolutions": (convolutions, (4, 2, 4, 4), 4)}


def train(model_name, optimizer_name, steps, captured_at=None, dtype=None):
    """Losses and final values of so many steps, those from `captured_at` on by a graph."""
    dtrain.manual_seed(3)
    make, shape, count = MODELS[model_name]
    dtype = dtype or dtrain.float32
    model = make().to("cuda", dtype)
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    data = dtrain.Generator(1)
    x, y = dtrain.zeros(shape, device="cuda", dtype=dtype), dtrain.zeros(count, device="cuda").long()
    graph, losses = None, []

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()
        return loss

    for index in range(steps):
        x.copy_(dtrain.randn(shape, generator=data))
        y.copy_(dtrain.randint(3, (count,), generator=data))
        if index == captured_at:
            graph = dtrain.cuda.CUDAGraph()
            with dtrain.cuda.graph(graph):
                loss = step()
        if graph is None:
            loss = step()
        else:
            graph.replay()
        losses.append(loss.item())
        schedule.step()
    state = [t.cpu().tolist() for t in model.state_dict().values()]
    numbers = [
        {name: value for name, value in own.items() if not isinstance(value, dtrain.Tensor)}
        for own in optimizer.state.values()
    ]
    return losses, state, numbers, dtrain.get_rng_state()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_replays_have_the_bits_of_steps(optimizer):
    assert train("attention", optimizer, 6, 2) == train("attention", optimizer, 6)


def test_convolutions_and_running_statistics_are_captured():
    assert train("convolutions", "adam", 6, 1) == train("convolutions", "adam", 6)
