"""An optimizer over a model that is not in DataParallel, in a loop over a sharding loader."""

import warnings

import pytest

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed import world
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.errors import DesyncError


class FirstOfTwo(SoloCommunicator):
    """Rank 0 of two; the other rank is absent, and says what `other` makes of this rank's value."""

    size = 2

    def __init__(self, other=lambda value: value):
        self.other = other

    def allgather(self, value, what="a value"):
        return [value, self.other(value)]


def train(comm, epochs=1, wrap=lambda model: model):
    """The warnings of a loop whose optimizer steps after each backward pass."""

    def body():
        world.set_communicator(comm)
        model = wrap(nn.Linear(2, 1))
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for _ in range(epochs):
            for (x,) in DataLoader(TensorDataset(dtrain.ones(8, 2)), 2):
                model(x).sum().backward()
                optimizer.step()
                optimizer.zero_grad()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        distributed.run_ranks(1, body)
    return [str(warning.message) for warning in caught]


def test_a_model_that_is_not_wrapped_is_warned_of_once():
    (message,) = train(FirstOfTwo(), epochs=3)
    assert "SGD.step(): 2 of 2 parameters are in no DataParallel" in message
    assert "model = dtrain.DataParallel(model)" in message


def test_other_ranks_and_a_world_of_one_do_not_warn():
    second = FirstOfTwo()
    second.rank = 1
    assert train(second) == train(SoloCommunicator()) == []


def test_a_wrapped_model_is_not_warned_of():
    assert train(SoloCommunicator(), wrap=DataParallel) == []


def test_a_loop_without_a_loader_is_not_warned_of():
    def body():
        world.set_communicator(FirstOfTwo())
        model = nn.Linear(2, 1)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        model(dtrain.ones(1, 2)).sum().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer.step()

    distributed.run_ranks(1, body)


def test_detail_compares_what_the_optimizer_holds(monkeypatch):
    monkeypatch.setenv("DTRAIN_DEBUG", "detail")
    monkeypatch.setenv("DTRAIN_DEBUG_EVERY", "2")
    assert len(train(FirstOfTwo())) == 1

    seen = []

    def other(value):
        seen.append(value)
        if len(seen) == 1:
            return value
        return [(*entry[:-1], b"another") for entry in value]

    message = r"before step 2 of an optimizer parameter 0 of group 0, of shape \(1, 2\), is not"
    with pytest.raises(DesyncError, match=message):
        train(FirstOfTwo(other), epochs=2)
    assert len(seen) == 2  # step 1 is not compared


def test_a_model_whose_closure_computes_the_gradients_is_warned_of_at_the_second_step():
    def body():
        world.set_communicator(FirstOfTwo())
        model = nn.Linear(2, 1)
        optimizer = optim.LBFGS(model.parameters(), max_iter=1)
        for (x,) in DataLoader(TensorDataset(dtrain.ones(16, 2)), 2):

            def closure(x=x):
                optimizer.zero_grad()
                loss = model(x).pow(2).sum()
                loss.backward()
                return loss

            optimizer.step(closure)

    with pytest.warns(UserWarning, match=r"LBFGS.step\(\): 2 of 2 parameters are in no DataPar"):
        distributed.run_ranks(1, body)
