"""Which dtype an operation gives, and which it refuses."""

import numpy as np
import pytest

import dtrain
from dtrain import bool as bool_, float16, float32, float64, int8, int16, int32, int64, uint8
from dtrain.autograd.op import OPS

from .processes import finished


def vector(dtype):
    return dtrain.ones(2, dtype=dtype)


def single(dtype):
    return dtrain.ones((), dtype=dtype)


# --- two tensors ---

PROMOTIONS = [
    (bool_, bool_, bool_),
    (bool_, uint8, uint8),
    (uint8, int8, int16),
    (int8, int32, int32),
    (int32, int64, int64),
    (int64, float16, float16),
    (int64, float32, float32),
    (float16, float32, float32),
    (float32, float64, float64),
    (bool_, float16, float16),
]


@pytest.mark.parametrize("make", [vector, single])
@pytest.mark.parametrize(("x", "y", "expected"), PROMOTIONS)
def test_two_tensors_promote_and_an_integer_never_widens_a_float(x, y, expected, make):
    assert (make(x) + make(y)).dtype == (make(y) + make(x)).dtype == expected


@pytest.mark.parametrize(
    ("full", "zero_d", "expected"),
    [
        (float32, float64, float32),
        (float16, float64, float16),
        (int32, int64, int32),
        (uint8, int64, uint8),
        (int32, float64, float64),
        (bool_, int32, int32),
        (float32, int64, float32),
    ],
)
def test_a_0d_tensor_decides_only_if_it_is_of_a_higher_kind(full, zero_d, expected):
    x, y = vector(full), single(zero_d)
    assert (x * y).dtype == (y * x).dtype == expected
    assert dtrain.where(vector(bool_), x, y).dtype == expected


# --- a tensor and a Python number ---


@pytest.mark.parametrize("make", [vector, single])
@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [
        (float16, 1.5, float16),
        (float64, 1.5, float64),
        (float32, 2, float32),
        (float32, True, float32),
        (int32, 2, int32),
        (uint8, 2, uint8),
        (int64, True, int64),
        (int32, 1.5, float32),
        (bool_, 2, int64),
        (bool_, 1.5, float32),
        (bool_, True, bool_),
    ],
)
def test_a_number_decides_only_if_it_is_of_a_higher_kind(dtype, number, expected, make):
    x = make(dtype)
    results = [x + number, number + x, x * number]
    assert {out.dtype for out in results} == {np.dtype(expected)}


def test_a_number_of_a_higher_kind_has_the_default_dtype():
    dtrain.set_default_dtype(float64)
    try:
        assert (vector(int32) + 1.5).dtype == float64
        assert (vector(int32) / 2).dtype == float64
        assert dtrain.tensor([1.5]).dtype == float64
    finally:
        dtrain.set_default_dtype(float32)


@pytest.mark.parametrize("number", [np.float32(2), np.float64(2), np.int64(2)])
def test_a_numpy_number_is_a_0d_tensor(number):
    x = vector(float32).requires_grad_()
    for out in (x * number, number * x, number - x, x / number):
        assert isinstance(out, dtrain.Tensor)
        assert out.dtype == float32
        assert out.requires_grad


# --- integers where floats are made ---


@pytest.mark.parametrize("dtype", [bool_, uint8, int32, int64])
@pytest.mark.parametrize(
    "name",
    ["cos", "erf", "exp", "expm1", "log", "log10", "log1p", "log2", "reciprocal", "rsqrt",
     "sigmoid", "sin", "sqrt", "tanh"],
)  # fmt: skip
def test_functions_with_fractions_give_the_default_dtype_for_integers(name, dtype):
    assert getattr(dtrain, name)(vector(dtype)).dtype == float32


@pytest.mark.parametrize("dtype", [bool_, uint8, int32, int64])
def test_quotients_of_integers_have_the_default_dtype(dtype):
    x = vector(dtype)
    assert (x / x).dtype == (x / 2).dtype == (1 / x).dtype == (x / single(int64)).dtype == float32


@pytest.mark.parametrize("dtype", [bool_, uint8, int32])
@pytest.mark.parametrize("function", [dtrain.sum, dtrain.prod, lambda x: dtrain.cumsum(x, 0)])
def test_sums_and_products_of_integers_are_int64(function, dtype):
    assert function(vector(dtype)).dtype == int64


@pytest.mark.parametrize("function", [dtrain.mean, dtrain.var, dtrain.std, dtrain.norm])
@pytest.mark.parametrize("dtype", [bool_, int64])
def test_means_and_deviations_of_integers_are_refused(function, dtype):
    with pytest.raises(RuntimeError, match="expected a floating dtype"):
        function(vector(dtype))


def test_sums_can_have_a_dtype_of_their_own():
    assert vector(int32).sum(dtype=float64).dtype == float64
    assert dtrain.full((70000,), 1.0, dtype=float16).sum(dtype=float32).item() == 70000


@pytest.mark.parametrize("dtype", [uint8, int32, float16, float64])
@pytest.mark.parametrize("name", ["abs", "ceil", "clone", "floor", "neg", "round", "sign"])
def test_functions_without_fractions_keep_the_dtype(name, dtype):
    assert getattr(dtrain, name)(vector(dtype)).dtype == dtype


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons_are_bools(name):
    for other in (vector(float64), vector(int8), 1, 1.5, True):
        assert getattr(dtrain, name)(vector(int32), other).dtype == bool_


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_are_int64(name):
    assert getattr(dtrain, name)(vector(float32)).dtype == int64


# --- from one dtype to another ---


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (lambda x: x.to(float64), float64),
        (lambda x: x.to(dtype=int8), int8),
        (lambda x: x.to("cpu", float64), float64),
        (lambda x: x.to(vector(int16)), int16),
        (lambda x: x.type_as(vector(uint8)), uint8),
        (lambda x: x.float(), float32),
        (lambda x: x.double(), float64),
        (lambda x: x.half(), float16),
        (lambda x: x.int(), int32),
        (lambda x: x.long(), int64),
        (lambda x: x.bool(), bool_),
    ],
)
def test_conversions_by_name(convert, expected):
    out = convert(dtrain.tensor([2.75, 0.0]))
    assert out.dtype == expected
    assert out.tolist() == np.array([2.75, 0.0], np.float32).astype(expected).tolist()


def test_a_conversion_to_the_same_dtype_is_the_tensor_itself():
    x = vector(float32)
    assert x.to(float32) is x
    assert x.float() is x
    assert x.cpu() is x


def test_a_gradient_comes_back_in_the_dtype_of_its_tensor():
    x = vector(float16).requires_grad_()
    (x.double() * 3).float().sum().backward()
    assert x.grad.dtype == float16
    assert x.grad.tolist() == [3, 3]


def test_a_conversion_to_integers_is_not_differentiable():
    x = vector(float32).requires_grad_()
    assert not x.long().requires_grad
    assert not x.bool().requires_grad


def test_only_floating_and_complex_tensors_can_require_gradients():
    with pytest.raises(
        RuntimeError, match="only floating and complex tensors can require gradients"
    ):
        vector(int64).requires_grad_()


def test_a_new_tensor_has_all_digits_of_its_dtype():
    assert dtrain.tensor(0.1, dtype=float64).item() == 0.1
    assert dtrain.tensor([1e300], dtype=float64).tolist() == [1e300]


# --- what no dtype allows ---


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda: vector(int64) ** -1, "integers to negative integer powers"),
        (lambda: vector(int32).add_(1.5), "can't be cast"),
        (lambda: vector(int64).div_(2), "can't be cast"),
        (lambda: vector(bool_).add_(1), "can't be cast"),
    ],
)
def test_what_would_lose_the_result_is_refused(operation, message):
    with pytest.raises(RuntimeError, match=message):
        operation()


def test_integers_to_negative_powers_are_whole():
    x = dtrain.tensor([1, -1, -1, 2, -3, 0, 2])
    powers = x ** dtrain.tensor([-3, -1, -2, -1, -2, -1, 3])
    assert powers.dtype == int64
    assert powers.tolist() == [1, -1, 1, 0, 0, 0, 8]


def test_in_place_operations_keep_the_dtype():
    assert vector(float32).mul_(vector(float64)).dtype == float32
    assert vector(float16).add_(1.5).dtype == float16
    assert vector(int8).add_(vector(int64)).dtype == int8


def test_half_precision_gradients_do_not_overflow_inside_a_rule():
    x, y = (dtrain.tensor([300.0], dtype=float16, requires_grad=True) for _ in range(2))
    OPS["div"](x, y).backward()
    assert y.grad.item() == pytest.approx(-1 / 300, rel=2e-3)


def test_the_mean_of_many_halves_does_not_overflow():
    assert dtrain.full((70000,), 2.0, dtype=float16).mean().item() == 2


def test_a_scalar_tensor_has_the_default_dtype_unless_another_is_given():
    assert dtrain.scalar_tensor(1).dtype == float32
    assert dtrain.scalar_tensor(1, dtype=int64).dtype == int64


def test_to_gives_the_tensor_itself_or_a_copy_and_refuses_other_options():
    x = dtrain.ones(2, requires_grad=True)
    for same in (x.to(float32), x.to("cpu", float32, True), x.to(x, non_blocking=True)):
        assert same is x
    for copied in (x.to(float32, copy=True), x.to("cpu", False, True), x.to(x, True, True)):
        assert copied.grad_fn is not None
        with dtrain.no_grad():
            copied.zero_()
        assert (x.tolist(), copied.tolist()) == ([1, 1], [0, 0])
    for tensor in (x, dtrain.ones(2, 2).to_sparse()):
        assert tensor.to(float64, copy=True).dtype == float64
        with pytest.raises(TypeError, match="unexpected keyword argument 'dtyp'"):
            tensor.to(dtyp=float64)


def test_a_dtype_has_a_name_from_the_start(run_python):
    """NumPy knows bfloat16 by its name once ml_dtypes is imported: in a process of its own."""
    program = "import dtrain; print(dtrain.zeros(1, dtype='bfloat16').dtype == dtrain.bfloat16)"
    assert finished(run_python("-c", program)) == "True\n"
