"""Dtype promotion against PyTorch, for every pair of dtypes."""

import operator

import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64"]  # fmt: skip
OPERATORS = [operator.add, operator.mul, operator.truediv, operator.lt]
NUMBERS = [True, 2, 2.5]


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def outcome(operation, *operands):
    """The name of the dtype that comes out, or of the error's class."""
    try:
        return name_of(operation(*operands).dtype)
    except (RuntimeError, TypeError) as error:
        return type(error).__name__


def filled(t, dtype, shape):
    return t.ones(shape, dtype=getattr(t, dtype))


@pytest.mark.parametrize("shapes", [((2,), (2,)), ((2,), ()), ((), ())], ids=str)
@pytest.mark.parametrize("x", DTYPES)
@pytest.mark.parametrize("operation", OPERATORS)
def test_pairs_of_tensors_promote_as_in_pytorch(operation, x, shapes):
    def outcomes(t):
        left = filled(t, x, shapes[0])
        return {y: outcome(operation, left, filled(t, y, shapes[1])) for y in DTYPES}

    assert outcomes(dtrain) == outcomes(torch)


@pytest.mark.parametrize("shape", [(2,), ()], ids=str)
@pytest.mark.parametrize("x", DTYPES)
@pytest.mark.parametrize("operation", [*OPERATORS, operator.pow])
def test_numbers_promote_as_in_pytorch(operation, x, shape):
    numbers = NUMBERS[1:] if operation is operator.pow else NUMBERS  # no power of truth values

    def outcomes(t):
        tensor = filled(t, x, shape)
        return [
            (outcome(operation, tensor, number), outcome(operation, number, tensor))
            for number in numbers
        ]

    assert outcomes(dtrain) == outcomes(torch)


UNARY = [
    "abs", "neg", "sign", "floor", "ceil", "round", "exp", "log", "sqrt", "sigmoid", "tanh", "sum",
    "mean", "prod", "amax", "argmax", "std", "var", "norm", "all", "any", "isnan", "logical_not",
    "reciprocal", "clone",
]  # fmt: skip


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_functions_of_one_tensor_give_the_dtype_of_pytorch(dtype):
    def outcomes(t):
        x = filled(t, dtype, (2, 3))
        return {name: outcome(getattr(t, name), x) for name in UNARY}

    assert outcomes(dtrain) == outcomes(torch)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_in_where_clamp_and_masked_fill_promote_as_in_pytorch(dtype):
    def outcomes(t):
        x = filled(t, dtype, (2,))
        mask = filled(t, "bool", (2,))
        return [
            *(outcome(t.where, mask, x, number) for number in NUMBERS),
            outcome(lambda: t.where(mask, 1.0, 2.0)),
            outcome(lambda: t.where(mask, 1, 2)),
            *(outcome(lambda n=n: t.clamp(x, max=n)) for n in (2, 2.5) if dtype != "bool"),
            outcome(lambda: x.masked_fill(mask, 1)),
        ]

    assert outcomes(dtrain) == outcomes(torch)
