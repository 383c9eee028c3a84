"""Optimizers and schedules against PyTorch's, and their states exchanged."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle

OPTIMIZERS = {
    "SGD": ("SGD", {}),
    "SGD momentum": ("SGD", {"momentum": 0.9}),
    "SGD dampening": ("SGD", {"momentum": 0.9, "dampening": 0.3}),
    "SGD nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "SGD weight_decay": ("SGD", {"momentum": 0.5, "weight_decay": 0.1}),
    "SGD maximize": ("SGD", {"momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    "Adam": ("Adam", {}),
    "Adam betas": ("Adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    "Adam amsgrad": ("Adam", {"amsgrad": True}),
    "Adam weight_decay": ("Adam", {"weight_decay": 0.1}),
    "Adam maximize": ("Adam", {"maximize": True, "amsgrad": True}),
    "AdamW": ("AdamW", {}),
    "AdamW weight_decay": ("AdamW", {"weight_decay": 0.3, "amsgrad": True}),
    "AdamW maximize": ("AdamW", {"maximize": True}),
}
each_optimizer = pytest.mark.parametrize(
    ("name", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys()
)
SHAPES = [(3, 2), (), (5,), (2, 2)]


def values(seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape)) for shape in SHAPES]


def tensor_of(t, array):
    return t.from_numpy(np.array(array))


class Run:
    """Two groups of float64 parameters under an optimizer, with gradients drawn by step."""

    def __init__(self, t, name, options):
        self.t = t
        self.params = [tensor_of(t, array).requires_grad_() for array in values(0)]
        groups = [{"params": self.params[:3]}, {"params": self.params[3:], "lr": 0.003}]
        self.optimizer = getattr(t.optim, name)(groups, lr=0.02, **options)

    def steps(self, start, stop):
        for step in range(start, stop):
            for index, (param, array) in enumerate(zip(self.params, values(step + 1))):
                without = index == 1 and step % 3 == 0  # one parameter comes and goes
                param.grad = None if without else tensor_of(self.t, array)
            self.optimizer.step()
        return [param.detach().numpy() for param in self.params]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def converted(state, t):
    """A state with its tensors made those of `t`."""
    if isinstance(state, dict):
        return {key: converted(value, t) for key, value in state.items()}
    if isinstance(state, list):
        return [converted(value, t) for value in state]
    if isinstance(state, (dtrain.Tensor, torch.Tensor)):
        return t.from_numpy(np.array(state.numpy()))
    return state


@each_optimizer
def test_fifty_steps_are_those_of_pytorch(name, options):
    assert_same(Run(dtrain, name, options).steps(0, 50), Run(torch, name, options).steps(0, 50))


@pytest.mark.parametrize(
    ("source", "target"), [(dtrain, torch), (torch, dtrain)], ids=["to torch", "from torch"]
)
@each_optimizer
def test_a_state_goes_over_in_the_middle_of_a_run(name, options, source, target):
    first = Run(source, name, options)
    half = first.steps(0, 25)
    state = converted(first.optimizer.state_dict(), target)
    second = Run(target, name, options)
    for param, array in zip(second.params, half):
        param.data = tensor_of(target, array)
    second.optimizer.load_state_dict(state)
    assert_same(second.steps(25, 50), first.steps(25, 50))


@each_optimizer
def test_the_state_has_pytorchs_names(name, options):
    ours, theirs = Run(dtrain, name, options), Run(torch, name, options)
    for run in (ours, theirs):
        run.steps(0, 2)
    state, expected = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    for index, theirs_of in expected["state"].items():
        names = {key for key, value in theirs_of.items() if value is not None}
        assert names <= set(state["state"][index])
    for group, expected_group in zip(state["param_groups"], expected["param_groups"]):
        assert set(group) <= set(expected_group)
        assert group == {key: expected_group[key] for key in group}


# --- schedules ---


def sequential(lrs, optimizer):
    parts = [
        lrs.LinearLR(optimizer, 0.1, 1.0, 10),
        lrs.CosineAnnealingLR(optimizer, 50),
        lrs.ExponentialLR(optimizer, 0.97),
    ]
    return [lrs.SequentialLR(optimizer, parts, milestones=[10, 60])]


SCHEDULES = {
    "LambdaLR": lambda lrs, o: [lrs.LambdaLR(o, lambda n: 0.95**n)],
    "LambdaLR of groups": lambda lrs, o: [lrs.LambdaLR(o, [lambda n: n + 1, lambda n: 1 / (n + 1)])],
    "StepLR": lambda lrs, o: [lrs.StepLR(o, 30, gamma=0.3)],
    "ExponentialLR": lambda lrs, o: [lrs.ExponentialLR(o, 0.98)],
    "LinearLR": lambda lrs, o: [lrs.LinearLR(o, 0.2, 0.9, 20)],
    "CosineAnnealingLR": lambda lrs, o: [lrs.CosineAnnealingLR(o, 60, eta_min=1e-3)],
    "CosineAnnealingLR up again": lambda lrs, o: [lrs.CosineAnnealingLR(o, 7)],
    "SequentialLR": sequential,
    "two chained": lambda lrs, o: [lrs.LinearLR(o, 0.1, 1, 15), lrs.StepLR(o, 40, 0.5)],
    "two chained, cosine": lambda lrs, o: [
        lrs.CosineAnnealingLR(o, 50), lrs.ExponentialLR(o, 0.99),
    ],
}  # fmt: skip


def rates_over(t, make, steps, save_at=None):
    """The rates of both groups over some steps; all is made anew from saved state at `save_at`."""

    def begun():
        run = Run(t, "SGD", {})
        return run, make(t.optim.lr_scheduler, run.optimizer)

    run, schedules = begun()
    rates = []
    for step in range(steps):
        if step == save_at:
            state = run.optimizer.state_dict()
            states = [schedule.state_dict() for schedule in schedules]
            run, schedules = begun()
            run.optimizer.load_state_dict(state)
            for schedule, saved in zip(schedules, states):
                schedule.load_state_dict(saved)
        rates.append([group["lr"] for group in run.optimizer.param_groups])
        run.steps(step, step + 1)
        for schedule in schedules:
            schedule.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # SequentialLR's own call
@pytest.mark.parametrize("name", SCHEDULES)
def test_two_hundred_rates_are_those_of_pytorch(name):
    ours, theirs = (rates_over(t, SCHEDULES[name], 200) for t in (dtrain, torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_saved_in_the_middle_go_on_to_the_same_bits(name):
    make = SCHEDULES[name]
    assert rates_over(dtrain, make, 100, save_at=55) == rates_over(dtrain, make, 100)
