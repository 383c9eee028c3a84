"""The order of calls in a bucket's reduction: every allowed path, and refusals of any other."""

import numpy as np
import pytest

import dtrain
from dtrain.autograd.bucket import Bucket
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.errors import RankFailedError
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.reduction_state import ReductionState, ReductionStateMachine

ACTIONS = ["begin", "set_aside", "push", "close", "reduce", "reduced", "commit"]
#: the actions that lead from idle to each state
PATHS = {
    ReductionState.IDLE: [],
    ReductionState.BEGUN: ["begin"],
    ReductionState.ACCUMULATING: ["begin", "set_aside"],
    ReductionState.CLOSED: ["begin", "set_aside", "push", "push", "close"],
    ReductionState.REDUCING: ["begin", "set_aside", "close", "reduce"],
    ReductionState.REDUCED: ["begin", "set_aside", "push", "close", "reduce", "reduced"],
}
#: what may follow each state
ALLOWED = {
    ReductionState.IDLE: {"begin"},
    ReductionState.BEGUN: {"set_aside"},
    ReductionState.ACCUMULATING: {"push", "close"},
    ReductionState.CLOSED: {"reduce"},
    ReductionState.REDUCING: {"reduced"},
    ReductionState.REDUCED: {"commit"},
}


def _machine(path):
    machine = ReductionStateMachine()
    for action in path:
        machine.advance(action)
    return machine


@pytest.mark.parametrize("state", ReductionState)
def test_each_state_is_reached_by_its_path(state):
    assert _machine(PATHS[state]).state is state


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", ReductionState)
def test_an_action_is_allowed_in_its_state_alone(state, action):
    machine = _machine(PATHS[state])
    if action in ALLOWED[state]:
        machine.advance(action)
        return
    with pytest.raises(
        RuntimeError, match=f"{action} is allowed when .*, the bucket is {state.value}"
    ):
        machine.advance(action)
    assert machine.state is state


@pytest.mark.parametrize("state", ReductionState)
def test_any_state_rolls_back_to_idle(state):
    machine = _machine(PATHS[state])
    is_set_aside = state not in (ReductionState.IDLE, ReductionState.BEGUN)
    assert machine.roll_back() is is_set_aside
    assert machine.state is ReductionState.IDLE


def test_a_whole_step_ends_idle():
    assert _machine([*PATHS[ReductionState.REDUCED], "commit"]).state is ReductionState.IDLE


# --- the bucket reducer ---


@pytest.fixture
def param():
    return dtrain.nn.Parameter(dtrain.zeros(3))


@pytest.fixture
def reducer(param):
    return BucketReducer(Bucket([param]), exact=True)


def _values(grad):
    return None if grad is None else grad.tolist()


def _accumulate(reducer, value):
    reducer.bucket.accumulate(0, np.full(3, value, np.float32))


@pytest.mark.parametrize(
    ("calls", "refused"),
    [
        ([], lambda r: r.set_aside()),
        ([], lambda r: r.push(0)),
        ([lambda r: r.begin(0, 1, (1,))], lambda r: r.push(0)),
        ([lambda r: r.begin(0, 1, (1,))], lambda r: r.begin(0, 1, (1,))),
        ([lambda r: r.begin(0, 1, (1,)), lambda r: r.set_aside()], lambda r: r.set_aside()),
        (
            [lambda r: r.begin(0, 1, (1,)), lambda r: r.set_aside()],
            lambda r: r.reduce(SoloCommunicator()),
        ),
        ([lambda r: r.begin(0, 1, (1,)), lambda r: r.set_aside()], lambda r: r.commit([True])),
    ],
)
def test_a_reducer_refuses_a_wrong_order_and_changes_nothing(calls, refused, reducer, param):
    _accumulate(reducer, 5)
    for call in calls:
        call(reducer)
    before = _values(param.grad)
    with pytest.raises(RuntimeError, match="reduction of a bucket: "):
        refused(reducer)
    assert _values(param.grad) == before


def test_a_step_adds_to_gradients_that_were_there_before(reducer, param):
    _accumulate(reducer, 5)
    reducer.begin(0, 1, (1, 1))
    reducer.set_aside()
    assert param.grad is None
    for index in (0, 1):
        _accumulate(reducer, 2 + index)
        reducer.push(index)
    reducer.close()
    reducer.reduce(SoloCommunicator())
    reducer.commit([True])
    assert param.grad.tolist() == [7.5] * 3


@pytest.mark.parametrize("stop_after", ["begin", "set_aside", "push", "close", "reduce"])
@pytest.mark.parametrize("before", [5, None])
def test_a_rolled_back_step_leaves_the_gradients_that_were_there_before(
    stop_after, before, reducer, param
):
    if before is not None:
        _accumulate(reducer, before)
    for action in ["begin", "set_aside", "push", "close", "reduce"]:
        if action == "begin":
            reducer.begin(0, 1, (1, 1))
        elif action == "push":
            _accumulate(reducer, 2)
            reducer.push(0)
        elif action == "reduce":
            reducer.reduce(SoloCommunicator())
        else:
            getattr(reducer, action)()
        if action == stop_after:
            break
    reducer.roll_back()
    assert _values(param.grad) == (before and [before] * 3)


def test_a_reduction_that_raised_can_only_be_rolled_back(reducer, param):
    class Failing(SoloCommunicator):
        def all_reduce(self, *_):
            raise RankFailedError("a rank failed")

    _accumulate(reducer, 5)
    reducer.begin(0, 1, (1,))
    reducer.set_aside()
    _accumulate(reducer, 2)
    reducer.push(0)
    reducer.close()
    with pytest.raises(RankFailedError):
        reducer.reduce(Failing())
    for refused in (lambda: reducer.commit([True]), lambda: reducer.reduce(SoloCommunicator())):
        with pytest.raises(RuntimeError, match="the bucket is reducing"):
            refused()
    reducer.roll_back()
    assert param.grad.tolist() == [5] * 3


def test_gradients_that_a_hook_removed_leave_those_from_before_the_step():
    model = dtrain.DataParallel(dtrain.nn.Linear(2, 1, bias=False))
    weight = model.module.weight
    weight.grad = dtrain.ones(1, 2)
    weight.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    model(dtrain.ones(1, 2)).sum().backward()
    assert weight.grad.tolist() == [[1, 1]]
