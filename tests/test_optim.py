"""Optimizers: their steps, groups and state, and what they refuse."""

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, nn, optim

SGD = lambda params, **options: optim.SGD(params, **{"lr": 0.1, **options})
OPTIMIZERS = {
    "SGD": SGD,
    "SGD momentum": lambda params: SGD(params, momentum=0.9, weight_decay=0.01),
    "SGD nesterov": lambda params: SGD(params, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.1),
    "Adam amsgrad": lambda params: optim.Adam(params, lr=0.1, amsgrad=True, weight_decay=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.1),
}
each_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


def parameters(count=4):
    """Parameters of several shapes, one of them empty."""
    shapes = [(3, 2), (), (0, 2), (5,), (2, 2, 2)]
    return [nn.Parameter(dtrain.randn(shape)) for shape in shapes[:count]]


def set_gradients(params, step, skip=()):
    rng = np.random.default_rng(step)
    for index, param in enumerate(params):
        gradient = dtrain.from_numpy(np.asarray(rng.normal(size=param.shape), np.float32))
        param.grad = None if index in skip else gradient


def bits(tensors):
    return [t.detach().numpy().tobytes() for t in tensors]


def run(make, steps, skip=lambda step: (), count=4):
    """The bits of the parameters after some steps."""
    dtrain.manual_seed(1)
    params = parameters(count)
    optimizer = make(params)
    for step in range(steps):
        set_gradients(params, step, skip(step))
        optimizer.step()
    return bits(params)


# --- steps ---


@each_optimizer
def test_a_step_goes_down(make):
    w = nn.Parameter(dtrain.tensor([1.0, -2.0, 0.5]))
    optimizer = make([w])

    def loss():
        optimizer.zero_grad()
        out = (w * w).sum()
        out.backward()
        return out

    first = optimizer.step(loss).item()
    for _ in range(3):
        optimizer.step(loss)
    assert (w * w).sum().item() < first


@each_optimizer
def test_parameters_without_gradients_are_left_alone(make):
    params = parameters()
    optimizer = make(params)
    before = bits(params)
    set_gradients(params, 0, skip=(1, 3))
    optimizer.step()
    after = bits(params)
    assert [i for i in range(4) if before[i] != after[i]] == [0]  # 2 is empty


@each_optimizer
def test_a_parameter_moves_as_it_would_alone(make):
    """Also where neighbours come and go, so that the flat runs are other ones each step."""
    pattern = [(), (1,), (0, 3), (), (3,), (0, 1, 2, 3), ()]
    together = run(make, len(pattern), lambda step: pattern[step])
    for index in range(4):
        skipped = lambda step, index=index: {
            *range(4), *pattern[step],
        } - ({index} - {*pattern[step]})  # fmt: skip
        assert run(make, len(pattern), skipped)[index] == together[index]


def test_a_step_marks_parameters_as_modified():
    w = nn.Parameter(dtrain.ones(2))
    out = (w * w).sum()
    out.backward(retain_graph=True)
    SGD([w]).step()
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        out.backward()


def test_gradients_are_not_changed_by_a_step():
    for make in OPTIMIZERS.values():
        params = parameters()
        optimizer = make(params)
        set_gradients(params, 0)
        before = bits(p.grad for p in params)
        optimizer.step()
        assert bits(p.grad for p in params) == before


def test_zero_grad_forgets_or_writes_zeros():
    params = parameters(2)
    optimizer = SGD(params)
    set_gradients(params, 0)
    optimizer.zero_grad(set_to_none=False)
    assert not any(p.grad.any() for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_a_model_moved_to_another_dtype_goes_on():
    layer = nn.Linear(2, 2)
    optimizer = SGD(layer.parameters())
    layer.double()
    layer(dtrain.ones(1, 2, dtype=dtrain.float64)).sum().backward()
    before = layer.bias.tolist()
    optimizer.step()
    assert layer.bias.tolist() == pytest.approx([b - 0.1 for b in before])


@pytest.mark.parametrize("wrap", [nn.Sequential, DataParallel])
def test_neighbours_in_memory_are_updated_at_once(wrap, monkeypatch):
    model = wrap(nn.Sequential(*(nn.Linear(3, 3) for _ in range(10))))
    optimizer = optim.Adam(model.parameters())
    sizes, update = [], optimizer._update
    monkeypatch.setattr(
        optimizer, "_update", lambda param, *rest: (sizes.append(param.size), update(param, *rest))
    )
    model(dtrain.ones(1, 3)).sum().backward()
    optimizer.step()
    assert sizes == [10 * (9 + 3)]


def test_a_closure_records_under_no_grad_and_its_result_is_returned():
    w = nn.Parameter(dtrain.ones(1))

    def closure():
        loss = (w * 3).sum()
        loss.backward()
        return loss

    with dtrain.no_grad():
        assert SGD([w]).step(closure).item() == 3
    assert w.tolist() == pytest.approx([0.7])


# --- groups ---


def test_groups_have_options_of_their_own():
    a, b, c = parameters(2)[:1] + parameters(1) + parameters(1)
    optimizer = SGD([{"params": [a], "lr": 1.0}, {"params": b}])
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    before = [p.detach().clone() for p in (a, b, c)]
    for p in (a, b, c):
        p.grad = dtrain.ones(p.shape)
    optimizer.step()
    moved = [(old - new).mean().item() for old, new in zip(before, (a, b, c))]
    assert moved == pytest.approx([1, 0.1, 0], abs=1e-6)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1, 0.0]
    text = repr(optimizer).split("Parameter Group 2")[1].splitlines()
    assert "    lr: 0.0" in text
    assert not [line for line in text if "params" in line]


def test_options_are_read_anew_each_step():
    w = nn.Parameter(dtrain.zeros(1))
    optimizer = SGD([w])
    for lr in (0.5, 2.0):
        optimizer.param_groups[0]["lr"] = lr
        w.grad = dtrain.ones(1)
        optimizer.step()
    assert w.tolist() == [-2.5]


# --- state ---


@each_optimizer
@pytest.mark.parametrize("skip", [(), (1,)], ids=["all", "one without gradients"])
def test_state_saved_in_the_middle_gives_the_same_bits(make, skip):
    whole = run(make, 6, lambda step: skip)
    dtrain.manual_seed(1)
    params = parameters()
    optimizer = make(params)
    for step in range(6):
        if step == 3:
            state = optimizer.state_dict()
            params = [nn.Parameter(p.detach().clone()) for p in params]
            optimizer = make(params)
            optimizer.load_state_dict(state)
        set_gradients(params, step, skip)
        optimizer.step()
    assert bits(params) == whole


def test_loaded_state_is_a_copy():
    params = parameters()
    optimizer = OPTIMIZERS["Adam"](params)
    set_gradients(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    other = OPTIMIZERS["Adam"](params)
    other.load_state_dict(state)
    state["state"][0]["exp_avg"].zero_()
    assert other.state[params[0]]["exp_avg"].any()


def test_state_names_what_pytorch_names():
    params = parameters()
    optimizer = OPTIMIZERS["Adam amsgrad"](params)
    set_gradients(params, 0, skip=(1,))
    optimizer.step()
    state = optimizer.state_dict()
    assert set(state["state"]) == {0, 2, 3}
    assert set(state["state"][0]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    assert state["state"][0]["step"].item() == 1
    assert state["param_groups"][0]["params"] == [0, 1, 2, 3]


@each_optimizer
def test_an_optimizers_own_state_can_be_loaded_again(make):
    params = parameters()
    optimizer = make(params)
    for step in range(2):
        set_gradients(params, step)
        optimizer.step()
    before = [bits(v for v in state.values()) for state in optimizer.state.values()]
    optimizer.load_state_dict(optimizer.state_dict())
    assert [bits(v for v in state.values()) for state in optimizer.state.values()] == before


@each_optimizer
def test_a_loaded_empty_state_begins_anew(make):
    dtrain.manual_seed(1)
    params = parameters()
    optimizer = make(params)
    fresh = optimizer.state_dict()
    values = [p.detach().clone() for p in params]
    for attempt in range(2):
        for step in range(3):
            set_gradients(params, step)
            optimizer.step()
        if attempt == 0:
            first = bits(params)
            optimizer.load_state_dict(fresh)
            for param, value in zip(params, values):
                param.data = value
    assert bits(params) == first


@each_optimizer
def test_state_follows_parameters_to_another_dtype(make):
    params = parameters()
    optimizer = make(params)
    set_gradients(params, 0)
    optimizer.step()
    before = optimizer.state_dict()["state"]
    for param in params[:2]:  # some of a bucket
        param.data, param.grad = param.detach().double(), None
    after = optimizer.state_dict()["state"]
    for state, other in zip(before.values(), after.values(), strict=True):
        for name in state:
            assert other[name].tolist() == state[name].tolist()
    for _ in range(2):
        for param in params:
            param.grad = dtrain.ones(param.shape, dtype=param.dtype)
        optimizer.step()
    assert len(optimizer._flat) <= 2  # nothing is kept of the bucket that all have left


# --- what is refused ---


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: SGD([]), ValueError, "empty parameter list"),
        (lambda w: SGD(w), TypeError, "expected an iterable of tensors"),
        (lambda w: SGD([1.0]), TypeError, "parameter 0 is a float"),
        (lambda w: SGD([w * 2]), ValueError, "parameter 0 is not a leaf"),
        (
            lambda w: SGD([{"params": [w]}, {"params": [w]}]),
            ValueError,
            "more than one parameter group",
        ),
        (lambda w: SGD([w], lr=-1.0), ValueError, "SGD: expected 0 <= lr, got -1.0"),
        (lambda w: SGD([w], momentum=-1), ValueError, "0 <= momentum"),
        (lambda w: SGD([w], nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda w: optim.Adam([w], betas=(0.9, 1.0)), ValueError, "Adam: .*beta2 < 1"),
        (lambda w: optim.AdamW([w], eps=-1), ValueError, "AdamW: .*0 <= eps"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(nn.Parameter(dtrain.ones(1)))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (lambda: parameters(3), "doesn't match the size of optimizer's group"),
        (lambda: list(reversed(parameters())), "of parameter 0 has shape"),
    ],
)
def test_state_of_other_parameters_is_refused_and_nothing_is_changed(others, message):
    params = parameters()
    optimizer = OPTIMIZERS["Adam"](params)
    set_gradients(params, 0)
    optimizer.step()
    before = bits(optimizer.state[p]["exp_avg"] for p in params)
    theirs = others()
    other = OPTIMIZERS["Adam"](theirs)
    set_gradients(theirs, 5)
    other.step()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(other.state_dict())
    assert bits(optimizer.state[p]["exp_avg"] for p in params) == before


@pytest.mark.parametrize(
    "name",
    [
        "ASGD",
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adamax",
        "LAMB",
        "LARS",
        "Muon",
        "NAdam",
        "RAdam",
        "RMSprop",
    ],
)
def test_a_run_that_is_resumed_has_the_bits_of_one_that_was_not(name):
    def begun():
        dtrain.manual_seed(0)
        params = [dtrain.randn(4, 3, requires_grad=True), dtrain.randn(2, 5, requires_grad=True)]
        return params, getattr(dtrain.optim, name)(params, lr=0.01, weight_decay=0.1)

    def steps(params, optimizer, start, stop):
        for step in range(start, stop):
            dtrain.manual_seed(step + 1)
            for param in params:
                param.grad = dtrain.randn(*param.shape)
            optimizer.step()
        return [param.tolist() for param in params]

    whole = steps(*begun(), 0, 20)
    first, optimizer = begun()
    steps(first, optimizer, 0, 11)
    second, resumed = begun()
    for param, other in zip(second, first):
        param.data = other.detach().clone()
    resumed.load_state_dict(optimizer.state_dict())
    assert steps(second, resumed, 11, 20) == whole


def test_pytorchs_choices_of_kernels_are_taken_and_others_are_not():
    w = dtrain.ones(2, 2, requires_grad=True)
    dtrain.optim.AdamW([w], fused=True, foreach=None)
    with pytest.raises(TypeError, match="unexpected argument 'beta'"):
        dtrain.optim.Adam([w], beta=0.9)


def test_muon_takes_matrices_alone():
    with pytest.raises(ValueError, match=r"parameter 1 has shape \(3,\), expected a matrix"):
        dtrain.optim.Muon([dtrain.ones(2, 2), dtrain.ones(3)])
    with pytest.raises(ValueError, match="expected adjust_lr_fn None"):
        dtrain.optim.Muon([dtrain.ones(2, 2)], adjust_lr_fn="best")


def test_adafactor_keeps_a_vector_for_rows_and_one_for_columns():
    params = [dtrain.ones(4, 3, 2, requires_grad=True), dtrain.ones(5, requires_grad=True)]
    optimizer = dtrain.optim.Adafactor(params)
    set_gradients(params, 1)
    optimizer.step()
    shapes = [{k: v.shape for k, v in state.items()} for state in optimizer.state.values()]
    assert shapes == [
        {"step": (), "row_var": (4, 3, 1), "col_var": (4, 1, 2)},
        {"step": (), "variance": (5,)},
    ]
    state = optimizer.state_dict()
    state["state"][0]["row_var"] = dtrain.ones(4, 3)
    before = bits(params)
    with pytest.raises(ValueError, match=r"expected row_var of parameter 0 with shape \(4, 3, 1\)"):
        optimizer.load_state_dict(state)
    assert bits(params) == before
    params[0].data = params[0].data.double()  # the state follows its parameter
    params[0].grad = dtrain.ones(4, 3, 2, dtype=dtrain.float64)
    optimizer.step()
    assert optimizer.state[params[0]]["col_var"].dtype == dtrain.float64
    with pytest.raises(ValueError, match="state of Adafactor cannot be sharded"):
        dtrain.parallel.ZeroRedundancyOptimizer(params, dtrain.optim.Adafactor)
    for wrong, message in (
        ({"eps": (-1, 0)}, "0 <= eps"),
        ({"beta2_decay": 1}, "beta2_decay <= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            dtrain.optim.Adafactor(params, **wrong)


def test_complex_parameters_are_refused_also_later():
    wrong = dtrain.ones(2, dtype=dtrain.complex64, requires_grad=True)
    for name in ("Adafactor", "SparseAdam"):
        optimizer = getattr(dtrain.optim, name)([dtrain.ones(2, requires_grad=True)])
        with pytest.raises(RuntimeError, match=f"{name}: parameter 0 is complex"):
            optimizer.add_param_group({"params": [wrong]})
        assert len(optimizer.param_groups) == 1


def test_an_empty_parameter_does_no_harm():
    params = [dtrain.ones(0, 3, requires_grad=True), dtrain.ones(2, requires_grad=True)]
    for name in ("Adafactor", "SparseAdam"):
        for param in params:
            param.grad = dtrain.ones(*param.shape)
        before = params[1].tolist()
        getattr(dtrain.optim, name)(params).step()
        assert params[1].tolist() != before
