"""SyncBatchNorm on ranks beside PyTorch's BatchNorm on the batch of all."""

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed
from dtrain.data import DataLoader, TensorDataset

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle


def model_of(t, norm):
    return t.nn.Sequential(t.nn.Conv2d(2, 3, 3), norm(3), t.nn.GELU(), t.nn.Conv2d(3, 2, 2))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("samples", [12, 7, 2], ids=["even", "uneven", "a rank without any"])
def test_gradients_and_statistics_are_those_of_the_whole_batch(samples, size):
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 2, (samples, 2, 6, 6)), rng.normal(0, 1, (samples, 2, 3, 3))
    expected = model_of(torch, torch.nn.BatchNorm2d).double()
    weights = {name: value.numpy().copy() for name, value in expected.state_dict().items()}
    torch.nn.functional.mse_loss(expected(torch.tensor(x)), torch.tensor(y)).backward()

    def rank():
        model = model_of(dtrain, dtrain.nn.SyncBatchNorm).double()
        model.load_state_dict({k: dtrain.from_numpy(v.copy()) for k, v in weights.items()})
        model = DataParallel(model)
        data = TensorDataset(dtrain.from_numpy(x), dtrain.from_numpy(y))
        for inputs, targets in DataLoader(data, -(-12 // size)):
            dtrain.nn.functional.mse_loss(model(inputs), targets).backward()
        return model.module

    for model in distributed.run_ranks(size, rank):
        for (name, have), want in zip(model.named_parameters(), expected.parameters()):
            np.testing.assert_allclose(
                have.grad.numpy(), want.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name
            )
        for (name, have), want in zip(model.named_buffers(), expected.buffers()):
            np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=1e-12, err_msg=name)
