"""What must hold of the ways in which gradients are reduced; run as those of `bodies.py`."""

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.comm import tree_reduce
from dtrain.distributed.world import communicator
from dtrain.parallel import PowerSGD, TopK

from .bodies import MICROBATCHES, _alone, _train


def _values(count, length, dtype=np.float32):
    rng = np.random.default_rng(count)
    scale = 10.0 ** rng.integers(-4, 4, (count, length))
    return (rng.standard_normal((count, length)) * scale).astype(dtype)


def _partials(values, allocate):
    """This rank's blocks of the rows."""
    comm = communicator()

    def row(index):
        array = allocate(values.shape[1], values.dtype)
        array[...] = values[index]
        return array

    total = tree_reduce.TreeAccumulator(len(values), lambda a, b: np.add(a, b, out=a))
    for index in range(*tree_reduce.microbatch_range(comm.rank, comm.size, len(values))):
        total.push(index, row(index))
    return [partial for _, _, partial in total.partials]


def _tree_sum(values):
    if len(values) == 1:
        return values[0]
    middle = tree_reduce.split(0, len(values))
    return _tree_sum(values[:middle]) + _tree_sum(values[middle:])


def all_reduce_takes_arrays_of_any_length_from_any_memory():
    comm = communicator()
    # The largest is left to kernels; divided by a power of two, it is multiplied.
    for length, divisor in ((0, 3), (1, 3), (7, 2), (1000, 3), (70_001, 3), (300_001, 8)):
        for dtype in (np.float32, np.float64):
            for allocate in (comm.empty, np.empty):
                values = _values(MICROBATCHES, length, dtype)
                partials = _partials(values, allocate)
                comm.all_reduce(partials, partials[0], MICROBATCHES, divisor)
                expected = _tree_sum(values) / dtype(divisor)
                assert partials[0].tobytes() == expected.tobytes()


def reduce_scatter_and_all_gather_make_an_all_reduce():
    comm = communicator()
    values = _values(MICROBATCHES + 3, 1001)
    cuts = np.sort(np.random.default_rng(0).integers(0, 1002, comm.size - 1)).tolist()
    for bounds in (tree_reduce.equal_bounds(1001, comm.size), [0, *cuts, 1001]):
        partials = _partials(values, comm.empty)
        comm.reduce_scatter(partials, partials[0], bounds, len(values), 2)
        own = slice(*bounds[comm.rank : comm.rank + 2])
        expected = _tree_sum(values) / np.float32(2)
        assert partials[0][own].tobytes() == expected[own].tobytes()
        for flat in (partials[0], partials[0].copy()):
            comm.all_gather_slices(flat, bounds)
            assert flat.tobytes() == expected.tobytes()


def memory_that_nobody_holds_is_used_again():
    comm = communicator()
    for step in range(20):
        flat = comm.empty(10_000, np.dtype(np.float32))
        flat[...] = comm.rank + step
        comm.all_reduce([flat], flat, comm.size)
        assert flat[0] == flat[-1] == sum(range(comm.size)) + comm.size * step


def overlapped_buckets_give_the_same_bits():
    options = {"bucket_bytes": 300, "overlap": True}
    assert _train(**options) == _alone(_train)
    assert _train(samples=16 + 3, **options) == _alone(_train, samples=16 + 3)


def buckets_leave_while_the_backward_pass_still_runs():
    first, last = nn.Linear(1, 1), nn.Linear(1, 1)
    model = DataParallel(nn.Sequential(first, last), bucket_bytes=1, overlap=True)
    seen = []
    first.bias.register_post_accumulate_grad_hook(
        lambda _: seen.append(len(model._gradients._in_flight))
    )
    model(dtrain.ones(1, 1)).sum().backward()
    assert seen == [2]  # those of `last`


def buckets_are_small_where_they_leave_early():
    def buckets(**options):
        layers = [nn.Linear(512, 512, bias=False) for _ in range(6)]  # of 1 MB each
        model = DataParallel(nn.Sequential(*layers), **options)
        return len({id(param._bucket) for param in model.parameters()})

    assert buckets(overlap=False) == 1
    assert buckets(overlap=True) == 4  # one layer, two, two, one


def a_second_backward_pass_where_one_was_promised_is_an_error():
    model = DataParallel(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), 1, overlap=True)
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 2, microbatches=MICROBATCHES)
    batches = list(
        range(*tree_reduce.microbatch_range(distributed.rank(), distributed.world_size(), 8))
    )
    for index, (x,) in zip(batches, next(loader.steps(one_backward=True))):
        loss = model(x).mean()
        loss.backward(retain_graph=True)
        if index == batches[-1]:
            with pytest.raises(RuntimeError, match="a second backward pass in a microbatch"):
                loss.backward()
            break
    for (x,) in next(loader.steps()):  # the step that was left is forgotten
        model(x).mean().backward()


def the_fast_reduction_gives_the_same_mean():
    def gradients(**options):
        dtrain.manual_seed(3)
        model = DataParallel(nn.Linear(7, 5), **options)
        data = TensorDataset(dtrain.randn(29, 7, generator=dtrain.Generator(0)))
        for (x,) in next(DataLoader(data, 4, microbatches=MICROBATCHES).steps()):
            model(x).pow(2).mean().backward()
        return model.module.weight.grad.numpy()

    np.testing.assert_allclose(gradients(reduction="fast"), gradients(), rtol=1e-5)
    with pytest.raises(ValueError, match="expected reduction 'exact' or 'fast', got 'quick'"):
        DataParallel(nn.Linear(1, 1), reduction="quick")


class _Scaled(nn.Module):
    """A model whose gradient is the mean of the input."""

    def __init__(self, dtype):
        super().__init__()
        self.w = nn.Parameter(dtrain.zeros(1, dtype=dtype))

    def forward(self, x):
        return self.w * x


def gradients_of_halves_are_added_in_float32_and_rounded_once():
    even, uneven = [30_000.0] * 16, [30_000.0, 1.0, 2.5] * 5  # of the latter some have one sample
    for dtype in (dtrain.float16, dtrain.bfloat16):
        for values, options in (
            (even, {}),
            (even, {"reduction": "fast"}),
            (uneven, {}),
            (uneven, {"overlap": True, "bucket_bytes": 1}),
            (even, {"compression": "float16"}),
            (even, {"compression": TopK(1)}),
            (even, {"compression": PowerSGD()}),
        ):
            model = DataParallel(_Scaled(dtype), **options)
            x = dtrain.tensor(values).to(dtype)
            expected = x.float().mean().to(dtype).item()
            for kept in (0.0, 8.0):  # a gradient from before the step is added to the step's
                model.module.w.grad = dtrain.full((1,), kept, dtype=dtype) if kept else None
                loader = DataLoader(TensorDataset(x), 2, microbatches=MICROBATCHES)
                for (part,) in next(loader.steps()):
                    model(part).mean().backward()
                grad = model.module.w.grad
                assert grad.dtype == dtype
                step = np.spacing(np.float32(expected)) * 2.0 ** (13 if dtype == "float16" else 16)
                assert abs(grad.item() - expected - kept) <= 2 * step
