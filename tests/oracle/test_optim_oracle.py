"""Optimizers and schedules against PyTorch's, and their states exchanged."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from tests.cases.optimizer_cases import OPTIMIZERS  # noqa: E402

pytestmark = pytest.mark.oracle

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


def assert_same(ours, theirs, name=""):
    rtol = 1e-6 if name == "NAdam" else 1e-9  # PyTorch keeps a product of NAdam's in float32
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


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
    assert_same(
        Run(dtrain, name, options).steps(0, 50), Run(torch, name, options).steps(0, 50), name
    )


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
    assert_same(second.steps(25, 50), first.steps(25, 50), name)


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


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_infinite_gradients_do_what_they_do_in_pytorch(name, options, dtype):
    def moved(t):
        param = tensor_of(t, np.linspace(-1, 1, 40).astype(dtype)).requires_grad_()
        optimizer = getattr(t.optim, name)([param], lr=0.02, **options)
        for step in range(5):
            grad = np.random.default_rng(step).normal(size=40).astype(dtype)
            if step in (1, 3):
                grad[[3, 5, 7, 9]] = np.nan, np.inf, -np.inf, 0
            if step == 2:
                grad[[11, 20, 33]] = np.nan, np.inf, -np.inf
            param.grad = tensor_of(t, grad)
            optimizer.step()
        return param.detach().numpy()

    np.testing.assert_allclose(moved(dtrain), moved(torch), rtol=1e-4)


# --- schedules ---


def sequential(lrs, optimizer):
    parts = [
        lrs.LinearLR(optimizer, 0.1, 1.0, 10),
        lrs.CosineAnnealingLR(optimizer, 50),
        lrs.ExponentialLR(optimizer, 0.97),
    ]
    return [lrs.SequentialLR(optimizer, parts, milestones=[10, 60])]


def swa_of(lrs):
    return dtrain.optim.swa_utils if lrs is dtrain.optim.lr_scheduler else torch.optim.swa_utils


SCHEDULES = {
    "LambdaLR": lambda lrs, o: [lrs.LambdaLR(o, lambda n: 0.95**n)],
    "LambdaLR of groups": lambda lrs, o: [lrs.LambdaLR(o, [lambda n: n + 1, lambda n: 1 / (n + 1)])],
    "StepLR": lambda lrs, o: [lrs.StepLR(o, 30, gamma=0.3)],
    "ExponentialLR": lambda lrs, o: [lrs.ExponentialLR(o, 0.98)],
    "LinearLR": lambda lrs, o: [lrs.LinearLR(o, 0.2, 0.9, 20)],
    "CosineAnnealingLR": lambda lrs, o: [lrs.CosineAnnealingLR(o, 60, eta_min=1e-3)],
    "CosineAnnealingLR up again": lambda lrs, o: [lrs.CosineAnnealingLR(o, 7)],
    "SequentialLR": sequential,
    "MultiplicativeLR": lambda lrs, o: [lrs.MultiplicativeLR(o, lambda n: 0.9 if n % 2 else 1.05)],
    "MultiStepLR": lambda lrs, o: [lrs.MultiStepLR(o, [20, 20, 70, 150], gamma=0.4)],
    "ConstantLR": lambda lrs, o: [lrs.ConstantLR(o, 0.4, 30)],
    "PolynomialLR": lambda lrs, o: [lrs.PolynomialLR(o, 150, power=1.7)],
    "CosineAnnealingWarmRestarts": lambda lrs, o: [
        lrs.CosineAnnealingWarmRestarts(o, 13, T_mult=2, eta_min=1e-4)
    ],
    "CosineAnnealingWarmRestarts even": lambda lrs, o: [lrs.CosineAnnealingWarmRestarts(o, 17)],
    "CyclicLR": lambda lrs, o: [lrs.CyclicLR(o, 0.01, [0.1, 0.2], 13, 7)],
    "CyclicLR triangular2": lambda lrs, o: [
        lrs.CyclicLR(o, 0.01, 0.1, 13, mode="triangular2", cycle_momentum=False)
    ],
    "CyclicLR exp_range": lambda lrs, o: [
        lrs.CyclicLR(o, 0.01, 0.1, 13, mode="exp_range", gamma=0.99)
    ],
    "OneCycleLR": lambda lrs, o: [lrs.OneCycleLR(o, 0.1, total_steps=200)],
    "OneCycleLR options": lambda lrs, o: [
        lrs.OneCycleLR(o, [0.1, 0.3], epochs=20, steps_per_epoch=10, anneal_strategy="linear",
                       three_phase=True, div_factor=10, base_momentum=0.5)
    ],
    "SWALR": lambda lrs, o: [swa_of(lrs).SWALR(o, 0.05, anneal_epochs=30)],
    "ChainedScheduler": lambda lrs, o: [
        lrs.ChainedScheduler([lrs.ConstantLR(o, 0.1, 20), lrs.ExponentialLR(o, 0.98)])
    ],
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
        groups = run.optimizer.param_groups
        rates.append([group[key] for group in groups for key in ("lr", "momentum")])
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


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize(
    ("source", "target"), [(dtrain, torch), (torch, dtrain)], ids=["to torch", "from torch"]
)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_over_in_the_middle_of_a_run(name, source, target):
    runs = [Run(t, "SGD", {}) for t in (source, target)]
    schedules = [
        SCHEDULES[name](t.optim.lr_scheduler, run.optimizer)
        for t, run in zip((source, target), runs)
    ]

    def rates(which, steps):
        seen = []
        for step in range(steps):
            runs[which].steps(step, step + 1)
            for schedule in schedules[which]:
                schedule.step()
            seen.append([group["lr"] for group in runs[which].optimizer.param_groups])
        return seen

    rates(0, 55)
    runs[1].optimizer.load_state_dict(converted(runs[0].optimizer.state_dict(), target))
    for theirs, mine in zip(schedules[1], schedules[0]):
        theirs.load_state_dict(mine.state_dict())
    np.testing.assert_allclose(rates(1, 100), rates(0, 100), rtol=1e-9)


METRICS = [1.0, 0.9, 0.9, 0.9, 0.9, 0.85, 0.849, 0.8495, 0.85, 0.86, 0.86, 0.86, 0.2, 0.3, 0.3, 0.3]
PLATEAUS = {
    "plain": {"patience": 2},
    "max": {"mode": "max", "patience": 1, "factor": 0.5},
    "abs": {"patience": 1, "threshold": 0.05, "threshold_mode": "abs"},
    "cooldown": {"patience": 1, "cooldown": 3, "factor": 0.3},
    "least": {"patience": 0, "min_lr": [0.01, 0.002], "factor": 0.3},
}


@pytest.mark.parametrize("options", PLATEAUS.values(), ids=PLATEAUS)
def test_a_plateau_is_seen_as_in_pytorch(options):
    def rates(t):
        run = Run(t, "SGD", {})
        schedule = t.optim.lr_scheduler.ReduceLROnPlateau(run.optimizer, **options)
        seen = []
        for metric in METRICS * 3:
            schedule.step(t.tensor(metric))
            seen.append([group["lr"] for group in run.optimizer.param_groups])
        return seen, schedule.state_dict()

    (ours, state), (theirs, expected) = rates(dtrain), rates(torch)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert state["num_bad_epochs"] == expected["num_bad_epochs"]
    assert set(state) <= set(expected)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("options", [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}])
def test_muon_is_that_of_pytorch_as_far_as_its_bfloat16_goes(shape, options):
    start, numbers = np.random.default_rng(0).normal(size=shape), np.random.default_rng(1)
    gradients = [numbers.normal(size=shape) for _ in range(10)]

    def moved(t):
        param = tensor_of(t, start).requires_grad_()
        optimizer = t.optim.Muon([param], lr=0.1, **options)
        for gradient in gradients:
            param.grad = tensor_of(t, gradient)
            optimizer.step()
        return param.detach().numpy() - start

    ours, theirs = moved(dtrain), moved(torch)
    assert np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()


def rosenbrock(t, optimizer, x):
    def closure():
        optimizer.zero_grad()
        loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        loss.backward()
        return loss

    return closure


LBFGS_OPTIONS = {
    "search": {"line_search_fn": "strong_wolfe"},
    "short history": {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7},
    "few calls": {"line_search_fn": "strong_wolfe", "max_eval": 6, "lr": 0.5},
    "no search": {"lr": 1e-3, "max_iter": 5},
}


@pytest.mark.parametrize("options", LBFGS_OPTIONS.values(), ids=LBFGS_OPTIONS)
@pytest.mark.parametrize("start", [[-1.2, 1.0, 0.5, 2.0], [3.0, -2.0, 1.5, 0.1]])
def test_lbfgs_takes_the_steps_of_pytorch(options, start):
    runs = []
    for t in (dtrain, torch):
        x = tensor_of(t, np.array(start)).requires_grad_()
        optimizer = t.optim.LBFGS([x], **options)
        closure = rosenbrock(t, optimizer, x)
        losses = [optimizer.step(closure).item() for _ in range(4)]
        state = optimizer.state[x]
        runs.append(([*losses, *x.detach().numpy()], state["func_evals"], state["n_iter"]))
    (ours, *our_counts), (theirs, *their_counts) = runs
    assert our_counts == their_counts
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}])
def test_sparse_adam_moves_the_rows_that_it_moves_in_pytorch(options):
    start = np.random.default_rng(0).normal(size=(7, 3))
    runs = []
    for t in (dtrain, torch):
        table = t.nn.Embedding(7, 3, padding_idx=2, sparse=True, dtype=t.float64)
        with t.no_grad():
            table.weight.copy_(tensor_of(t, start))
        optimizer = t.optim.SparseAdam(table.parameters(), lr=0.1, **options)
        for words in ([1, 1, 4], [2, 4], [0, 6, 1], [2, 5]):
            optimizer.zero_grad()
            (table(t.tensor(words)) ** 2).sum().backward()
            optimizer.step()
        state = optimizer.state[table.weight]
        parts = table.weight, state["exp_avg"], state["exp_avg_sq"]
        runs.append([part.detach().numpy() for part in parts])
    assert_same(*runs)
    assert (runs[0][0][3] == start[3]).all()
