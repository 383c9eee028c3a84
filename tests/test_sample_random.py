"""Random numbers in a dataset are keyed by (seed, epoch, sample index), whoever loads it."""

import random

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.data import DataLoader, Dataset, IterableDataset

SOURCES = {
    "dtrain": lambda: dtrain.rand(1).item(),
    "numpy": np.random.rand,
    "random": random.random,
    "normal": np.random.randn,
}


class Noisy(Dataset):
    def __init__(self, draw):
        self.draw = draw

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return index, self.draw()


class Stream(IterableDataset):
    def __init__(self, draw):
        self.draw = draw

    def __iter__(self):
        return ((i, self.draw()) for i in range(24))


def draws(dataset, ranks=1, epochs=2, **options):
    """Each epoch's random number of each sample, from loaders on this many ranks."""

    def body():
        dtrain.manual_seed(3)
        loader = DataLoader(dataset, batch_size=2, microbatches=4, **options)
        return [
            [
                pair
                for step in loader.steps()
                for i, r in step
                for pair in zip(i.tolist(), r.tolist())
            ]
            for _ in range(epochs)
        ]

    told = distributed.run_ranks(ranks, body)
    return [dict(pair for rank in told for pair in rank[epoch]) for epoch in range(epochs)]


@pytest.mark.parametrize("draw", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("kind", [Noisy, Stream])
def test_a_samples_random_numbers_do_not_depend_on_the_ranks(kind, draw):
    alone = draws(kind(draw))
    assert len(alone[0]) == 24
    assert len({*alone[0].values(), *alone[1].values()}) == 48
    assert draws(kind(draw), ranks=2) == alone
    assert draws(kind(draw), ranks=4) == alone


@pytest.mark.parametrize("draw", SOURCES.values(), ids=SOURCES)
def test_a_samples_random_numbers_do_not_depend_on_the_order(draw):
    assert draws(Noisy(draw), shuffle=True) == draws(Noisy(draw))


@pytest.mark.parametrize("kind", [Noisy, Stream])
def test_the_programs_own_random_states_stay_as_they_were(kind):
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand(), dtrain.rand(1).item()
    for draw in SOURCES.values():
        random.seed(1)
        np.random.seed(1)
        dtrain.manual_seed(0)
        for _ in DataLoader(kind(draw), batch_size=4):
            pass
        assert (random.random(), np.random.rand(), dtrain.rand(1).item()) == expected


def test_another_bit_generator_of_numpys_is_put_back():
    mine = np.random.Philox(5)
    before = np.random.mtrand.get_bit_generator()
    np.random.mtrand.set_bit_generator(mine)
    try:
        found = draws(Noisy(np.random.rand))
        assert np.random.mtrand.get_bit_generator() is mine
    finally:
        np.random.mtrand.set_bit_generator(before)
    assert found == draws(Noisy(np.random.rand))


def test_a_dataset_that_draws_late_is_keyed_from_its_first_draw_on():
    class Late(Noisy):
        def __getitem__(self, index):
            return index, self.draw() if index > 10 else 0.0

    assert draws(Late(random.random), ranks=2) == draws(Late(random.random))


def test_what_a_collate_function_draws_is_keyed_too():
    def mix(samples):
        return dtrain.tensor([i for i, _ in samples]), dtrain.tensor(
            [random.random()] * len(samples)
        )

    assert draws(Noisy(lambda: 0), ranks=4, collate_fn=mix) == draws(
        Noisy(lambda: 0), collate_fn=mix
    )
