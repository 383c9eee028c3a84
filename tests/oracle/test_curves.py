"""Loss curves of whole models agree with PyTorch's, from the same weights and batches."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle


def mlp(nn):
    return nn.Sequential(
        nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 5)
    )


def cnn(nn):
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


MODELS = {
    "mlp with Adam": (mlp, (20,), lambda optim, params: optim.Adam(params, lr=1e-3)),
    "cnn with SGD": (
        cnn,
        (2, 8, 8),
        lambda optim, params: optim.SGD(params, lr=0.01, momentum=0.9, weight_decay=1e-4),
    ),
}


def batches(shape, steps, size=16, classes=5):
    """Classes that can be learnt: each has a mean of its own."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(classes, *shape))
    for _ in range(steps):
        labels = rng.integers(0, classes, size)
        yield (means[labels] + rng.normal(size=(size, *shape))).astype(np.float32), labels


def curve(t, model, make_optimizer, data):
    """The losses of training."""
    optimizer = make_optimizer(t.optim, model.parameters())
    losses = []
    for x, labels in data:
        loss = t.nn.functional.cross_entropy(model(t.from_numpy(x)), t.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize("name", MODELS)
def test_two_hundred_losses_agree_to_one_in_ten_thousand(name):
    make, shape, make_optimizer = MODELS[name]
    dtrain.manual_seed(0)
    ours, theirs = make(dtrain.nn), make(torch.nn)
    initial = {key: np.array(value.numpy()) for key, value in ours.state_dict().items()}
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in initial.items()})
    losses, expected = (
        curve(t, model, make_optimizer, batches(shape, 200))
        for t, model in ((dtrain, ours), (torch, theirs))
    )
    np.testing.assert_allclose(losses, expected, atol=1e-4, rtol=0)
    assert losses[-20:].mean() < losses[:20].mean() / 2
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(
            ours.state_dict()[key].numpy(), value.numpy(), atol=1e-3, err_msg=key
        )
