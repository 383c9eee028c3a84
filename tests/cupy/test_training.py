"""Training on CuPy takes NumPy's steps, keeps its data on the device, and needs no rank count."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.checkpoint import digest
from dtrain.data import DataLoader
from dtrain.nn import functional as F
from tests.cupy import digits

STEPS, BATCH = 10, 32


def sgd(params):
    return optim.SGD(params, 0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)


JOBS = {
    "digits": (lambda: digits.example.build_model(8), sgd),
    "mlp": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10)
        ),
        lambda params: optim.AdamW(params, 1e-3, amsgrad=True),
    ),
}


def training(job, device):
    """Trains on `device`; gives each step's loss before the next begins, and the model at last."""
    build_model, make_optimizer = JOBS[job]
    dtrain.manual_seed(0)
    x, y = digits.dataset(device, STEPS * BATCH).tensors
    model = build_model().to(device)
    optimizer = make_optimizer(model.parameters())
    for start in range(0, len(x), BATCH):
        loss = F.cross_entropy(model(x[start : start + BATCH]), y[start : start + BATCH])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss
    yield model


@pytest.mark.parametrize("job", JOBS)
def test_ten_steps_agree_with_numpy(job):
    *expected_losses, expected = training(job, "cpu")
    *losses, model = training(job, "cuda")
    assert all(loss.is_cuda for loss in losses)
    np.testing.assert_allclose(
        [loss.item() for loss in losses], [loss.item() for loss in expected_losses], atol=1e-4
    )
    state = model.state_dict()
    assert all(value.is_cuda for value in state.values())
    for name, value in expected.state_dict().items():
        np.testing.assert_allclose(
            state[name].cpu().numpy(), value.numpy(), atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize("job", JOBS)
def test_a_step_copies_nothing_but_the_loss_that_is_read(job, copies):
    losses = training(job, "cuda")
    next(losses)  # the data and the model are moved before the first step ends
    copies()
    for _ in range(STEPS - 1):
        loss = next(losses)
        assert copies() == (0, 0)
        loss.item()
        assert copies() == (0, 1)


def trained(device, **options):
    dtrain.manual_seed(0)
    data = digits.dataset(device, 100)  # three steps, the last one short and uneven
    loader = DataLoader(data, 7, shuffle=True, microbatches=6)
    model = DataParallel(digits.example.build_model(8).to(device), **options)
    optimizer = sgd(model.parameters())
    for step in loader.steps():
        for x, y in step:
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return digest(model.module.state_dict())


def test_weights_do_not_depend_on_the_number_of_ranks():
    (alone,) = distributed.run_ranks(1, trained, "cuda")
    for size in (2, 3):
        assert distributed.run_ranks(size, trained, "cuda") == [alone] * size


def graphed():
    return trained("cuda", cuda_graph=True)


def test_cuda_graphs_keep_the_weights():
    (alone,) = distributed.run_ranks(1, trained, "cuda")
    for size in (1, 2):
        assert distributed.run_ranks(size, graphed) == [alone] * size


@pytest.mark.parametrize(
    "size", [pytest.param(2, marks=pytest.mark.long), 3, pytest.param(4, marks=pytest.mark.long)]
)
def test_weights_under_mpi_are_those_of_one_process(size, run_python):
    bin_folder = str(Path(sys.executable).parent)
    if not shutil.which("mpirun", path=bin_folder + os.pathsep + os.environ["PATH"]):
        pytest.skip("no mpirun")
    (alone,) = distributed.run_ranks(1, trained, "cuda")
    script = Path(__file__).with_name("train_on_ranks.py")
    job = run_python("-m", "dtrain.cli", "run", "-n", size, script)
    digests = f"digests{f' {alone}' * size}"
    assert job.stdout.splitlines().count(digests) == 2, job.stderr


def test_accumulated_steps_without_a_loader_agree_with_numpy():
    def body(device):
        dtrain.manual_seed(0)
        model = DataParallel(nn.Linear(4, 3).to(device))
        for number in range(2):  # no zero_grad: the second is added to the first
            x = dtrain.full((2, 4), number + 1.0, device=device)
            model(x).pow(2).mean().backward()
        return model.module.weight.grad.cpu().tolist()

    for host, device in zip(*(distributed.run_ranks(2, body, d) for d in ("cpu", "cuda"))):
        np.testing.assert_allclose(device, host, rtol=1e-5)


@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
def test_all_reduce_of_device_tensors(op):
    def body(device):
        mine = dtrain.arange(5, dtype=dtrain.float32, device=device) * (distributed.rank() - 1)
        return distributed.all_reduce(mine, op).cpu().tolist()

    assert distributed.run_ranks(3, body, "cuda") == distributed.run_ranks(3, body, "cpu")


def test_gradients_of_many_parameters_are_written_in_one_launch(counts):
    sizes = [1, 3, 5000, 0, 8192]
    params = [nn.Parameter(dtrain.zeros(n, device="cuda")) for n in sizes]
    optimizer = optim.SGD(params, 1.0)

    def seen(param):  # in the pass: what waits is written before it is read
        assert (param.grad == 3).all()

    for expected in (3, 6):
        counts()
        sum((param * 3).sum() for param in params).backward()
        assert counts()["write_parts"] == (expected == 3)
        assert [param.grad.tolist() for param in params] == [[expected] * n for n in sizes]
    optimizer.zero_grad()
    params[2].register_post_accumulate_grad_hook(seen)
    sum((param * 3).sum() for param in params).backward()
    assert [param.grad.tolist() for param in params] == [[3.0] * n for n in sizes]


HALVES = {
    "times": lambda x, i: x * 0.5 + x,
    "mean": lambda x, i: x.mean(0),
    "attention": lambda x, i: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "picked": lambda x, i: x[i],
    "norm": lambda x, i: F.batch_norm(x, None, None, training=True) ** 2,
    "cumulative": lambda x, i: x.cumsum(0),
}


@pytest.mark.parametrize("dtype", [dtrain.float16, dtrain.bfloat16])
def test_operations_of_halves_have_the_dtypes_and_values_of_the_cpu(dtype):
    dtrain.manual_seed(0)
    x, index = dtrain.randn(4, 6).to(dtype), dtrain.tensor([3, 1, 1, 0, 1])
    for name, operation in HALVES.items():
        both = []
        for device in ("cpu", "cuda"):
            leaf = x.detach().clone().to(device).requires_grad_()
            out = operation(leaf, index.to(device))
            out.float().pow(2).sum().backward()
            assert (out.dtype, leaf.grad.dtype) == (dtype, dtype), name
            both.append((out, leaf.grad))
        for host, here in zip(*both):
            expected = host.detach().float().numpy()
            np.testing.assert_allclose(
                here.detach().float().cpu().numpy(), expected, rtol=0.04,
                atol=0.04 * np.abs(expected).max(), err_msg=name,
            )  # fmt: skip


@pytest.mark.parametrize("dtype", [dtrain.float16, dtrain.bfloat16])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 3}])
def test_cross_entropy_of_halves_has_gradients_of_their_dtype(dtype, options):
    x, y = dtrain.randn(64, 10).to(dtype), dtrain.randint(0, 10, (64,))
    expected, here = x.float().requires_grad_(), x.to("cuda").requires_grad_()
    F.cross_entropy(expected, y, **options).backward()
    F.cross_entropy(here, y.to("cuda"), **options).backward()
    assert here.grad.dtype == dtype
    np.testing.assert_allclose(here.grad.float().cpu().numpy(), expected.grad.numpy(), atol=2e-3)
