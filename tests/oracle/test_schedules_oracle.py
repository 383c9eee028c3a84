"""Schedules against PyTorch's at the edges: begun late, with groups added, nested, of no length."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning"),
    pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler:UserWarning"),
]


def swa(lrs):
    return dtrain.optim.swa_utils if lrs is dtrain.optim.lr_scheduler else torch.optim.swa_utils


SCHEDULES = {
    "LambdaLR": lambda L, o, **k: L.LambdaLR(o, lambda n: 0.95**n, **k),
    "MultiplicativeLR": lambda L, o, **k: L.MultiplicativeLR(o, lambda n: 0.9 + n / 100, **k),
    "StepLR": lambda L, o, **k: L.StepLR(o, 3, 0.5, **k),
    "MultiStepLR": lambda L, o, **k: L.MultiStepLR(o, [2, 5, 5, 8], 0.5, **k),
    "ConstantLR": lambda L, o, **k: L.ConstantLR(o, 0.25, 5, **k),
    "LinearLR": lambda L, o, **k: L.LinearLR(o, 0.25, 0.75, 5, **k),
    "LinearLR to 0": lambda L, o, **k: L.LinearLR(o, 1.0, 0.0, 5, **k),
    "LinearLR of no length": lambda L, o, **k: L.LinearLR(o, 0.5, 1.0, 0, **k),
    "ConstantLR of no length": lambda L, o, **k: L.ConstantLR(o, 0.5, 0, **k),
    "ConstantLR of 0": lambda L, o, **k: L.ConstantLR(o, 0.0, 5, **k),
    "PolynomialLR": lambda L, o, **k: L.PolynomialLR(o, 7, 2.0, **k),
    "PolynomialLR of no length": lambda L, o, **k: L.PolynomialLR(o, 0, **k),
    "ExponentialLR": lambda L, o, **k: L.ExponentialLR(o, 0.5, **k),
    "ExponentialLR to 0": lambda L, o, **k: L.ExponentialLR(o, 0.0, **k),
    "CosineAnnealingLR": lambda L, o, **k: L.CosineAnnealingLR(o, 5, 0.01, **k),
    "CosineAnnealingLR of 1": lambda L, o, **k: L.CosineAnnealingLR(o, 1, **k),
    "WarmRestarts": lambda L, o, **k: L.CosineAnnealingWarmRestarts(o, 3, 2, 0.01, **k),
    "WarmRestarts even": lambda L, o, **k: L.CosineAnnealingWarmRestarts(o, 3, **k),
    "CyclicLR": lambda L, o, **k: L.CyclicLR(o, 0.1, 1.5, 3, 2, **k),
    "CyclicLR triangular2": lambda L, o, **k: L.CyclicLR(
        o, 0.1, 1.5, 3, mode="triangular2", scale_mode="iterations", **k
    ),
    "CyclicLR straight down": lambda L, o, **k: L.CyclicLR(o, 0.1, 1.5, 3, 0, **k),
    "OneCycleLR": lambda L, o, **k: L.OneCycleLR(o, 2.0, total_steps=12, **k),
    "OneCycleLR from the top": lambda L, o, **k: L.OneCycleLR(o, 2.0, 12, pct_start=0.0, **k),
    "OneCycleLR one step up": lambda L, o, **k: L.OneCycleLR(o, 2.0, 10, pct_start=0.1, **k),
    "OneCycleLR up alone": lambda L, o, **k: L.OneCycleLR(o, 2.0, 8, pct_start=1.0, **k),
    "OneCycleLR of one step": lambda L, o, **k: L.OneCycleLR(o, 2.0, total_steps=1, **k),
    "SWALR": lambda L, o, **k: swa(L).SWALR(o, 0.05, 4, **k),
    "SWALR at once": lambda L, o, **k: swa(L).SWALR(o, 0.05, 0, **k),
    "SWALR linear": lambda L, o, **k: swa(L).SWALR(o, 0.05, 4, "linear", **k),
}
#: those that can be members of others, with no error of their own
MEMBERS = [name for name in SCHEDULES if not name.endswith(("of 0", "of no length", "step up"))]
each_schedule = pytest.mark.parametrize("name", SCHEDULES)


def optimizer_of(t, **options):
    return t.optim.SGD([t.ones(1, requires_grad=True)], lr=1.0, momentum=0.5, **options)


def options_of(optimizer):
    return [g[key] for g in optimizer.param_groups for key in ("lr", "momentum")]


def steps(optimizer, schedule, count):
    """The rates and momentums after each of some steps; the last entry is an error, if one came."""
    seen = [options_of(optimizer)]
    try:
        for _ in range(count):
            optimizer.step()
            schedule.step()
            seen.append(options_of(optimizer))
    except (ArithmeticError, LookupError, RuntimeError, ValueError, NotImplementedError) as error:
        seen.append(error)
    return seen


def compared(run):
    """Run with both libraries: the same numbers, and an error that says why where PyTorch has one."""
    seen = []
    for t in (dtrain, torch):
        try:
            seen.append(run(t, t.optim.lr_scheduler))
        except (ArithmeticError, LookupError, RuntimeError, ValueError, NotImplementedError) as e:
            seen.append([e])
    ours, theirs = seen
    assert [isinstance(x, Exception) for x in ours] == [isinstance(x, Exception) for x in theirs], (
        ours, theirs,
    )  # fmt: skip
    for mine, expected in zip(ours, theirs):
        if isinstance(expected, Exception):
            assert isinstance(mine, (ValueError, RuntimeError))
            assert len(str(mine)) > 30 or "Tried to step" in str(mine)
        else:
            assert mine == pytest.approx(expected, rel=1e-12, abs=1e-15)
    return theirs


@each_schedule
def test_fifteen_steps(name):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        return steps(optimizer, SCHEDULES[name](lrs, optimizer), 15)

    compared(run)


@each_schedule
@pytest.mark.parametrize("last_epoch", [0, 1, 3, 4, 7])
def test_a_schedule_made_with_last_epoch(name, last_epoch):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        optimizer.param_groups[0].update(
            initial_lr=1.0, lr=0.5, max_lr=2.0, min_lr=0.01, max_momentum=0.9, base_momentum=0.3
        )
        return steps(optimizer, SCHEDULES[name](lrs, optimizer, last_epoch=last_epoch), 6)

    compared(run)


@each_schedule
@pytest.mark.parametrize("before", [0, 1, 6])
def test_a_group_is_added_after_the_schedule_was_made(name, before):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        schedule = SCHEDULES[name](lrs, optimizer)
        seen = steps(optimizer, schedule, before)
        if isinstance(seen[-1], Exception):
            return seen
        optimizer.add_param_group({"params": [t.ones(1, requires_grad=True)], "lr": 3.0})
        try:
            return seen + steps(optimizer, schedule, 3)
        except ValueError as error:
            return [*seen, error]

    compared(run)


@pytest.mark.parametrize("plan", [[2], [0], [2, 2], [1, 4]])
@pytest.mark.parametrize("name", MEMBERS)
def test_members_of_a_sequence(name, plan):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        others = [lambda: lrs.ExponentialLR(optimizer, 0.8), lambda: lrs.LinearLR(optimizer, 0.5)]
        seen = []
        for place in range(len(plan) + 1):
            optimizer = optimizer_of(t)
            members = [other() for other in others[: len(plan)]]
            members.insert(place, SCHEDULES[name](lrs, optimizer))
            seen += steps(optimizer, lrs.SequentialLR(optimizer, members, plan), 8)
        return seen

    compared(run)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("place", [0, 1])
def test_members_of_a_chain_and_of_a_chain_that_begins_a_sequence(name, place):
    def run(t, lrs):
        seen = []
        for in_sequence in (False, True):
            optimizer = optimizer_of(t)
            members = [lrs.ConstantLR(optimizer, 0.5, 3)]
            members.insert(place, SCHEDULES[name](lrs, optimizer))
            schedule = lrs.ChainedScheduler(members)
            if in_sequence:
                last = lrs.ExponentialLR(optimizer, 0.8)
                schedule = lrs.SequentialLR(optimizer, [schedule, last], [4])
            seen += steps(optimizer, schedule, 8)
        return seen

    compared(run)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_sequence_that_begins_a_sequence(name):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        inner = [SCHEDULES[name](lrs, optimizer), lrs.LinearLR(optimizer, 0.5)]
        members = [lrs.SequentialLR(optimizer, inner, [3]), lrs.ExponentialLR(optimizer, 0.8)]
        return steps(optimizer, lrs.SequentialLR(optimizer, members, [6]), 9)

    compared(run)


@pytest.mark.parametrize("min_lr", [0.0, 0.3, [0.3]])
def test_a_plateau_after_a_group_was_added(min_lr):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        plateau = lrs.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=min_lr)
        plateau.step(1.0)
        optimizer.add_param_group({"params": [t.ones(1, requires_grad=True)], "lr": 3.0})
        seen = []
        for metric in (2.0, 2.0, float("nan"), 0.5, 0.7):
            plateau.step(metric)
            seen.append(options_of(optimizer))
        return seen

    compared(run)


@pytest.mark.parametrize("compose", [
    lambda L, o, members: L.SequentialLR(o, members, [2]),
    lambda L, o, members: L.ChainedScheduler(members),
])  # fmt: skip
def test_a_plateau_is_no_member(compose):
    def run(t, lrs):
        optimizer = optimizer_of(t)
        return compose(
            lrs, optimizer, [lrs.ExponentialLR(optimizer, 0.5), lrs.ReduceLROnPlateau(optimizer)]
        )

    assert isinstance(compared(run)[0], ValueError)


@pytest.mark.parametrize("name", [n for n in SCHEDULES if "step" not in n])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_state_goes_on_from_a_file_and_pytorchs_file(name, suffix, tmp_path):
    def begun(t):
        optimizer = optimizer_of(t)
        return optimizer, SCHEDULES[name](t.optim.lr_scheduler, optimizer)

    optimizer, schedule = begun(dtrain)
    assert isinstance(steps(optimizer, schedule, 3)[-1], list)
    path = tmp_path / f"state.{suffix}"
    dtrain.save({"o": optimizer.state_dict(), "s": schedule.state_dict()}, path)
    rest = steps(optimizer, schedule, 6)
    loads = (
        [(dtrain, dtrain.load), (torch, torch.load)] if suffix == "pt" else [(dtrain, dtrain.load)]
    )
    for t, load in loads:
        state, (again, resumed) = load(path), begun(t)
        again.load_state_dict(state["o"])
        resumed.load_state_dict(state["s"])
        seen = steps(again, resumed, 6)
        assert [s for s in seen if isinstance(s, list)] == [
            pytest.approx(r, rel=1e-12) if t is torch else r for r in rest if isinstance(r, list)
        ]
    if suffix == "pt":
        theirs, schedule = begun(torch)
        steps(theirs, schedule, 3)
        torch.save({"o": theirs.state_dict(), "s": schedule.state_dict()}, path)
        state, (again, resumed) = dtrain.load(path), begun(dtrain)
        again.load_state_dict(state["o"])
        resumed.load_state_dict(state["s"])
        seen = steps(again, resumed, 6)
        assert [s for s in seen if isinstance(s, list)] == [
            pytest.approx(r, rel=1e-9) for r in rest if isinstance(r, list)
        ]
