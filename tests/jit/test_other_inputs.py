"""Graphs meet other inputs than they were recorded with: types, ranks, dtypes, moved models."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from tests.jit.test_files import require_same, through_a_file

pytestmark = pytest.mark.filterwarnings("error")

FORMS = {
    "compile": lambda f, *_: dtrain.compile(f),
    "script": lambda f, *_: dtrain.jit.script(f),
    "script file": lambda f, *_: through_a_file(dtrain.jit.script(f)),
    "trace": dtrain.jit.trace,
}


def scaled(x, n):
    y = x * n if n else x
    return y.sum(-1) if x.ndim > 1 else y


@pytest.mark.parametrize("form", ["script", "script file"])
def test_arguments_of_other_types_and_ranks_give_what_the_function_gives(form):
    made = FORMS[form](scaled)
    x = dtrain.randn(2, 3)
    numbers = [2, 2.0, True, None, dtrain.tensor(2.0), dtrain.tensor(2), np.float32(2), np.int64(2)]
    tensors = [x.double(), x.long(), x[0], x[None], x[0, 0], x[:0]]
    for _ in range(3):  # recorded, verified, run
        for given in [*((x, n) for n in numbers), *((t, 2) for t in tensors)]:
            right = scaled(*given)
            require_same(made(*given), right)
            assert made(*given).dtype == right.dtype


def test_a_compiled_function_takes_another_type_or_rank():
    compiled = dtrain.compile(scaled)
    x = dtrain.randn(2, 3)
    for _ in range(3):
        for given in [(x, 2), (x, 2.0), (x, dtrain.tensor(2)), (x[0], 2), (x[None], 2)]:
            require_same(compiled(*given), scaled(*given))


@pytest.mark.parametrize("form", FORMS)
def test_a_model_of_another_dtype_runs_as_the_model(form):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Tanh()).eval()
    x = dtrain.randn(4, 3)
    made = FORMS[form](model, x)
    for dtype in (dtrain.float32, dtrain.float64, dtrain.float32):
        model.to(dtype)
        made.to(dtype)
        for _ in range(3):
            got, right = made(x.to(dtype)), model(x.to(dtype))
            require_same(got.float(), right.float())
            assert got.dtype == dtype
        with pytest.raises(RuntimeError, match="expected m1 and m2 to have the same dtype"):
            made(x.long())


def test_a_trace_from_a_file_names_the_inputs_that_it_takes():
    model = nn.Linear(3, 2)
    loaded = through_a_file(dtrain.jit.trace(model, dtrain.ones(4, 3)))
    for other in (dtrain.ones(3), dtrain.ones(4, 3).double(), 2.0, dtrain.ones(1, 4, 3)):
        with pytest.raises(
            dtrain.errors.CompileError, match=r"expected inputs \['float32\[4, 3\]'\]"
        ):
            loaded(other)
