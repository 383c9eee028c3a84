"""Datasets, collation, the loader in a world of one, and IDX files."""

import collections
import gzip

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    default_collate,
    read_idx,
    read_idx_folder,
)
from dtrain.data.collate import default_convert
from dtrain.errors import DataError, DesyncError


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return {"n": i, "square": np.float32(i * i), "pair": (dtrain.tensor([i]), str(i))}


def order(loader):
    return [n for (x,) in loader for n in x.tolist()]


def numbers(n=10, **options):
    return DataLoader(TensorDataset(dtrain.arange(n)), **options)


def test_samples_of_containers_are_collated():
    batch = next(iter(DataLoader(Squares(), batch_size=3)))
    assert batch["n"].tolist() == [0, 1, 2]
    assert batch["square"].dtype == dtrain.float32
    assert batch["pair"][0].shape == (3, 1)
    assert batch["pair"][1] == ["0", "1", "2"]


def test_what_cannot_be_collated_is_named():
    with pytest.raises(TypeError, match="got object; pass DataLoader"):
        default_collate([object()])
    with pytest.raises(RuntimeError, match="differ in length"):
        default_collate([[1, 2], [3]])


def test_a_collate_function_takes_the_samples():
    loader = DataLoader(Subset(Squares(), [4, 2]), 2, collate_fn=lambda s: [d["n"] for d in s])
    assert list(loader) == [[4, 2]]


def test_tensor_datasets_take_tensors_of_one_length():
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        TensorDataset(dtrain.ones(2), dtrain.ones(3))


def test_rows_of_tensors_are_taken_as_by_an_index():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * rows for rows in super().__getitem__(index))

    weight = dtrain.arange(4.0, requires_grad=True)
    columns = dtrain.arange(8.0).reshape(2, 4).T  # not contiguous
    half = dtrain.arange(4.0).bfloat16()
    sampler = [3, -4, 1]
    for data, double in ((TensorDataset(columns, half), 1), (Doubled(columns, half), 2)):
        ((x, y),) = DataLoader(data, 3, sampler=sampler)
        assert (x / double).tolist() == [[3, 7], [0, 4], [1, 5]]
        assert (y / double).tolist() == [3, 0, 1]
        assert y.dtype == dtrain.bfloat16
        x += 1  # the rows are copies
        assert columns[3].tolist() == [3, 7]
    ((taken, _),) = DataLoader(TensorDataset(weight, columns), 3, sampler=sampler)
    taken.sum().backward()
    assert weight.grad.tolist() == [1, 1, 0, 1]
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        list(DataLoader(TensorDataset(columns), 2, sampler=[0, 4]))


def test_without_shuffle_the_order_is_the_datasets():
    assert order(numbers(batch_size=3)) == list(range(10))


def test_the_last_batch_is_short_or_dropped():
    assert [len(x) for (x,) in numbers(batch_size=4)] == [4, 4, 2]
    dropped = numbers(batch_size=4, drop_last=True)
    assert [len(x) for (x,) in dropped] == [4, 4]
    assert len(dropped) == 2
    assert len(numbers(batch_size=4)) == 3


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (16, 4, [4, 4, 4, 4]),
        (11, 4, [3, 3, 3, 2]),
        (7, 4, [3, 2, 2, 0]),
        (3, 4, [3, 0, 0, 0]),
        (1, 4, [1, 0, 0, 0]),
        (3, 1, [1, 1, 1, 0]),
        (5, 2, [3, 2, 0, 0]),
        (3, 2, [3, 0, 0, 0]),
    ],
)
def test_a_short_step_is_split_evenly_into_batches_of_two_or_more(samples, batch_size, sizes):
    loader = numbers(samples, batch_size=batch_size, microbatches=4)
    (step,) = loader.steps()
    assert [len(x) for (x,) in step] == [n for n in sizes if n]


def test_the_order_is_a_function_of_seed_and_epoch():
    first, second, other = (numbers(shuffle=True, seed=seed) for seed in (1, 1, 2))
    epochs = [order(first) for _ in range(3)]
    assert [order(second) for _ in range(3)] == epochs
    assert order(other) != epochs[0]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)


def test_the_seed_is_the_programs_if_none_is_given():
    dtrain.manual_seed(5)
    assert order(numbers(shuffle=True)) == order(numbers(shuffle=True, seed=5))


def test_a_loop_left_by_break_begins_the_next_epoch():
    loader, twin = numbers(shuffle=True, seed=1), numbers(shuffle=True, seed=1)
    next(iter(loader))
    order(twin)
    assert order(loader) == order(twin)


def test_a_loader_goes_on_where_its_state_was_taken():
    loader = numbers(shuffle=True, seed=3, batch_size=2)
    order(loader)
    rest = []
    for index, (x,) in enumerate(loader):
        if index == 1:
            state = loader.state_dict()
        if index > 1:
            rest.append(x.tolist())
    resumed = numbers(shuffle=True, seed=3, batch_size=2)
    resumed.load_state_dict(state)
    assert resumed.epoch == 1
    assert [x.tolist() for (x,) in resumed] == rest
    assert order(resumed) == order(loader)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"batch_size": 3}, {"n": 11}, {"shuffle": False}, {"drop_last": True}]
)
def test_the_state_of_a_loader_with_other_steps_is_refused(change):
    state = numbers(shuffle=True, seed=3, batch_size=2).state_dict()
    other = numbers(**{"shuffle": True, "seed": 3, "batch_size": 2, **change})
    with pytest.raises(ValueError, match="its steps would hold other samples"):
        other.load_state_dict(state)


@pytest.mark.parametrize("option", ["batch_size", "microbatches"])
@pytest.mark.parametrize("value", [0, -1, 2.5])
def test_sizes_below_one_are_refused(option, value):
    with pytest.raises(
        ValueError, match=f"DataLoader: {option} must be an integer >= 1, got {value}"
    ):
        numbers(**{option: value})


# --- IDX files ---


def idx_bytes(array):
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    header = bytes([0, 0, codes[array.dtype.name], array.ndim])
    sizes = np.array(array.shape, ">u4").tobytes()
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def folder(tmp_path):
    """A folder of IDX files: 5 images to train on, gzipped, and 3 to test on."""
    rng = np.random.default_rng(0)
    for stem, n, end in (("train", 5, ".gz"), ("t10k", 3, "")):
        images = rng.integers(0, 256, (n, 4, 6), np.uint8)
        labels = np.arange(n, dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx_bytes(array)
            data = gzip.compress(data) if end else data
            (tmp_path / f"{stem}-{kind}-ubyte{end}").write_bytes(data)
    return tmp_path


def test_idx_folders_gzipped_or_not(folder):
    images, labels = read_idx_folder(folder, "train")
    assert images.shape == (5, 4, 6)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert labels.dtype == np.int64
    assert read_idx_folder(folder, "test")[0].shape == (3, 4, 6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_holds_every_type(tmp_path, dtype):
    array = np.arange(-3, 3).reshape(2, 3).astype(dtype)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    read = read_idx(tmp_path / "a")
    assert read.dtype == array.dtype
    assert read.tolist() == array.tolist()


def test_a_missing_folder_or_file_is_named(folder):
    with pytest.raises(DataError, match="nowhere: is not a folder"):
        read_idx_folder(folder / "nowhere", "train")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no test labels: expected t10k-labels-idx1-ubyte"):
        read_idx_folder(folder, "test")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "the file is cut"),
        (lambda data: data[:9], "its header alone needs 16"),
        (lambda data: data[:2], "not with an IDX magic number"),
        (lambda data: b"", "begins with nothing"),
        (lambda data: data + b"x", "the file is too long"),
        (lambda data: b"\x01" + data[1:], "begins with 01 00 08 03"),
        (lambda data: data[:2] + b"\x07" + data[3:], "not with an IDX magic number"),
        (lambda data: gzip.compress(data)[:-9], "cannot be read"),
        (lambda data: gzip.compress(data)[:20] + b"????" * 9, "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(folder, damage, message):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as error:
        read_idx_folder(folder, "test")
    assert str(path) in str(error.value)


def test_labels_out_of_range_are_refused(folder):
    with pytest.raises(DataError, match="label 4 is out of range: expected 0 <= label < 4"):
        read_idx_folder(folder, "train", classes=4)


def test_images_and_labels_must_be_as_many(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(2, np.uint8)))
    with pytest.raises(DataError, match=r"\(2,\) labels for 3 images"):
        read_idx_folder(folder, "test")


Pair = collections.namedtuple("Pair", "a b")


class Foreign:
    """A tensor of another library that NumPy can read."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("samples", "batch"),
    [
        (["a", "b"], ["a", "b"]),
        ([b"a", b"b"], [b"a", b"b"]),
        ([np.str_("a"), np.str_("b")], ["a", "b"]),
        ([1, 2.5], dtrain.tensor([1.0, 2.5])),
        ([True, 2], dtrain.tensor([1, 2])),
        ([np.float32(1), 2], dtrain.tensor([1.0, 2.0])),
        ([Pair(1, "x"), Pair(2, "y")], Pair(dtrain.tensor([1, 2]), ["x", "y"])),
        ([{"a": 1}, {"a": 2, "b": 3}], {"a": dtrain.tensor([1, 2])}),
        ([Foreign(), Foreign()], dtrain.tensor([[1.0, 2.0]] * 2, dtype=dtrain.float64)),
        ([dtrain.ones(1), np.ones(1, np.float32)], dtrain.ones(2, 1)),
        ([[], []], []),
    ],
)
def test_samples_are_collated_as_pytorch_does(samples, batch):
    assert_same(default_collate(samples), batch)


def assert_same(a, b):
    if isinstance(b, dtrain.Tensor):
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()
    elif isinstance(b, (list, tuple)):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(b, dict):
        assert a.keys() == b.keys()
        for key in b:
            assert_same(a[key], b[key])
    else:
        assert a == b


@pytest.mark.parametrize("samples", [[None, None], [(1, None)], [np.float32(1), "a"], [1 + 2j]])
def test_samples_that_cannot_be_stacked_are_refused(samples):
    with pytest.raises(TypeError, match="default_collate"):
        default_collate(samples)


def test_a_mapping_keeps_its_type():
    batch = default_collate([collections.defaultdict(list, a=1), {"a": 2}])
    assert batch["missing"] == []
    assert batch["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "sample",
    [(np.float32(1), "name"), {"x": dtrain.ones(3), "y": [1, 2]}, Pair(b"a", 1), "text", 1],
)
def test_a_rank_without_samples_gets_a_batch_of_none_of_any_kind(sample):
    def body():
        loader = DataLoader([sample] * 3, batch_size=4, microbatches=2)
        return [len(leaves(batch)[0]) for step in loader.steps() for batch in step]

    assert distributed.run_ranks(2, body) == [[3], [0]]


def leaves(batch):
    if isinstance(batch, dict):
        return [leaf for value in batch.values() for leaf in leaves(value)]
    if isinstance(batch, (list, tuple)) and batch and not isinstance(batch[0], (str, bytes)):
        return [leaf for value in batch for leaf in leaves(value)]
    return [batch]


def test_without_a_batch_size_samples_are_batches():
    assert [int(x) for x in DataLoader([1, 2, 3], batch_size=None)] == [1, 2, 3]
    batches = [{"x": np.ones((n, 2)), "name": "a"} for n in (1, 2)]
    first, second = DataLoader(batches, batch_size=None)
    assert first["x"].shape == (1, 2)
    assert (second["x"].shape, second["name"]) == ((2, 2), "a")
    assert list(DataLoader([1, 2], batch_size=None, collate_fn=lambda x: -x)) == [-1, -2]
    with pytest.raises(ValueError, match="drop_last needs a batch_size"):
        DataLoader([1], batch_size=None, drop_last=True)


def test_sizes_may_be_numpys_integers():
    loader = DataLoader(range(4), batch_size=np.int64(2), microbatches=np.int32(2))
    assert [[x.tolist() for x in step] for step in loader.steps()] == [[[0, 1], [2, 3]]]


def test_indices_may_be_keys():
    data = {"a": 1.0, "b": 2.0, ("c", 3): 3.0}
    loader = DataLoader(data, batch_size=2, sampler=list(data))
    assert [x.tolist() for x in loader] == [[1.0, 2.0], [3.0]]


def test_any_iterable_is_a_stream():
    assert [x.tolist() for x in DataLoader((i for i in range(3)), batch_size=2)] == [[0, 1], [2]]

    class ForeignStream:
        def __iter__(self):
            return iter(range(3))

    loader = DataLoader(ForeignStream(), batch_size=2)
    assert [x.tolist() for x in loader] == [x.tolist() for x in loader] == [[0, 1], [2]]


def test_an_exhausted_generator_is_no_empty_epoch():
    loader = DataLoader((i for i in range(3)), batch_size=2)
    assert len(list(loader)) == 2
    with pytest.raises(RuntimeError, match="read to its end in the first epoch"):
        list(loader)


def test_ten_billion_draws_take_no_memory():
    sampler = RandomSampler(range(10), replacement=True, num_samples=10**10)
    assert 0 <= next(iter(sampler)) < 10
    batch = next(iter(DataLoader(range(10), batch_size=2, sampler=sampler)))
    assert batch.shape == (2,)


# --- samples that the user shards ---


class OwnStream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(distributed.rank(), self.n, distributed.world_size()))


class OwnSampler:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(distributed.rank(), self.n, distributed.world_size()))


def own_loaders(n, **options):
    return [
        DataLoader(OwnStream(n), **options),
        DataLoader(range(n), sampler=OwnSampler(n), **options),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_samples_sharded_by_the_user_are_refused_unless_declared(which):
    def body():
        list(own_loaders(8, batch_size=2)[which])

    with pytest.raises(DesyncError, match=r"ranks \[1\] bring other samples .* sharded=True"):
        distributed.run_ranks(2, body)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 7, 12, 25])
def test_declared_shards_are_seen_once_and_end_together(which, ranks, n):
    def body():
        loader = own_loaders(n, batch_size=2, microbatches=6, sharded=True)[which]
        steps = [[x.tolist() for x in step] for step in loader.steps()]
        return len(steps), [index for step in steps for batch in step for index in batch]

    told = distributed.run_ranks(ranks, body)
    assert len({steps for steps, _ in told}) == 1
    assert sorted(index for _, seen in told for index in seen) == list(range(n))


def test_the_mean_over_uneven_shards_is_the_mean_over_samples():
    def body():
        data = dtrain.arange(5.0)
        mine = [x for i, x in enumerate(data) if (i == 4) == (distributed.rank() == 1)]
        model = dtrain.DataParallel(dtrain.nn.Linear(1, 1, bias=False))
        loader = DataLoader(mine, batch_size=4, sharded=True)
        for x in loader:
            model(x.reshape(-1, 1)).mean().backward()
        return model.module.weight.grad.item()

    assert distributed.run_ranks(2, body) == [2.0, 2.0]


def test_a_sharded_loader_goes_on_where_its_state_was_taken():
    def body():
        options = {"batch_size": 2, "sharded": True}
        loader, resumed = own_loaders(20, **options)[0], own_loaders(20, **options)[0]
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        rest = [x.tolist() for x in batches]
        resumed.load_state_dict(state)
        return rest == [x.tolist() for x in resumed] and len(rest) == 4

    assert distributed.run_ranks(2, body) == [True, True]


def test_ranks_with_other_files_are_told_before_they_train():
    def body():
        names = ["a", "b"] if distributed.rank() else ["b", "a"]
        list(DataLoader(iter(names), batch_size=1))

    with pytest.raises(DesyncError, match="sort file lists"):
        distributed.run_ranks(2, body)


def test_arrays_of_other_libraries_are_converted_within_a_sample():
    converted = default_convert({"x": Foreign(), "y": np.ones(2), "z": "a"})
    assert isinstance(converted["x"], dtrain.Tensor)
    assert isinstance(converted["y"], dtrain.Tensor)
    assert converted["z"] == "a"
