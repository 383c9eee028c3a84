"""Writing into tensors: values, gradients, and what the graph cannot follow."""

import numpy as np
import pytest
from scipy import special

import dtrain
from dtrain import no_grad
from dtrain.autograd.op import OPS, op
from dtrain.functions import diagonals, products, scattering, shapes
from dtrain.functions.inplace_forms import INPLACE
from tests.cases.case import central_differences, erf, leaf


@pytest.fixture(autouse=True)
def forget_the_primitives_of_these_tests():
    before = dict(OPS)
    yield
    OPS.clear()
    OPS.update(before)


POSITIVE = np.array([[0.5, 1.6, 2.6], [0.7, 1.1, 2.9]])
OTHER = np.array([1.25, 0.75, 2.0])

# name: (call on a tensor and another, the same in NumPy)
FORMS = {
    "add_": (lambda x, y: x.add_(y, alpha=2), lambda x, y: x + 2 * y),
    "conj_physical_": (lambda x, y: x.conj_physical_(), lambda x, y: x),
    "sub_": (lambda x, y: x.sub_(y), lambda x, y: x - y),
    "mul_": (lambda x, y: x.mul_(y), lambda x, y: x * y),
    "div_": (lambda x, y: x.div_(y), lambda x, y: x / y),
    "pow_": (lambda x, y: x.pow_(y), lambda x, y: x**y),
    "clamp_": (lambda x, y: x.clamp_(min=1, max=2), lambda x, y: np.clip(x, 1, 2)),
    "exp_": (lambda x, y: x.exp_(), lambda x, y: np.exp(x)),
    "sqrt_": (lambda x, y: x.sqrt_(), lambda x, y: np.sqrt(x)),
    "neg_": (lambda x, y: x.neg_(), lambda x, y: -x),
    "masked_fill_": (
        lambda x, y: x.masked_fill_(y > 1, 4),
        lambda x, y: np.where(y > 1, 4, x),
    ),
    "copy_": (lambda x, y: x.copy_(y), lambda x, y: np.broadcast_to(y, x.shape)),
    "zero_": (lambda x, y: x.zero_(), lambda x, y: 0 * x),
    "fill_": (lambda x, y: x.fill_(3), lambda x, y: 0 * x + 3),
}
# in NumPy under another name, or by the tensor's own values
OF_ONE = {
    **{name: name for name in (
        "abs", "ceil", "cos", "cosh", "deg2rad", "exp2", "expm1", "floor", "log", "log10",
        "log1p", "log2", "logical_not", "nan_to_num", "rad2deg", "reciprocal", "sign", "sin",
        "sinc", "sinh", "square", "tan", "tanh", "trunc",
    )},
    **{name: "arc" + name[1:] for name in ("asinh", "atan")},
}  # fmt: skip
OF_TWO = {
    "atan2": "arctan2",
    "copysign": "copysign",
    "eq": "equal",
    "floor_divide": "floor_divide",
    "fmod": "fmod",
    "ge": "greater_equal",
    "gt": "greater",
    "heaviside": "heaviside",
    "hypot": "hypot",
    "le": "less_equal",
    "logical_and": "logical_and",
    "logical_or": "logical_or",
    "logical_xor": "logical_xor",
    "lt": "less",
    "ne": "not_equal",
    "remainder": "remainder",
    "true_divide": "divide",
}
FORMS |= {
    **{f"{name}_": (lambda x, y, f=f"{name}_": getattr(x, f)(), lambda x, y, f=of: getattr(np, f)(x))
       for name, of in OF_ONE.items()},
    **{f"{name}_": (lambda x, y, f=f"{name}_": getattr(x, f)(y), lambda x, y, f=of: getattr(np, f)(x, y))
       for name, of in OF_TWO.items()},
    **{f"{name}_": (lambda x, y, f=f"{name}_": getattr(x.div_(4), f)(),
                    lambda x, y, f="arc" + name[1:]: getattr(np, f)(x / 4))
       for name in ("acos", "asin", "atanh")},
    "acosh_": (lambda x, y: x.add_(1).acosh_(), lambda x, y: np.arccosh(x + 1)),
    "addcdiv_": (lambda x, y: x.addcdiv_(y, y, value=2), lambda x, y: x + 2 + 0 * y),
    "addcmul_": (lambda x, y: x.addcmul_(y, y), lambda x, y: x + y * y),
    "clamp_max_": (lambda x, y: x.clamp_max_(1), lambda x, y: np.minimum(x, 1)),
    "clamp_min_": (lambda x, y: x.clamp_min_(1), lambda x, y: np.maximum(x, 1)),
    "clip_": (lambda x, y: x.clip_(1, 2), lambda x, y: np.clip(x, 1, 2)),
    "cumprod_": (lambda x, y: x.cumprod_(1), lambda x, y: np.cumprod(x, 1)),
    "cumsum_": (lambda x, y: x.cumsum_(0), lambda x, y: np.cumsum(x, 0)),
    "erf_": (lambda x, y: x.erf_(), lambda x, y: erf(x)),
    "erfc_": (lambda x, y: x.erfc_(), lambda x, y: 1 - erf(x)),
    "erfinv_": (lambda x, y: x.erf_().erfinv_(), lambda x, y: x),
    "frac_": (lambda x, y: x.frac_(), lambda x, y: x % 1),
    "lerp_": (lambda x, y: x.lerp_(y, 0.3), lambda x, y: x + 0.3 * (y - x)),
    "logit_": (lambda x, y: x.sigmoid_().logit_(), lambda x, y: x),
    "relu_": (lambda x, y: x.relu_(), lambda x, y: np.maximum(x, 0)),
    "round_": (lambda x, y: x.round_(decimals=1), lambda x, y: np.round(x, 1)),
    "rsqrt_": (lambda x, y: x.rsqrt_(), lambda x, y: 1 / np.sqrt(x)),
    "sigmoid_": (lambda x, y: x.sigmoid_(), lambda x, y: 1 / (1 + np.exp(-x))),
    "digamma_": (lambda x, y: x.digamma_(), lambda x, y: special.digamma(x)),
    "float_power_": (lambda x, y: x.float_power_(y), lambda x, y: x**y),
    "i0_": (lambda x, y: x.i0_(), lambda x, y: special.i0(x)),
    "ldexp_": (lambda x, y: x.ldexp_(y), lambda x, y: x * 2**y),
    "lgamma_": (lambda x, y: x.lgamma_(), lambda x, y: special.gammaln(x)),
    "mvlgamma_": (lambda x, y: x.mvlgamma_(1), lambda x, y: special.gammaln(x)),
    "nextafter_": (lambda x, y: x.nextafter_(y), lambda x, y: np.nextafter(x, y)),
    "polygamma_": (lambda x, y: x.polygamma_(1), lambda x, y: special.polygamma(1, x)),
    "renorm_": (lambda x, y: x.renorm_(2, 0, 100), lambda x, y: x),
    "sgn_": (lambda x, y: x.sgn_(), lambda x, y: np.sign(x)),
    "xlogy_": (lambda x, y: x.xlogy_(y), lambda x, y: x * np.log(y)),
}  # fmt: skip
BITS = {"bitwise_and_", "bitwise_or_", "bitwise_xor_", "bitwise_not_", "bitwise_left_shift_",
        "bitwise_right_shift_", "gcd_", "lcm_"}  # fmt: skip
DRAWN = {"bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_",
         "uniform_"}  # fmt: skip


def test_every_in_place_form_is_here():
    assert set(INPLACE) == set(FORMS) | DRAWN | BITS


@pytest.mark.parametrize("name", FORMS)
def test_in_place_forms_write_into_the_tensor_and_return_it(name):
    call, reference = FORMS[name]
    x = dtrain.from_numpy(POSITIVE.copy())
    array = x.array
    assert call(x, dtrain.from_numpy(OTHER)) is x
    assert x.array is array
    np.testing.assert_allclose(x.numpy(), reference(POSITIVE, OTHER), rtol=1e-6)


@pytest.mark.parametrize("name", FORMS)
def test_gradients_go_through_in_place_forms(name):
    call, reference = FORMS[name]
    x, y = leaf(POSITIVE), leaf(OTHER)
    z = x * 1
    call(z, y)
    weights = np.random.default_rng(0).uniform(-1, 1, z.shape)
    z.backward(dtrain.from_numpy(weights))
    gradients = [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in (x, y)]
    expected = central_differences(lambda a, b: [reference(a, b)], [POSITIVE, OTHER])
    for gradient, wanted in zip(gradients, expected):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6, atol=1e-8)


#: forms that are not of the shape of the table above: calls of tensors x (2, 3), y (3,)
ROWS = [1, 0]
OTHER_FORMS = {
    "addbmm": lambda x, y: (x[None] * y[:, None, None], x.T[None] * y[:, None, None]),
    "addmm": lambda x, y: (x * y, x.T * 1),
    "addmv": lambda x, y: (x.T * 1, x[:, 0] * 1),
    "addr": lambda x, y: (y, y * 2),
    "baddbmm": lambda x, y: (x[None] * y[:, None, None], x.T[None] * y[:, None, None]),
    "index_add": lambda x, y: (0, dtrain.tensor(ROWS), x * y),
    "index_copy": lambda x, y: (0, dtrain.tensor(ROWS), x * y),
    "index_fill": lambda x, y: (1, dtrain.tensor(ROWS), y[0]),
    "index_put": lambda x, y: ((dtrain.tensor(ROWS), dtrain.tensor(ROWS)), y[:2]),
    "index_reduce": lambda x, y: (0, dtrain.tensor([0, 0]), x * y, "prod"),
    "masked_scatter": lambda x, y: (x > 1, x * y),
    "put": lambda x, y: (dtrain.tensor([0, 4]), y[:2]),
    "scatter": lambda x, y: (1, dtrain.tensor([[0, 2], [1, 0]]), x * y),
    "scatter_add": lambda x, y: (1, dtrain.tensor([[0, 2], [1, 0]]), x * y),
    "scatter_reduce": lambda x, y: (1, dtrain.tensor([[0, 2], [1, 0]]), x * y, "mean"),
    "squeeze": lambda x, y: (),
    "swapaxes": lambda x, y: (0, 1),
    "swapdims": lambda x, y: (0, -1),
    "t": lambda x, y: (),
    "transpose": lambda x, y: (0, 1),
    "tril": lambda x, y: (1,),
    "triu": lambda x, y: (-1,),
    "unsqueeze": lambda x, y: (1,),
}
STARTS = {"addbmm": (2, 2), "addmm": (2, 2), "addmv": (3,), "addr": (3, 3), "baddbmm": (3, 2, 2)}


def test_every_other_in_place_form_is_here():
    tables = (diagonals, products, scattering, shapes)
    assert {f"{name}_" for name in OTHER_FORMS} == {name for t in tables for name in t.INPLACE}


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_other_in_place_forms_do_what_the_function_does(name):
    start = dtrain.ones(*STARTS[name]).double() if name in STARTS else None
    results = []
    for form in (name, f"{name}_"):
        x, y = leaf(POSITIVE.copy()), leaf(OTHER.copy())
        target = (x if start is None else start) * 1
        out = getattr(target, form)(*OTHER_FORMS[name](x, y))
        assert (out is target) == form.endswith("_")
        out.backward(dtrain.from_numpy(np.arange(1.0, out.numel() + 1).reshape(out.shape)))
        results.append(
            [out.detach().numpy(), *(None if t.grad is None else t.grad.numpy() for t in (x, y))]
        )
    for ours, expected in zip(*results):
        if expected is not None:
            np.testing.assert_allclose(ours, expected)


def test_a_view_that_is_reshaped_in_place_still_writes_to_its_base():
    x = leaf(POSITIVE.copy())
    base = x * 1
    row = base[0]
    row.unsqueeze_(0).mul_(3)
    base.sum().backward()
    assert row.shape == (1, 3)
    assert x.grad.tolist() == [[3, 3, 3], [1, 1, 1]]


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_what_is_drawn_in_place_has_no_gradient(name):
    x = leaf(POSITIVE)
    z = x * 2
    getattr(z, name)(*([0.5] if name == "geometric_" else []))
    z.sum().backward()
    assert x.grad.tolist() == [[0] * 3] * 2


def test_augmented_assignments_are_in_place():
    x = dtrain.tensor([1.0, 2.0])
    before = x
    x += 1
    x *= 6
    x -= 2
    x /= 2
    assert x is before
    assert x.tolist() == [5, 8]


def test_augmented_assignments_of_integers_are_in_place():
    x = dtrain.tensor([13, 7])
    before = x
    x //= 2
    x **= 2
    x %= 16
    x <<= 2
    x >>= 1
    x |= 1
    x &= 15
    x ^= 2
    assert x is before
    assert x.tolist() == [((36 % 16 << 2 >> 1 | 1) & 15) ^ 2, ((9 << 2 >> 1 | 1) & 15) ^ 2]


def test_a_tensor_that_wanted_no_gradient_wants_one_after_a_value_that_does():
    x, y = dtrain.zeros(2), dtrain.ones(2, requires_grad=True)
    x.add_(y)
    assert x.requires_grad
    (x * 3).sum().backward()
    assert y.grad.tolist() == [3, 3]


# --- writing by index ---


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (0, (3,)),
        (-1, ()),
        ((slice(None), 1), (2,)),
        ((slice(None), slice(None, None, 2)), (2, 2)),
        ((..., 0), ()),
        (([0, 1, 0], [2, 0, 1]), (3,)),
        ((slice(None), [True, False, True]), (2, 2)),
        (0, (1, 3)),
        (slice(0, 0), (3,)),
    ],
)
def test_gradients_go_through_writes_by_index(index, shape):
    rng = np.random.default_rng(1)
    value = np.asarray(rng.uniform(-1, 1, shape))

    def reference(a, b):
        out = a * 2
        out[index] = b
        return [out]

    x, y = leaf(POSITIVE), leaf(value)
    z = x * 2
    z[index] = y
    np.testing.assert_array_equal(z.detach().numpy(), reference(POSITIVE, value)[0])
    weights = np.random.default_rng(0).uniform(-1, 1, z.shape)
    z.backward(dtrain.from_numpy(weights))
    expected = central_differences(reference, [POSITIVE, value])
    for tensor, wanted in zip((x, y), expected):
        np.testing.assert_allclose(tensor.grad.numpy(), wanted, rtol=1e-6, atol=1e-8)


def test_writes_by_mask_and_of_numbers():
    x = leaf(POSITIVE)
    z = x * 1
    z[z > 1] = 0
    z[0, 0] = 9
    assert z.tolist() == [[9, 0, 0], [0.7, 0, 0]]
    z.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_the_value_before_a_write_keeps_its_gradient():
    x = leaf(np.array([1.0, 2.0]))
    z = x * 3
    before = z.sum()
    z[0] = 0
    (before + 10 * z.sum()).backward()
    assert x.grad.tolist() == [3, 33]


# --- views ---


@pytest.mark.parametrize(
    "view",
    [lambda x: x[0], lambda x: x[0, 1], lambda x: x[..., 0], lambda x: x.t()[1],
     lambda x: x.view(-1)[2:], lambda x: x.unbind()[1], lambda x: x.detach().squeeze()],
)  # fmt: skip
def test_a_write_to_a_view_is_a_write_to_its_base(view):
    x = dtrain.zeros(2, 3)
    view(x).add_(1)
    assert x.sum().item() == view(x).numel()


def test_copies_do_not_write_to_what_they_are_copied_from():
    x = dtrain.zeros(2, 3)
    for copy in (x.clone(), x[[0, 1]], x[x == 0], x.flip(0), x.repeat(1, 1), x + 0):
        copy.add_(1)
    assert not x.any()


# --- what is refused ---


@pytest.mark.parametrize(
    "write",
    [lambda x: x.add_(1), lambda x: x.zero_(), lambda x: x.__setitem__(0, 3.0),
     lambda x: x.__imul__(2)],
)  # fmt: skip
def test_a_leaf_that_wants_a_gradient_is_written_to_only_under_no_grad(write):
    x = dtrain.ones(2, requires_grad=True)
    with pytest.raises(
        RuntimeError, match="a leaf tensor that requires grad is used in an in-place"
    ):
        write(x)
    assert x.tolist() == [1, 1]
    with no_grad():
        write(x)
    assert x.tolist() != [1, 1]
    assert x.is_leaf


def test_a_view_of_a_leaf_that_wants_a_gradient_is_written_to_only_under_no_grad():
    x = dtrain.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf tensor that requires grad"):
        x[0].add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf tensor that requires grad"):
        x.t()[0] = 1
    assert x.tolist() == [[1, 1], [1, 1]]


def test_a_view_follows_writes_that_are_not_recorded():
    x = dtrain.ones(2, 2, requires_grad=True)
    row = x[0]
    with no_grad():
        x.mul_(3)
    (row * 2).sum().backward()
    assert row.tolist() == [3, 3]
    assert x.grad.tolist() == [[2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("mul", lambda x, w: x * w),
        ("exp", lambda x, w: _written(x.exp())),
        ("matmul", lambda x, w: x @ w),
        ("tanh", lambda x, w: _written(x.tanh())),
        ("linear", lambda x, w: dtrain.nn.functional.linear(x, w)),
        ("conv2d", lambda x, w: dtrain.nn.functional.conv2d(x[None, None], w[None, None])),
    ],
)
def test_a_value_modified_after_it_was_saved_is_noticed_and_the_operation_named(name, operation):
    x, w = (dtrain.rand(2, 2, requires_grad=True) for _ in range(2))
    y = operation(x, w)
    with no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match=rf"{name} needs its `\w+`.*expected version \d"):
        y.sum().backward()


def _written(y):
    y.add_(1)
    return y


def test_a_saved_value_is_found_under_any_name():
    @op
    def exponential(x):
        y = np.exp(x)
        return y, (lambda g: g * y,)

    @op
    def square(x):
        rows = x.reshape(1, -1)
        return x * x, (lambda g: g * 2 * rows.reshape(g.shape),)

    x = dtrain.ones(2, requires_grad=True)
    for _ in range(2):  # the first call inspects what is kept, the second knows it
        y = exponential(x)
        with no_grad():
            y.mul_(10)
        with pytest.raises(RuntimeError, match="exponential needs its `output`"):
            y.sum().backward()

        z = x * 1
        y = square(z)
        z.mul_(10)
        with pytest.raises(RuntimeError, match="square needs its `x`"):
            y.sum().backward()


@pytest.mark.parametrize("flags", [(False, True), (True, False)])
def test_what_another_call_keeps_is_saved_too(flags):
    @op
    def square(x, *, copies):
        kept = x.copy() if copies else x
        return x * x, (lambda g: g * 2 * kept,)

    def run(copies):
        x = dtrain.ones(2, requires_grad=True)
        z = x * 1
        y = square(z, copies=copies)
        z.mul_(10)
        y.sum().backward()
        return x.grad.tolist()

    for copies in flags:
        if copies:
            assert run(True) == [2, 2]
        else:
            with pytest.raises(RuntimeError, match="square needs its `x`"):
                run(False)


def test_a_write_through_a_view_is_noticed_too():
    x = dtrain.rand(2, 2, requires_grad=True)
    w = dtrain.rand(2, 2)
    y = x * w
    w[0].zero_()
    with pytest.raises(RuntimeError, match="mul needs its `y`"):
        y.sum().backward()


def test_a_value_that_no_gradient_needs_may_be_modified():
    x = dtrain.ones(2, requires_grad=True)
    y = x + 1
    z = y + 1
    y.zero_()
    z.sum().backward()
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: dtrain.ones(2).add_(dtrain.ones(3, 2)), "doesn't match the broadcast shape"),
        (lambda: dtrain.ones(1).mul_(dtrain.ones(2)), "doesn't match the broadcast shape"),
    ],
)
def test_an_in_place_form_does_not_grow_its_tensor(write, message):
    with pytest.raises(RuntimeError, match=message):
        write()
