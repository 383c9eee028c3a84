"""Datasets that are not the same on all ranks are named in the first step that trains."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.data import BatchSampler, DataLoader, Dataset, SubsetRandomSampler
from dtrain.data.sample_check import digest_sample
from dtrain.errors import DesyncError


class Listed(Dataset):
    """Samples in the order of `numbers`; counts what is loaded."""

    def __init__(self, numbers, make=lambda number: dtrain.full((1,), float(number))):
        self.numbers, self.make, self.loaded = list(numbers), make, 0

    def __getitem__(self, index):
        self.loaded += 1
        return self.make(self.numbers[index])

    def __len__(self):
        return len(self.numbers)


def train(dataset, epochs=1, **options):
    model = DataParallel(nn.Linear(1, 1))
    loader = DataLoader(dataset, **{"batch_size": 2, **options})
    for _ in range(epochs):
        for step in loader.steps():
            for x in step:
                model(x).sum().backward()
    return model.module.weight.grad.item()


def train_with_lists(lists, **options):
    def body():
        return train(Listed(lists[distributed.rank()]), **options)

    return distributed.run_ranks(len(lists), body)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": True},
        {"sampler": SubsetRandomSampler(range(12))},
        {"batch_sampler": BatchSampler(range(12), 2, False), "batch_size": 1},
    ],
)
def test_an_unsorted_listing_is_named(options):
    lists = [range(12), range(12), range(11, -1, -1)]
    message = r"sample \d+ of the dataset .* rank 0, 1 unlike rank 2.*sorted\(glob.*sharded=True"
    with pytest.raises(DesyncError, match=message):
        train_with_lists(lists, **options)


def test_lists_of_other_lengths_are_named():
    with pytest.raises(DesyncError, match="has 12 on rank 0, 13 on rank 1 samples"):
        train_with_lists([range(12), range(13)])


def test_the_same_lists_train_and_a_declared_shard_is_not_compared():
    assert len(set(train_with_lists([range(12)] * 3))) == 1
    train_with_lists([range(4), range(7, 3, -1)], sharded=True)


def test_four_samples_are_loaded_once_in_a_loaders_life():
    def body():
        data = Listed(range(16))
        train(data, epochs=3, shuffle=True)
        return data.loaded

    assert distributed.run_ranks(2, body) == [3 * 8 + 4] * 2
    assert distributed.run_ranks(1, body) == [3 * 16]


def test_a_loop_that_trains_nothing_compares_nothing():
    def body():
        data = Listed(range(4 + distributed.rank(), 0, -1))
        loader = DataLoader(data, batch_size=4)
        return [len(batch) for batch in loader] if distributed.rank() == 0 else None

    assert distributed.run_ranks(2, body) == [[2], None]


def test_random_numbers_of_the_datasets_own_are_no_difference():
    count = itertools.count()

    def body():
        train(Listed(range(8), lambda number: dtrain.full((1,), float(next(count)))))

    distributed.run_ranks(2, body)


def test_a_sample_that_one_rank_cannot_load_is_left_to_the_program():
    def make(number):
        if distributed.rank() == 1 and number == 0:
            raise OSError("no such file")
        return dtrain.ones(1)

    distributed.run_ranks(2, lambda: train(Listed(range(8), make)))


class Opaque:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.arange(3), np.arange(3) + 1),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, "i4"), np.zeros(2, "i8")),
        (np.array([1.0, 2.0]), np.array([2.0, 1.0])),
        (np.array([1.0, 3.0]), np.array([1.0, 3.1])),
        (dtrain.tensor([1.5]), dtrain.tensor([1.6])),
        (1, 2),
        (1.0, 1.1),
        (None, 0),
        ("cat", "dog"),
        (b"ab", b"ba"),
        ([1, [2]], [1, 2]),
        ([[1], 2], [[1, 2]]),
        ({"label": 1}, {"label": 2}),
        ({"label": 1}, {"name": 1}),
        ((np.zeros(2), 3), (np.zeros(2), 4)),
        (np.True_, np.False_),
    ],
)
def test_digests_tell_samples_apart(a, b):
    assert digest_sample(a) != digest_sample(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([1 / 3, 2e5]), np.array([1 / 3, 2e5]) * (1 + 1e-13)),
        (0.1 + 0.2, 0.3),
        ("/node0/data/cat.png", "/node1/data/cat.png"),
        (Path("/a/cat.png"), Path("/b/cat.png")),
        (Opaque(1), Opaque(2)),
        (np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3)),
    ],
)
def test_digests_are_those_of_equal_samples(a, b):
    assert digest_sample(a) == digest_sample(b)
