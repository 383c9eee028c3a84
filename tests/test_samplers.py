"""Samplers, streams and splits: what an epoch holds, on any number of ranks, and after a resume."""

import collections

import pytest

import dtrain
from dtrain import distributed
from dtrain.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    StackDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from dtrain.data.distributed_sampler import draw_torch_permutation

NUMBERS = TensorDataset(dtrain.arange(11))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(11))


class Backwards(Sampler[int]):
    def __iter__(self):
        return iter(range(10, -1, -1))

    def __len__(self):
        return 11


LOADERS = {
    "random": lambda **how: DataLoader(NUMBERS, 2, sampler=RandomSampler(NUMBERS), **how),
    "with replacement": lambda **how: DataLoader(
        NUMBERS, 2, sampler=RandomSampler(NUMBERS, True, 14), **how
    ),
    "weighted": lambda **how: DataLoader(
        NUMBERS, 2, sampler=WeightedRandomSampler(range(11), 9), **how
    ),
    "subset": lambda **how: DataLoader(NUMBERS, 2, sampler=SubsetRandomSampler([9, 1, 3]), **how),
    "own": lambda **how: DataLoader(NUMBERS, 2, sampler=Backwards(), **how),
    "batches": lambda **how: DataLoader(
        NUMBERS, batch_sampler=BatchSampler(RandomSampler(NUMBERS), 3, False), **how
    ),
    "stream": lambda **how: DataLoader(Stream(), 2, **how),
    "stream without its rest": lambda **how: DataLoader(Stream(), 2, drop_last=True, **how),
}
each_loader = pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)


def values(batch):
    return (batch[0] if isinstance(batch, list) else batch).tolist()


def dealt(make, epochs=2):
    """Every microbatch that is not empty, with a random number drawn in it."""
    loader = make(microbatches=4)
    return [
        [(values(batch), dtrain.rand(1).item()) for batch in step if values(batch)]
        for _ in range(epochs)
        for step in loader.steps()
    ]


@each_loader
def test_three_ranks_get_the_steps_of_one(make):
    (alone,) = distributed.run_ranks(1, dealt, make)
    ranks = distributed.run_ranks(3, dealt, make)
    together = [[batch for part in parts for batch in part] for parts in zip(*ranks)]
    assert together == alone
    drawn = [number for step in alone for _, number in step]
    assert len(set(drawn)) == len(drawn)


@each_loader
def test_a_loader_goes_on_in_the_middle_of_an_epoch(make):
    whole = make(microbatches=2)
    seen, states = [], []
    for _ in range(3):
        for step in whole.steps():
            seen.append([values(batch) for batch in step])
            states.append(whole.state_dict())
    for number in (0, len(states) // 2):
        resumed = make(microbatches=2)
        resumed.load_state_dict(states[number])
        rest = [[values(batch) for batch in step] for step in resumed.steps()]
        assert rest == seen[number + 1 :][: len(rest)]


def test_a_sampler_draws_another_order_in_each_epoch_by_its_seed():
    first, again = (RandomSampler(range(20), generator=dtrain.Generator(5)) for _ in range(2))
    orders = [list(first) for _ in range(3)]
    assert orders == [list(again) for _ in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert orders[0] != orders[1]
    again.set_epoch(1)
    assert list(again) == orders[1]
    assert list(RandomSampler(range(20), generator=dtrain.Generator(6))) != orders[0]


def test_more_samples_than_there_are_come_in_rounds():
    order = list(RandomSampler(range(4), num_samples=10))
    assert [sorted(order[:4]), sorted(order[4:8])] == [list(range(4))] * 2
    assert order[:4] != order[4:8]


def test_the_samplers_arrays_give_the_steps_of_their_lists():
    data = TensorDataset(dtrain.arange(5))
    for draw in (
        lambda: RandomSampler(data, num_samples=23),  # five arrays, which no step ends with
        lambda: WeightedRandomSampler(range(5), 8),
        lambda: None,
    ):
        order = list(draw() or range(5))
        for batch_size, microbatches, drop_last in ((1, 1, False), (3, 2, False), (2, 2, True)):
            options = {"microbatches": microbatches, "drop_last": drop_last}
            by_arrays = DataLoader(data, batch_size, sampler=draw(), **options)
            by_list = DataLoader(data, batch_size, sampler=order, **options)
            whole = [[values(batch) for batch in step] for step in by_list.steps()]
            for first in range(len(whole) + 1):
                by_arrays.load_state_dict(
                    {**by_arrays.state_dict(), "epoch": 0, "next_step": first}
                )
                assert [[values(b) for b in s] for s in by_arrays.steps()] == whole[first:]


def test_a_subclass_of_a_sampler_gives_its_own_order():
    class Even(RandomSampler):
        def __iter__(self):
            return (index for index in super().__iter__() if index % 2 == 0)

    seen = [values(batch) for batch in DataLoader(NUMBERS, 1, sampler=Even(NUMBERS))]
    assert sorted(seen) == [[0], [2], [4], [6], [8], [10]]


@pytest.mark.parametrize("replacement", [True, False])
def test_weights_say_how_often_a_sample_is_drawn(replacement):
    sampler = WeightedRandomSampler(dtrain.tensor([1.0, 0.0, 3.0]), 1, replacement)
    drawn = collections.Counter(next(iter(sampler)) for _ in range(2000))
    assert set(drawn) == {0, 2}
    assert drawn[2] / 2000 == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("samples", "size"), [(0, 3), (2, 3), (3, 2), (11, 3), (12, 3), (7, 1)])
def test_a_batch_sampler_is_as_long_as_its_batches(samples, size, drop_last):
    sampler = BatchSampler(range(samples), size, drop_last)
    expected = samples // size if drop_last else -(-samples // size)
    assert len(sampler) == len(list(sampler)) == expected


@pytest.mark.parametrize("microbatches", [1, 2, 3, 5])
def test_a_loader_of_batches_is_as_long_as_its_steps(microbatches):
    batches = BatchSampler(RandomSampler(NUMBERS), 3, False)  # four batches
    loader = DataLoader(NUMBERS, batch_sampler=batches, microbatches=microbatches)
    assert len(loader) == len(list(loader.steps())) == {1: 4, 2: 2, 3: 2, 5: 1}[microbatches]
    listed = DataLoader(NUMBERS, batch_sampler=[[0, 1], [2], [3]], microbatches=microbatches)
    assert len(listed) == len(list(listed.steps())) == {1: 3, 2: 2, 3: 1, 5: 1}[microbatches]


def test_a_stream_without_a_length_has_none():
    with pytest.raises(TypeError, match=r"no len\(\)"):
        len(DataLoader(Stream(), 2))


def test_datasets_are_joined_and_split():
    both = NUMBERS + TensorDataset(dtrain.arange(3) + 100)
    assert [int(both[i][0]) for i in (0, 10, 11, -1)] == [0, 10, 100, 102]
    with pytest.raises(IndexError):
        both[14]
    assert StackDataset([1, 2], "ab")[1] == (2, "b")
    parts = random_split(both, [0.5, 0.3, 0.2], generator=dtrain.Generator(1))
    assert [len(part) for part in parts] == [8, 4, 2]
    assert sorted(i for part in parts for i in part.indices) == list(range(14))
    again = random_split(both, [8, 4, 2], generator=dtrain.Generator(1))
    assert [part.indices for part in parts] == [part.indices for part in again]


REFUSED = {
    "shuffle and sampler": lambda: DataLoader(NUMBERS, shuffle=True, sampler=Backwards()),
    "batches of batches": lambda: DataLoader(NUMBERS, 2, batch_sampler=[[1, 2]]),
    "a shuffled stream": lambda: DataLoader(Stream(), shuffle=True),
    "no dataset": lambda: ConcatDataset([]),
    "unequal lengths": lambda: StackDataset([1], [1, 2]),
    "named and not": lambda: StackDataset([1], b=[1]),
    "a split of fewer": lambda: random_split(NUMBERS, [3, 3]),
    "fractions above 1": lambda: random_split(NUMBERS, [1.5, -0.5]),
    "negative weights": lambda: WeightedRandomSampler([1, -1], 1),
    "too few with a weight": lambda: WeightedRandomSampler([1, 0], 2, replacement=False),
    "samples of nothing": lambda: RandomSampler([], True, 3),
    "a batch of none": lambda: BatchSampler([1], 0, False),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ValueError, match=r"\w+: |^Sum of"):
        make()


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="num_wrokers"):
        DataLoader(NUMBERS, num_wrokers=4)


PERMUTATIONS = {
    3: [6, 0, 3, 7, 8, 5, 1, 9, 2, 4],
    4: [0, 4, 9, 6, 7, 3, 2, 8, 1, 5],
}
THOUSAND = [44, 37, 675, 775]


def test_a_distributed_sampler_shuffles_as_pytorch():
    """torch.randperm(10) by generators with the seeds 3 and 4, and torch.randperm(1000) by 0."""
    sampler = DistributedSampler(range(10), num_replicas=1, rank=0, seed=3)
    assert list(sampler) == PERMUTATIONS[3]
    sampler.set_epoch(1)
    assert list(sampler) == PERMUTATIONS[4]
    ranks = [list(DistributedSampler(range(10), 4, rank, seed=3)) for rank in range(4)]
    padded = PERMUTATIONS[3] + PERMUTATIONS[3][:2]
    assert ranks == [padded[rank::4] for rank in range(4)]
    assert list(DistributedSampler(range(1), 3, 2)) == [0]
    assert list(DistributedSampler(range(0), 3, 2)) == []
    drawn = draw_torch_permutation(1000, 2**32)
    assert (drawn[:4], sorted(drawn)) == (THOUSAND, list(range(1000)))
