"""The options of optimizers: their defaults, and the forms in which numbers are taken."""

from fractions import Fraction

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, nn, optim

#: what each optimizer has where nothing is said, as in PyTorch (LARS and LAMB: as in their papers)
DEFAULTS = {
    "ASGD": {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0},
    "Adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0},
    "Adagrad": {
        "lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10,
    },
    "Adam": {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False,
    },
    "AdamW": {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False,
    },
    "Adamax": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
    "Adafactor": {
        "lr": 1e-2, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0, "weight_decay": 0,
    },
    "LAMB": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0},
    "LARS": {
        "lr": 1e-2, "momentum": 0.9, "weight_decay": 0, "trust_coefficient": 1e-3, "eps": 1e-8,
    },
    "Muon": {
        "lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True, "eps": 1e-7,
        "ns_coefficients": (3.4445, -4.7750, 2.0315), "ns_steps": 5, "adjust_lr_fn": None,
    },
    "NAdam": {
        "lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0,
        "momentum_decay": 4e-3, "decoupled_weight_decay": False,
    },
    "RAdam": {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0,
        "decoupled_weight_decay": False,
    },
    "RMSprop": {
        "lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False,
    },
    "Rprop": {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
    "SparseAdam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    "SGD": {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False},
}  # fmt: skip
#: the names of numbers and of tuples of numbers among the options, for each optimizer
NUMBERS = {
    name: [key for key, value in options.items() if type(value) in (int, float)]
    for name, options in DEFAULTS.items()
}
TUPLES = {
    name: [key for key, value in options.items() if isinstance(value, tuple)]
    for name, options in DEFAULTS.items()
}
each_optimizer = pytest.mark.parametrize("name", DEFAULTS)


def matrix():
    w = nn.Parameter(dtrain.tensor([[1.0, 2.0], [3.0, -1.0]]))
    w.grad = dtrain.tensor([[0.3, -0.2], [0.1, 0.5]])
    return w


def moved(make):
    """The parameter after two steps of `make([parameter])`."""
    w = matrix()
    optimizer = make([w])
    optimizer.step()
    optimizer.step()
    return w.tolist()


def test_the_table_has_each_optimizer():
    classes = {n for n, value in vars(optim).items() if isinstance(value, type)}
    assert set(DEFAULTS) == classes - {"Optimizer", "LBFGS"}  # tests/test_lbfgs.py


@each_optimizer
def test_defaults_are_those_of_the_table(name):
    flags = {} if name == "Muon" else {"maximize": False}
    optimizer = getattr(optim, name)([matrix()])
    assert optimizer.defaults == {**DEFAULTS[name], **flags}
    group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    assert group == optimizer.defaults


FORMS = {
    "0-d tensor": lambda x: dtrain.tensor(x, dtype=dtrain.float64),
    "tensor of one element": lambda x: dtrain.tensor([x], dtype=dtrain.float64),
    "tensor that requires grad": lambda x: dtrain.tensor(
        float(x), dtype=dtrain.float64, requires_grad=True
    ),
    "NumPy scalar": np.float64,
    "array of one element": lambda x: np.array([x]),
    "fraction": Fraction,
}


@each_optimizer
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_numbers_are_taken_in_any_form(name, form):
    make = getattr(optim, name)
    options = {key: DEFAULTS[name][key] for key in NUMBERS[name]}
    options["lr"] = 0.25
    whole = {key for key in options if key == "ns_steps"}
    formed = {key: np.int64(v) if key in whole else form(v) for key, v in options.items()}
    tuples = {
        key: tuple(None if x is None else form(x) for x in DEFAULTS[name][key])
        for key in TUPLES[name]
    }
    expected = moved(lambda params: make(params, **options))
    assert expected != matrix().tolist()
    assert moved(lambda params: make(params, **formed, **tuples)) == expected
    assert moved(lambda params: make([{"params": params, **formed, **tuples}])) == expected

    def later(params):
        optimizer = make(params)
        optimizer.param_groups[0].update({**formed, **tuples})
        return optimizer

    assert moved(later) == expected


@each_optimizer
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("0.1", TypeError, "expected a number, got str '0.1'"),
        (None, TypeError, "expected a number, got NoneType"),
        ([0.1], TypeError, r"expected a number, got list \[0.1\]"),
        (1j, TypeError, "expected a number, got complex"),
        (
            dtrain.ones(2),
            ValueError,
            r"expected a number or a tensor of one element, got shape \(2,\)",
        ),
    ],
    ids=["str", "None", "list", "complex", "two elements"],
)
def test_what_is_no_number_is_refused_by_name_before_any_work(name, wrong, error, message):
    make = getattr(optim, name)
    for key in NUMBERS[name]:
        named = f"{name}: {key}: {message}"
        with pytest.raises(error, match=named):
            make([matrix()], **{key: wrong})
        with pytest.raises(error, match=named):
            make([{"params": [matrix()], key: wrong}])
        first, second = matrix(), matrix()
        optimizer = make([{"params": [first]}, {"params": [second]}])
        state = optimizer.state_dict()
        optimizer.param_groups[1][key] = wrong
        with pytest.raises(error, match=named):
            optimizer.step()
        assert first.tolist() == matrix().tolist()
        optimizer.param_groups[1][key] = DEFAULTS[name][key]
        state["param_groups"][1][key] = wrong
        with pytest.raises(error, match=named):
            optimizer.load_state_dict(state)
        assert optimizer.param_groups[1][key] == DEFAULTS[name][key]


@pytest.mark.parametrize("name", [name for name, keys in TUPLES.items() if keys])
def test_tuples_of_numbers_are_checked_by_name(name):
    for key in TUPLES[name]:
        count = len(DEFAULTS[name][key])
        for wrong in (0.9, (0.9,) * (count + 1), "0" * count, ("0.9",) * count):
            with pytest.raises(TypeError, match=f"{name}: {key}: expected {count} numbers, got"):
                getattr(optim, name)([matrix()], **{key: wrong})


def test_a_learning_rate_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="SGD: expected 0 <= lr, got nan"):
        optim.SGD([matrix()], lr=float("nan"))


def test_options_of_an_optimizer_of_the_users_are_left_alone():
    class Own(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": dtrain.tensor(0.5), "table": np.ones(3), "note": 1.0})

        def step(self, closure=None):
            for group in self.param_groups:
                for param in group["params"]:
                    param.data = param.data - group["lr"] * param.grad

    w = matrix()
    optimizer = Own([{"params": [w], "note": None}])
    assert optimizer.defaults["lr"] == 0.5
    optimizer.param_groups[0]["lr"] = dtrain.tensor(1.0)
    optimizer.step()
    assert w.tolist() == (matrix() - matrix().grad).tolist()
    assert optimizer.param_groups[0]["note"] is None


GROUPS = {
    "Rprop": [{"lr": 0.5}, {"lr": 0.125}],
    "Adagrad": [{"initial_accumulator_value": 0.0}, {"initial_accumulator_value": 3.0}],
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "added later"])
def test_groups_in_one_bucket_begin_with_their_own_values(name, late):
    def stepped(together):
        params = [nn.Parameter(dtrain.tensor([1.0, -2.0])) for _ in range(2)]
        if together:
            DataParallel(nn.ParameterList(params))  # one bucket for both
            assert params[0]._bucket is params[1]._bucket
        first, second = ({"params": [p], **o} for p, o in zip(params, GROUPS[name]))
        optimizer = getattr(optim, name)([first] if late else [first, second])
        for step in range(3):
            if late and step == 1:
                optimizer.add_param_group(second)
            for index, param in enumerate(params):
                param.grad = dtrain.tensor([0.5, -1.0]) if late + index <= step + 1 else None
            optimizer.step()
        return [param.tolist() for param in params]

    assert stepped(True) == stepped(False)


def test_a_nan_gradient_leaves_an_element_where_it_is_under_rprop():
    w = nn.Parameter(dtrain.tensor([1.0, 2.0, 3.0]))
    optimizer = optim.Rprop([w], lr=0.25)
    w.grad = dtrain.tensor([float("nan"), 1.0, 0.0])
    optimizer.step()
    assert w.tolist() == [1.0, 1.75, 3.0]


def test_the_first_step_of_rprop_is_the_rate_of_that_step():
    w = nn.Parameter(dtrain.zeros(1))
    optimizer = optim.Rprop([w], lr=1.0)
    optimizer.param_groups[0]["lr"] = 0.25  # by a schedule that warms up
    w.grad = dtrain.ones(1)
    optimizer.step()
    assert w.tolist() == [-0.25]
