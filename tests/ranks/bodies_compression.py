"""What must hold of compressed gradients; run as those of `bodies.py`."""

import math
import tempfile

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, ZeroRedundancyOptimizer, distributed, nn
from dtrain.backend.random import normal, philox_bits, random_key
from dtrain.checkpoint import digest, load_checkpoint, save_checkpoint
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed import world
from dtrain.distributed.comm import tree_reduce
from dtrain.distributed.step import current_microbatch
from dtrain.nn import functional as F
from dtrain.parallel import PowerSGD, TopK
from tests.gathered import from_rank_0, gathered

from .bodies import MICROBATCHES, _alone, _data, _sgd, _train

POWER = PowerSGD(2, start_powerSGD_iter=2, min_compression_rate=0.5)
SETTINGS = ("float16", "bfloat16", POWER, TopK(0.1))


def compressed_weights_do_not_depend_on_world_size():
    digests = [_train(compression=setting) for setting in SETTINGS]
    assert digests == [_alone(_train, compression=setting) for setting in SETTINGS]
    assert len({*digests, _alone(_train)}) == len(SETTINGS) + 1
    for setting, expected in zip(SETTINGS, digests):
        assert _train(compression=setting, bucket_bytes=300, overlap=True) == expected


def fewer_samples_than_microbatches_compress_to_the_same_bits():
    for setting in SETTINGS:
        expected = _alone(_train, samples=16 + 3, compression=setting)
        assert _train(samples=16 + 3, compression=setting) == expected


class _Fixed(nn.Module):
    """A model whose parameters' gradients are what it is given."""

    def __init__(self, **shapes):
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(dtrain.zeros(shape)))

    def forward(self, grads):
        return sum((getattr(self, name) * dtrain.from_numpy(g)).sum() for name, g in grads.items())


def _step(model, grads_of, count=MICROBATCHES, batch_size=1, samples=None):
    """One step; `grads_of(index)` has the gradients of a microbatch by name, or none."""
    model.zero_grad()
    data = TensorDataset(dtrain.arange(samples or count * batch_size))
    for _ in next(DataLoader(data, batch_size, microbatches=count).steps()):
        grads = grads_of(current_microbatch().index)
        out = model(grads or {})
        if grads:
            out.backward()
    return {
        name: None if param.grad is None else param.grad.numpy().copy()
        for name, param in model.module.named_parameters()
    }


def _random(shape, key, scale=1.0):
    values = np.random.default_rng(key).standard_normal(shape) * scale
    return values.astype(np.float32)


def what_is_left_out_comes_later():
    """The mean of many steps of one gradient is that gradient, for small numbers as well."""
    steps = 60
    for setting in ("float16", "bfloat16", PowerSGD(2, 0, 0.5), TopK(0.2)):
        model = DataParallel(_Fixed(w=(6, 8), b=(6,)), compression=setting)
        grads = [{"w": _random((6, 8), i, 1e-6), "b": _random(6, -i - 1 + 99)} for i in range(8)]
        total = {"w": 0.0, "b": 0.0}
        first = None
        for _ in range(steps):
            seen = _step(model, lambda i, grads=grads: grads[i])
            first = first or seen
            total = {name: total[name] + seen[name].astype(np.float64) for name in total}
        for name in total:
            true = np.mean([g[name].astype(np.float64) for g in grads], 0)
            whole = name == "b" and isinstance(setting, PowerSGD)
            off = np.abs(first[name] - true).max()
            assert whole or off > 1e-4 * np.abs(true).max()
            assert np.abs(total[name] / steps - true).max() <= (1e-7 if whole else off / 10)


def uneven_microbatches_are_weighted_by_their_samples():
    sizes = [3, 2, 2, 2, 2, 0, 0, 0]  # as the loader deals 11 samples
    for setting, tolerance in (("float16", 2e-3), ("bfloat16", 1e-2), (TopK(1), 1e-6)):
        model = DataParallel(_Fixed(w=(50,)), compression=setting)
        grads = [_random(50, i) for i in range(8)]
        seen = _step(model, lambda i, grads=grads: {"w": grads[i]}, batch_size=3, samples=11)["w"]
        true = sum(n * g for n, g in zip(sizes, grads)) / 11
        np.testing.assert_allclose(seen, true, atol=tolerance)


def halves_are_compressed_in_float32_to_the_same_bits_and_after_a_resume():
    def train(setting, dtype, resumes=False):
        dtrain.manual_seed(0)
        model, seen = DataParallel(_Fixed(w=(6, 8), b=(6,)).to(dtype), compression=setting), b""
        for key in range(4):
            if key == 2 and resumes:
                state = model.compression_state
                state.consolidate_state_dict()
                saved = from_rank_0(state.state_dict() if distributed.rank() == 0 else 0)
                assert {error.dtype for error in saved["errors"].values()} == {dtrain.float32}
                model = DataParallel(_Fixed(w=(6, 8), b=(6,)).to(dtype), compression=setting)
                model.compression_state.load_state_dict(saved)

            def grads(index, key=key):
                return {"w": _random((6, 8), (key, index)), "b": _random(6, (key, index, 1))}

            model.zero_grad()
            _step(model, grads)
            assert model.module.w.grad.dtype == dtype
            seen += b"".join(param.grad.array.tobytes() for param in model.parameters())
        return seen

    for setting in ("bfloat16", PowerSGD(2, 1, 0.5), TopK(0.2)):
        for dtype in (dtrain.float16, dtrain.bfloat16):
            expected = _alone(train, setting=setting, dtype=dtype)
            assert train(setting, dtype) == train(setting, dtype, resumes=True) == expected


def numbers_too_large_for_float16_saturate():
    model = DataParallel(_Fixed(w=(2,)), compression="float16")
    large = np.array([1e5, -3.0], np.float32)
    first, second = (_step(model, lambda _: {"w": large})["w"].tolist() for _ in range(2))
    assert first == [65504, -3]
    assert second == [65504, -3]
    nothing = np.zeros(2, np.float32)
    later = [_step(model, lambda _: {"w": nothing})["w"][0] for _ in range(3)]
    assert sum(later) + 2 * 65504 == pytest.approx(2e5, rel=1e-3)


def nan_and_infinity_are_seen_and_forgotten():
    """They are in the step's result, and the step leaves no trace in the memory."""
    for setting in ("float16", "bfloat16", PowerSGD(2, 0, 0.5), TopK(0.1)):
        for bad in (np.nan, np.inf, -np.inf):

            def run(steps, setting=setting, bad=bad):
                dtrain.manual_seed(0)
                model = DataParallel(_Fixed(w=(6, 8), b=(6,)), compression=setting)
                for key in steps:

                    def grads(index, key=key):
                        w = _random((6, 8), (abs(key), index))
                        if key < 0 and index == 3:
                            w[2, 5] = bad
                        return {"w": w, "b": w[:, 0] * 0 + 1}

                    seen = _step(model, grads)
                return seen

            seen = run([1, -2])["w"]
            assert np.isnan(seen[2, 5]) if math.isnan(bad) else not np.isfinite(seen[2, 5])
            assert run([1, -2, 3])["w"].tobytes() == run([1, 3])["w"].tobytes()


def a_parameter_without_a_gradient_keeps_its_memory():
    for setting in ("float16", "bfloat16", PowerSGD(2, 0, 0.5), TopK(0.1)):

        def run(steps, setting=setting):
            dtrain.manual_seed(0)
            model = DataParallel(_Fixed(w=(6, 8), b=(6,)), compression=setting)
            for key in steps:
                grads = {"b": _random(6, 5)} | ({"w": _random((6, 8), key)} if key else {})
                # of those that have one, some microbatches have none
                seen = _step(model, lambda i, g=grads: g if i != 2 else {})
                assert (seen["w"] is None) == (not key)
            return seen["w"].tobytes()

        assert run([1, 0, 3]) == run([1, 3])


def a_compressed_step_left_by_break_is_forgotten():
    def run(setting, leave):
        dtrain.manual_seed(0)
        model = DataParallel(_Fixed(w=(6, 8)), bucket_bytes=1, overlap=leave, compression=setting)
        _step(model, lambda i: {"w": _random((6, 8), i)})
        if leave:
            model.zero_grad()
            data = TensorDataset(dtrain.arange(MICROBATCHES))
            for (x,) in next(DataLoader(data, 1, microbatches=MICROBATCHES).steps()):
                model({"w": _random((6, 8), int(x) + 50)}).backward()
                break
        return _step(model, lambda i: {"w": _random((6, 8), i + 9)})["w"].tobytes()

    for setting in ("float16", "bfloat16", PowerSGD(2, 0, 0.5), TopK(0.1)):
        assert run(setting, leave=True) == _alone(run, setting, leave=False)


def powersgd_is_the_papers_algorithm():
    """Algorithm 1 in float64: two steps with their errors and the warm start."""
    dtrain.manual_seed(7)
    rank, shape = 2, (6, 4, 5)
    model = DataParallel(_Fixed(b=(9,), w=shape), compression=PowerSGD(rank, 0, 1))
    bits = philox_bits(20, random_key(7, 2, 1, 0, 0))  # w is the parameter with number 1
    q = normal(bits, np.dtype(np.float32), 20 * rank).reshape(20, rank).astype(np.float64)
    errors = [np.zeros((6, 20))] * MICROBATCHES
    for step in range(2):
        grads = [{"w": _random(shape, (step, i)), "b": _random(9, i)} for i in range(8)]
        seen = _step(model, lambda i, grads=grads: grads[i])
        totals = [g["w"].reshape(6, 20) + e for g, e in zip(grads, errors)]
        p, _ = np.linalg.qr(np.mean([m @ q for m in totals], 0))
        q = np.mean([m.T @ p for m in totals], 0)
        np.testing.assert_allclose(seen["w"].reshape(6, 20), p @ q.T, rtol=1e-4, atol=1e-6)
        errors = [m - p @ q.T for m in totals]
        exact = _mean_by_the_tree([g["b"] for g in grads])
        assert seen["b"].tobytes() == exact.tobytes()


def _mean_by_the_tree(values):
    def tree(a, b):
        middle = tree_reduce.split(a, b) if b - a > 1 else 0
        return tree(a, middle) + tree(middle, b) if middle else values[a]

    return tree(0, len(values)) / np.float32(len(values))


def powersgd_sends_everything_whole_in_its_first_steps():
    model = DataParallel(_Fixed(w=(6, 8)), compression=PowerSGD(1, 2, 0.5))
    for step in range(4):
        grads = [_random((6, 8), (step, i)) for i in range(8)]
        seen = _step(model, lambda i, grads=grads: {"w": grads[i]})["w"]
        assert (seen.tobytes() == _mean_by_the_tree(grads).tobytes()) == (step < 2)
        assert np.linalg.matrix_rank(seen, 1e-4) == (1 if step >= 2 else 6)


def topk_adds_the_largest_numbers_in_the_order_of_the_microbatches():
    model = DataParallel(_Fixed(v=(3,), w=(40,)), compression=TopK(0.1))
    error = np.zeros((MICROBATCHES, 40), np.float32)
    for step in range(3):
        grads = np.stack([_random(40, (step, i)).round(1) for i in range(8)])  # with ties
        seen = _step(model, lambda i, g=grads: {"w": g[i], "v": np.ones(3, np.float32)})
        error += grads
        sent = np.zeros_like(error)
        for row, left in zip(sent, error):
            places = np.argsort(-np.abs(left), kind="stable")[:4]
            row[places], left[places] = left[places], 0
        expected = np.zeros(40, np.float32)
        for row in sent:
            expected += row
        assert seen["w"].tobytes() == (expected / np.float32(8)).tobytes()
        assert seen["v"].tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]][step]


class _Counting:
    """A communicator that counts the bytes which leave a rank that is alone on its machine."""

    def __init__(self, comm):
        self._comm, self.sent = comm, 0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def _others(self, flat, bounds):
        """The bytes of all slices but this rank's own."""
        own = bounds[self._comm.rank + 1] - bounds[self._comm.rank]
        return (len(flat) - own) * flat.itemsize

    def all_reduce(self, partials, out, count, divisor=1):
        bounds = tree_reduce.equal_bounds(len(out), self._comm.size)
        self.sent += sum(self._others(partial, bounds) for partial in partials)
        self._gather(out, bounds)
        self._comm.all_reduce(partials, out, count, divisor)

    def all_to_all_slices(self, flats, bounds, count):
        self.sent += sum(self._others(flat, bounds) for flat in flats)
        return self._comm.all_to_all_slices(flats, bounds, count)

    def all_gather_slices(self, flat, bounds):
        self._gather(flat, bounds)
        self._comm.all_gather_slices(flat, bounds)

    def _gather(self, flat, bounds):
        others = self._comm.size - 1
        own = bounds[self._comm.rank + 1] - bounds[self._comm.rank]
        self.sent += own * flat.itemsize * others


def _bytes_of_a_step(setting, microbatches_per_rank=1):
    model = DataParallel(_Fixed(w=(96, 240), b=(240,)), compression=setting)
    gradients, size = model._gradients, distributed.world_size()
    counted = [_Counting(world.communicator())]
    gradients._comm = counted[0]
    if gradients._overlap:  # between machines
        gradients._thread_comm = _Counting(gradients._thread_comm)
        counted.append(gradients._thread_comm)
    grads = {"w": _random((96, 240), 0), "b": _random(240, 0)}
    _step(model, lambda _: grads, count=size * microbatches_per_rank)
    return sum(gathered(sum(comm.sent for comm in counted)))


def so_many_bytes_are_sent_as_is_claimed():
    size, numbers = distributed.world_size(), 97 * 240
    whole = _bytes_of_a_step(None)
    assert whole == 2 * (size - 1) * numbers * 4
    for half in ("float16", "bfloat16"):
        assert _bytes_of_a_step(half) == whole / 2
        assert _bytes_of_a_step(half, 2) == whole * 3 / 4
        assert _bytes_of_a_step(half, 3) == whole
    power = PowerSGD(4, start_powerSGD_iter=0)
    expected = 2 * (size - 1) * ((96 + 240) * 4 + 240) * 4
    assert _bytes_of_a_step(power) == expected
    if size in (1, 2, 4, 8):  # others have more than one block of the tree on some ranks
        assert _bytes_of_a_step(power, 4) == expected
    top = math.ceil(0.01 * 96 * 240) + math.ceil(0.01 * 240)
    assert _bytes_of_a_step(TopK(0.01)) == size * (size - 1) * top * 8
    assert _bytes_of_a_step(TopK(0.01), 2) == 2 * size * (size - 1) * top * 8


def _loss_after_training(**options):
    dtrain.manual_seed(3)
    x = dtrain.randn(64, 12)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).long()
    model = DataParallel(nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 2)), **options)
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.2)
    loader = DataLoader(TensorDataset(x, y), 8, microbatches=MICROBATCHES)
    for _ in range(150):
        for step in loader.steps():
            for x_, y_ in step:
                F.cross_entropy(model(x_), y_).backward()
            optimizer.step()
            optimizer.zero_grad()
    with dtrain.no_grad():
        return F.cross_entropy(model.module(x), y).item()


def compressed_training_reaches_the_loss_of_whole_gradients():
    whole = _loss_after_training()
    assert whole < 0.35
    for setting in ("float16", "bfloat16"):
        assert _loss_after_training(compression=setting) == pytest.approx(whole, rel=1e-2)
    for setting in (PowerSGD(2, 5, 1), TopK(0.1)):
        assert _loss_after_training(compression=setting) == pytest.approx(whole, rel=0.15)


def _job(setting, **options):
    dtrain.manual_seed(3)
    layers = nn.Flatten(), nn.Linear(16, 9), nn.Tanh(), nn.Linear(9, 5)
    model = DataParallel(nn.Sequential(*layers), compression=setting, **options)
    loader = DataLoader(_data(), 2, shuffle=True, microbatches=MICROBATCHES)
    return {
        "model": model,
        "optimizer": _sgd(model.parameters()),
        "loader": loader,
        "compression": model.compression_state,
    }


def _run(objects, steps, stop, folder=None):
    """Train from one step to another, and save there."""
    while steps < stop:
        for step in objects["loader"].steps():
            for x, y in step:
                F.cross_entropy(objects["model"](x), y).backward()
            objects["optimizer"].step()
            objects["optimizer"].zero_grad()
            steps += 1
            if steps == stop:
                break
    if folder:
        save_checkpoint(folder, steps, **objects)
        distributed.barrier()
    return digest(objects["model"].state_dict())


def compression_resumes_on_another_number_of_ranks():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)

    def resumed(path, stop, save=None):
        objects = _job(setting, bucket_bytes=200)  # of other buckets
        return _run(objects, load_checkpoint(path, **objects), stop, save)

    for number, setting in enumerate(SETTINGS):
        path = f"{folder}/{number}"
        expected = _alone(lambda: _run(_job(setting), 0, 7))  # noqa: B023
        # Some steps on all ranks, some on one, and the rest on all again.
        _run(_job(setting), 0, 3, path)
        if distributed.rank() == 0:
            _alone(resumed, path, 5, path)
        distributed.barrier()
        assert resumed(path, 7) == expected


def the_compression_state_of_another_job_is_refused():
    state = _job("float16")["compression"]
    with pytest.raises(RuntimeError, match=r"call consolidate_state_dict\(\) on every rank"):
        state.state_dict()

    def saved(model):
        _step(model, lambda _: {"w": np.ones((2, 3), np.float32)})
        for rank in range(distributed.world_size()):
            model.compression_state.consolidate_state_dict(rank)
        return model.compression_state.state_dict()

    given = saved(DataParallel(_Fixed(w=(2, 3)), compression=TopK(0.5)))
    for setting, shape, message in (
        (
            "float16",
            (2, 3),
            r"expected the state of HalfPrecisionCompression\(dtype='float16'\), got the state of TopK",
        ),
        (TopK(0.5), (2, 4), r"expected for w errors of shape \(8, 2, 4\), got \(8, 2, 3\)"),
    ):
        other = DataParallel(_Fixed(w=shape), compression=setting).compression_state
        with pytest.raises(ValueError, match=message):
            other.load_state_dict(given)


def another_number_of_microbatches_needs_a_clear_memory():
    model = DataParallel(_Fixed(w=(3,)), compression="bfloat16")
    grads = {"w": np.ones(3, np.float32)}
    _step(model, lambda _: grads)
    with pytest.raises(RuntimeError, match="each of 8 microbatches, but this step has 16"):
        _step(model, lambda _: grads, count=16)
    model.compression_state.clear()
    assert _step(model, lambda _: grads, count=16)["w"].tolist() == [1, 1, 1]


def compression_is_refused_where_it_cannot_be():
    linear = nn.Linear(3, 2)
    for model, options, message in (
        (linear, {"compression": "int8"}, "expected compression 'float16'.*got 'int8'"),
        (linear, {"compression": "float16", "reduction": "fast"}, "omit reduction='fast'"),
    ):
        with pytest.raises(ValueError, match=message):
            DataParallel(model, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.communicator(), "elastic", True)
        with pytest.raises(ValueError, match="run without --elastic"):
            DataParallel(linear, compression="float16")
    with pytest.raises(ValueError, match=r"expected 0 < ratio <= 1, got 1\.5"):
        TopK(1.5)
    with pytest.raises(ValueError, match="expected matrix_approximation_rank >= 1"):
        PowerSGD(0)
    model = DataParallel(linear, compression=dtrain.float16)
    ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.SGD, lr=0.1)
    with pytest.raises(
        ValueError, match=r"ZeroRedundancyOptimizer: expected exact gradients, got those of"
    ):
        model(dtrain.ones(1, 3))


def all_to_all_slices_gives_each_rank_its_part_of_every_value():
    comm = world.communicator()
    for count in (comm.size, comm.size + 3, 16):
        for size in (0, 1, 70_001):
            values = _random((count, size), size)
            bounds = tree_reduce.equal_bounds(size, comm.size)
            own = values[slice(*tree_reduce.microbatch_range(comm.rank, comm.size, count))]
            got = comm.all_to_all_slices(list(own), bounds, count)
            part = slice(*bounds[comm.rank : comm.rank + 2])
            assert [g.tobytes() for g in got] == [v[part].tobytes() for v in values]
