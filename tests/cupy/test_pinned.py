"""Pinned memory: batches of a loader, and copies from it on a stream of their own."""

import subprocess
import sys

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.backend.pinned import PinnedMapping, is_pinned, pin_mapping
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.comm.shared_memory import own_memory
from tests.cupy import conftest


def _dataset():
    x = dtrain.arange(20 * 30_000, dtype=dtrain.float32).reshape(20, 30_000)
    return TensorDataset(x, dtrain.arange(20))


class _Batch:
    def __init__(self, samples):
        self.x = dtrain.stack([x for x, _ in samples])

    def pin_memory(self):
        self.x = self.x.pin_memory()
        return self


@pytest.mark.parametrize(
    "options",
    [{}, {"prefetch": 2}, {"num_workers": 2}, {"num_workers": 1, "worker_type": "thread"}],
    ids=["program", "prefetch", "processes", "thread"],
)
def test_batches_are_pinned_and_the_same(options):
    data = _dataset()
    plain = DataLoader(data, 6, shuffle=True, seed=3)
    pinned = DataLoader(data, 6, shuffle=True, seed=3, pin_memory=True, **options)
    for _ in range(2):  # the second epoch has the memory of the first
        for batch, expected in zip(pinned, plain):
            assert all(x.is_pinned() for x in batch)
            moved = [x.to("cuda", non_blocking=True) for x in batch]
            assert [x.tolist() for x in moved] == [x.tolist() for x in expected]
    assert not any(x.is_pinned() for x in next(iter(plain)))


def test_large_arrays_of_workers_are_pinned_where_they_lie():
    loader = DataLoader(_dataset(), 20, num_workers=1, pin_memory=True)
    ((x, labels),) = loader
    owner = x.array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    assert isinstance(getattr(owner, "obj", owner), PinnedMapping)
    assert labels.is_pinned()  # a small one, which is copied


def test_containers_and_own_batches_are_pinned():
    data = [(dtrain.ones(3) * i, {"label": i}) for i in range(4)]
    ((x, rest),) = DataLoader(data, 4, pin_memory=True)
    assert x.is_pinned()
    assert rest["label"].is_pinned()
    (batch,) = DataLoader(_dataset(), 20, collate_fn=_Batch, pin_memory=True)
    assert batch.x.is_pinned()


def test_pin_memory_of_tensors():
    x = dtrain.arange(6.0).reshape(2, 3).T
    pinned = x.pin_memory()
    assert not x.is_pinned()
    assert pinned.is_pinned()
    assert pinned.pin_memory() is pinned
    assert pinned.tolist() == pinned.cuda().tolist() == x.tolist()
    assert pinned[:, 1:].cuda().tolist() == x[:, 1:].tolist()  # a view with gaps
    assert dtrain.zeros(3, pin_memory=True, requires_grad=True).is_pinned()
    assert dtrain.zeros(3, pin_memory=True, requires_grad=True).is_leaf
    assert not dtrain.zeros(0).pin_memory().is_pinned()
    half = dtrain.arange(5, dtype=dtrain.bfloat16).pin_memory()
    assert half.cuda().float().tolist() == [0, 1, 2, 3, 4]
    weight = dtrain.ones(2, requires_grad=True)
    (weight.pin_memory().cuda() * 3).sum().backward()
    assert weight.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="must be in host memory, it is on cuda:0"):
        x.cuda().pin_memory()


def test_a_model_trains_from_pinned_batches_to_the_same_bits():
    def train(**options):
        dtrain.manual_seed(0)
        model = nn.Linear(30_000, 3).cuda()
        for x, y in DataLoader(_dataset(), 5, **options):
            x, y = x.to("cuda", non_blocking=True), y.cuda(non_blocking=True)
            loss = nn.functional.cross_entropy(model(x / 1e6), y % 3)
            model.zero_grad()
            loss.backward()
            with dtrain.no_grad():
                model.weight -= 0.1 * model.weight.grad
        return model.weight.detach().cpu().numpy().tobytes()

    assert train() == train(pin_memory=True) == train(pin_memory=True, num_workers=1)


_LATE = """
import sys
sys.path[:0] = {path!r}
import hostcuda
hostcuda.install(lazy=True)
import dtrain
from dtrain.cuda import current_stream

busy = dtrain.ones(1000, device="cuda")
dtrain.cuda.synchronize()
sums, expected = [], []
for i in range(6):  # the GPU has not begun the first step when the last one is launched
    x = dtrain.full((100_000,), float(i)).pin_memory()
    moved = x.to("cuda", non_blocking=i % 2 == 1)
    if i % 2 == 0:
        x.zero_()  # the copy from it has been waited for
    sums.append((moved * 2).sum())
    expected.append(2e5 * i)
    if i < 5:
        assert not current_stream().query(), "the copy waited for the step before"
    del moved, x  # the next copy must not take the memory that this step reads
assert [s.item() for s in sums] == expected, [s.item() for s in sums]
assert not hostcuda.violations()
"""


@pytest.mark.skipif(not conftest.HOSTED, reason="streams run late on host memory only")
def test_copies_overlap_with_steps_and_do_not_overwrite_what_they_read():
    path = [str(conftest.Path(conftest.__file__).parents[1] / "hostcuda")]
    program = _LATE.format(path=path)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_memory_that_ranks_share_is_pinned_once():
    memory = own_memory()
    for size in (1003, 1000):  # the second has the memory of the first
        array = memory.empty(size, np.dtype(np.float32))
        pin_mapping(array)
        assert is_pinned(array)
        assert is_pinned(array[-1:])
        del array
    private = np.zeros(1000)
    pin_mapping(private)
    assert not is_pinned(private)
