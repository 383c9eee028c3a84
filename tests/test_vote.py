"""The vote at the end of a step: what each difference between two ranks leads to.

Rank 0 runs here. Rank 1 is a communicator that answers as a test says.
"""

import copy
import warnings

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed import world
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.distributed.comm.tree_reduce import combine, contributed_nodes
from dtrain.errors import DesyncError, RankFailedError
from dtrain.parallel.model_agreement import Claim
from dtrain.parallel.reducer import _Vote

VOTE, VALUES = "the end of a step", "the values of the parameters"
PARAMETERS, OPTIONS = "the parameters of a model", "the options of the optimizers"


def same(value):
    return value


class FirstOfTwo(SoloCommunicator):
    """Rank 0 of two; rank 1 says what `votes` (one a step) and `answers` make of rank 0's values.

    An exception in place of a function is raised. With `commits` ranks may fail, and these are the
    results of the commits. The gradients of rank 1's microbatches are `their_gradient`.
    """

    size = 2

    def __init__(self, votes=(), answers=None, commits=None, their_gradient=0.0):
        self.votes, self.answers = iter(votes), answers or {}
        self.elastic, self.commits = commits is not None, iter(commits or ())
        self.their_gradient, self.asked, self.calls = their_gradient, [], []

    def allgather(self, value, what="a value"):
        self.asked.append(what)
        answer = next(self.votes, same) if what == VOTE else self.answers.get(what, same)
        if isinstance(answer, Exception):
            raise answer
        return [value, answer(_Vote(*value) if what == VOTE else value)]

    def all_reduce(self, partials, out, count, divisor=1):
        if isinstance(self.their_gradient, Exception):
            raise self.their_gradient
        parts = dict(zip(contributed_nodes(0, 2, count), partials))
        for low, high in contributed_nodes(1, 2, count):
            parts[low, high] = np.full_like(out, self.their_gradient * (high - low))
        combine(parts, (0, count), [out], slice(None), divisor)

    def commit(self):
        self.calls.append("commit")
        return next(self.commits, True)

    def revoke(self):
        self.calls.append("revoke")

    def recover(self):
        self.calls.append("recover")
        self.their_gradient = 0.0
        return False

    def questions(self):
        """What rank 0 has asked beside the votes, since the model was wrapped."""
        return [what for what in self.asked if what not in (VOTE, "a model", "a seed", "a value")]


def train(comm, steps=1, make=lambda: DataParallel(nn.Linear(2, 1)), before_vote=lambda *_: None):
    """A model that took SGD's steps, each of four microbatches of one sample of ones."""

    def body():
        world.set_communicator(comm)
        model = make()
        optimizer = optim.SGD(model.parameters(), lr=0.5)
        data = TensorDataset(dtrain.ones(4 * steps, 2))
        for number, step in enumerate(DataLoader(data, 1, microbatches=4).steps()):
            for (x,) in step:
                model(x).sum().backward()
                before_vote(model, number)
            optimizer.step()
            model.gradients = [p.grad.tolist() for p in model.parameters() if p.grad is not None]
            optimizer.zero_grad()
        return model

    return distributed.run_ranks(1, body)[0]


def differs(**fields):
    """A vote of rank 1 that has other fields than rank 0's."""
    return lambda vote: vote._replace(**fields)


def claims(**fields):
    """A vote of rank 1 whose claim about its model has other fields than rank 0's."""
    return lambda vote: vote._replace(claim=tuple(Claim(*vote.claim)._replace(**fields)))


def test_ranks_that_agree_ask_each_other_nothing_more():
    comm = FirstOfTwo()
    train(comm, steps=3)
    assert comm.asked.count(VOTE) == 3
    assert comm.questions() == []


DISAGREEMENTS = {
    "another step": (
        differs(step=7),
        {"a line": lambda site: "train.py:9"},
        r"different steps: rank 0 at step 1 of 4 microbatches \(.*test_vote\.py:\d+ in .*\), "
        r"rank 1 at step 7 of 4 microbatches \(train\.py:9\)",
    ),
    "other microbatches": (differs(microbatches=3), {}, r"rank 1 at step 1 of 3 microbatches"),
    "another parameter": (
        claims(model=b""),
        {PARAMETERS: lambda lines: [lines[0], "bias (1,) float64 cpu"]},
        r"where rank 0 has bias \(1,\) float32 cpu, rank 1 has bias \(1,\) float64 cpu \(ranks unl",
    ),
    "one parameter more": (
        claims(model=b""),
        {PARAMETERS: lambda lines: [*lines, "scale (1,) float32 cpu"]},
        r"where rank 0 has no more, rank 1 has scale",
    ),
    "other buckets": (claims(model=b""), {}, r"same parameters in different buckets"),
    "another optimizer": (
        claims(options=b""),
        {OPTIONS: lambda lines: [{**lines[0], "class": "Adam"}]},
        r"different optimizers: rank 0 by SGD, rank 1 by Adam",
    ),
    "no optimizer": (
        claims(options=b""),
        {OPTIONS: lambda _: []},
        r"rank 0 by SGD, rank 1 by none",
    ),
    "another option": (
        claims(options=b""),
        {OPTIONS: lambda lines: [{**lines[0], "lr (group 0)": 0.25}]},
        r"lr \(group 0\) of the optimizer SGD is 0\.5 on rank 0 and 0\.25 on rank 1",
    ),
    "an option more": (
        claims(options=b""),
        {OPTIONS: lambda lines: [{**lines[0], "beta (group 0)": 1}]},
        r"beta \(group 0\) of the optimizer SGD is None on rank 0 and 1 on rank 1",
    ),
    "other values, after more steps": (
        claims(writes=5),
        {VALUES: lambda digests: [digests[0], b"other"]},
        r"at the end of step 1, .* the value of bias is not the same on all ranks: rank 0 unlike "
        r"rank 1\. .*rank 0 has written to parameters 2 times, rank 1 has .* 5 times",
    ),
    "other values, after a change": (
        claims(is_changed=True),
        {VALUES: lambda digests: [b"other", digests[1]]},
        r"the value of weight is not the same .*Parameters were added or replaced",
    ),
}


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_a_difference_is_named_and_nothing_is_updated(name):
    vote, answers, message = DISAGREEMENTS[name]
    models = []

    def note(model, _):
        models[:] = [model, [p.detach().clone() for p in model.parameters()]]

    with pytest.raises(DesyncError, match=message):
        train(FirstOfTwo([same, vote], answers), steps=2, before_vote=note)
    model, before = models
    assert all((p == b).all() for p, b in zip(model.parameters(), before))


@pytest.mark.parametrize("vote", [claims(writes=5), claims(is_changed=True)])
def test_equal_values_are_compared_once_and_are_no_difference(vote):
    comm = FirstOfTwo([same, vote])
    train(comm, steps=4)
    assert comm.questions() == [VALUES]


def test_a_change_of_this_rank_alone_is_compared_once():
    comm = FirstOfTwo([same, claims(writes=0)])

    def write(model, step):
        if step == 1:
            model.module.weight.data.mul_(1)

    train(comm, steps=4, before_vote=write)
    assert comm.questions() == [VALUES]


def test_writes_are_counted_since_values_were_last_compared():
    counts = []

    def count(vote):
        counts.append(Claim(*vote.claim).writes)
        return (
            vote._replace(claim=(*vote.claim[:1], 9, *vote.claim[2:])) if len(counts) == 3 else vote
        )

    train(FirstOfTwo([count] * 5), steps=5)
    assert counts == [0, 2, 4, 2, 4]  # a step writes two parameters; in step 2 all are compared


def test_a_copy_that_all_ranks_made_is_compared_once():
    def make():
        return copy.deepcopy(DataParallel(nn.Linear(2, 1)))

    comm = FirstOfTwo()
    train(comm, steps=3, make=make)
    assert comm.questions() == [VALUES]
    with pytest.raises(DesyncError, match=r"the value of weight .*Parameters were added or replac"):
        train(FirstOfTwo(answers={VALUES: lambda digests: [b"other", *digests[1:]]}), make=make)


def test_writes_that_all_ranks_make_are_not_compared():
    comm = FirstOfTwo()
    train(comm, steps=3, before_vote=lambda model, step: model.module.weight.data.mul_(1))
    assert comm.questions() == []


# --- samples, NaN, weights under DTRAIN_DEBUG=detail ---


def test_samples_that_differ_are_named_in_the_first_step_alone():
    def other(vote):
        length, *digests = vote.of_step
        return vote._replace(of_step=[length, *digests[:-1], b"other"])

    with pytest.raises(DesyncError, match=r"sample 3 of the dataset is not the same"):
        train(FirstOfTwo([other]))
    comm = FirstOfTwo([same, differs(of_step=["anything"])])
    train(comm, steps=2)
    assert comm.questions() == []


def test_a_rank_that_does_not_compare_samples_is_not_compared():
    comm = FirstOfTwo([differs(of_step=None)])
    train(comm)
    assert comm.questions() == []


@pytest.fixture
def detail(monkeypatch):
    monkeypatch.setenv("DTRAIN_DEBUG", "detail")
    monkeypatch.setenv("DTRAIN_DEBUG_EVERY", "2")


def warned(*votes):
    """The warnings of a training in which rank 0 has an infinite gradient in microbatch 1."""

    def infinite(model, step):
        if step == 2 and distributed.step.current_microbatch().index == 1:
            model.module.weight.grad.fill_(float("inf"))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(FirstOfTwo(votes), steps=4, before_vote=infinite)
    return [str(w.message).removeprefix("DTRAIN_DEBUG=detail: ") for w in caught]


def test_the_first_nan_of_all_ranks_is_warned_of(detail):
    own = (
        "step 2: the gradient of weight is infinity at [0, 0], one of 2 on rank 0, in microbatch 1"
        ", samples 9"
    )
    early, late = differs(finding=(0, "early")), differs(finding=(3, "late"))
    assert warned() == warned(same, same, late) == [own]  # in step 3 all is NaN: no news
    assert warned(same, same, early) == ["step 2: early"]
    assert warned(late, same) == ["step 0: late", own]
    assert warned(late, late, early) == ["step 0: late"]


def test_weights_that_drifted_apart_are_named_in_a_step_that_compares(detail):
    def answers(change):
        return {"the weights that differ": change}

    def drift(lines):
        return [lines[0], (*lines[1][:2], b"other"), *lines[2:]]

    with pytest.raises(DesyncError, match=r"end of step 2, .*the value of bias is not the same"):
        train(FirstOfTwo([same, same, differs(digest=b"")], answers(drift)), steps=3)
    with pytest.raises(DesyncError, match="have not updated the same parameters"):
        train(FirstOfTwo([differs(digest=b"")], answers(lambda lines: lines[:1])))
    compared = []

    def note(vote):
        compared.append(vote.digest is not None)
        return vote

    comm = FirstOfTwo([note] * 3)
    train(comm, steps=3)
    assert compared == [True, False, True]
    assert "the weights that differ" not in comm.asked


# --- gradients and buffers ---


def test_gradients_of_both_ranks_are_averaged():
    model = train(FirstOfTwo(their_gradient=3.0))
    assert model.gradients == [[[2.0, 2.0]], [2.0]]


def test_a_rank_without_a_backward_pass_takes_the_gradients_of_the_other():
    def body():
        comm = FirstOfTwo([differs(used=[[True, False]])], their_gradient=3.0)
        world.set_communicator(comm)
        model = DataParallel(nn.Linear(2, 1))
        for step in DataLoader(TensorDataset(dtrain.ones(4, 2)), 1, microbatches=4).steps():
            for (x,) in step:
                model(x)
        return [p.grad for p in model.parameters()]

    # of a bucket's two parameters, the last layers' first
    weight, bias = distributed.run_ranks(1, body)[0]
    assert (weight, bias.tolist()) == (None, [1.5])


def test_a_step_without_any_gradient_leaves_those_from_before():
    def body():
        comm = FirstOfTwo(their_gradient=RankFailedError("no reduction was due"))
        world.set_communicator(comm)
        model = DataParallel(nn.Linear(2, 1, bias=False))
        model.module.weight.grad = dtrain.full((1, 2), 5.0)
        for step in DataLoader(TensorDataset(dtrain.ones(8, 2)), 1, microbatches=4).steps():
            for (x,) in step:
                model(x)
        return model.module.weight.grad.tolist()

    assert distributed.run_ranks(1, body) == [[[5.0, 5.0]]]


def test_statistics_are_applied_in_the_order_of_microbatches_and_layers():
    applied = []

    class Layer(nn.BatchNorm1d):
        def apply_update(self, update):
            applied.append((self.num_features, update[0].item()))

        def forward(self, x):
            self.update_buffers(np.float32(self.num_features))
            return x

    def theirs(vote):
        assert sorted(vote.updates) == [0, 1]
        two_layers = [[(np.float32(7),), (np.float32(8),)], [(np.float32(9),)]]
        return vote._replace(updates={3: two_layers, 2: [[(np.float32(6),)], []]})

    def make():
        return DataParallel(nn.Sequential(Layer(2), nn.Linear(2, 3), Layer(3)))

    train(FirstOfTwo([theirs]), make=make)
    assert applied == [(2, 2), (3, 3), (2, 2), (3, 3), (2, 6), (2, 7), (2, 8), (3, 9)]


# --- failed ranks ---


def train_elastic(comm, steps=2):
    """The model, and how many forward passes of each step this rank ran."""
    passes = [0] * steps

    def count(_, step):
        passes[step] += 1

    def make():
        dtrain.manual_seed(3)
        return nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.Linear(2, 1))

    # BatchNorm of one sample: its mean is the sample, which is 1
    def body():
        world.set_communicator(comm)
        model = DataParallel(make())
        model.module[1].weight.grad = dtrain.full((1, 2), 5.0)
        optimizer = optim.SGD(model.parameters(), lr=0.5)
        loader = DataLoader(TensorDataset(dtrain.ones(8 * steps, 2)), 2, microbatches=4)
        for number, step in enumerate(loader.steps()):
            for (x,) in step:
                model(x).sum().backward()
                count(model, number)
            optimizer.step()
            optimizer.zero_grad()
        state = model.module.state_dict()
        return {name: value.numpy().tobytes() for name, value in state.items()}

    return distributed.run_ranks(1, body)[0], passes


FAILED = RankFailedError("rank 1 failed")
FAILURES = {
    "in the vote": (lambda: FirstOfTwo([FAILED], commits=[]), ["revoke", "recover"]),
    "in the reduction": (
        lambda: FirstOfTwo(commits=[], their_gradient=FAILED),
        ["revoke", "recover"],
    ),
    "in the commit": (lambda: FirstOfTwo(commits=[False]), ["commit"]),
}


@pytest.mark.parametrize("where", FAILURES)
def test_a_step_in_which_a_rank_failed_runs_again_as_if_for_the_first_time(where):
    make, calls = FAILURES[where]
    undisturbed, passes = train_elastic(FirstOfTwo(commits=[]))
    assert passes == [2, 2]
    comm = make()
    weights, passes = train_elastic(comm)
    assert passes == [4, 2]
    assert comm.calls == [*calls, "commit", "commit"]
    assert weights == undisturbed
