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


def test_a_constant_array_that_is_indexed_by_a_recorded_one_is_refused():
    table = np.arange(6)

    def looks_up(x):
        kept = np.flatnonzero(x.numpy() > 0)
        return dtrain.from_numpy(table[kept]) * x[0]

    compiled = dtrain.compile(looks_up)
    first, second = dtrain.tensor([1.0, -1, 1, -1, -1, 1]), dtrain.tensor([1.0, 1, -1, 1, -1, -1])
    with pytest.warns(RuntimeWarning, match="an array's values were read"):
        require_same(compiled(first), looks_up(first))
    for x in (second, first, second):
        require_same(compiled(x), looks_up(x))


def test_what_a_recording_wrote_before_it_failed_is_undone():
    layer = nn.Linear(2, 2)

    def writes(x):
        with dtrain.no_grad():
            layer.weight.mul_(2)
            x.add_(1)
        if dtrain.compiler.is_compiling():
            raise KeyError("only while it is recorded")
        return x @ layer.weight

    before, x = layer.weight.detach().clone(), dtrain.zeros(2)
    with pytest.warns(RuntimeWarning, match="KeyError while it was recorded"):
        dtrain.compile(writes)(x)
    assert x.tolist() == [1, 1]
    require_same(layer.weight.detach(), before * 2)


def test_shapes_that_depend_on_values_are_those_of_the_function():
    def picks(x):
        kept = (x > 0).nonzero()[:, 0]
        return x[kept].reshape(2) * 3

    def doubles(x):
        return (x[x > 0] * 2).exp().sum() + (x * 3).tanh().exp().sum()

    two, three = dtrain.tensor([1.0, -1, 1, -1]), dtrain.tensor([1.0, -1, 1, 1])
    for known in range(1, 5):  # recorded, verified, run
        compiled, picking = dtrain.compile(doubles, fullgraph=True), dtrain.compile(picks)
        for _ in range(known):
            compiled(two)
            picking(two)
        for x in (three, -two, -(two**2), two):
            leaves = [x.clone().requires_grad_() for _ in range(2)]
            outputs = [f(leaf) for f, leaf in zip((compiled, doubles), leaves)]
            require_same(*(y.detach() for y in outputs))
            for y in outputs:
                y.backward()
            require_same(*(leaf.grad for leaf in leaves))
            require_same(compiled(x), doubles(x))
        with pytest.raises(RuntimeError, match=r"shape \[2\] is invalid for input of size 3"):
            picking(three)
        require_same(picking(two), picks(two))


def test_a_graph_that_raises_where_the_function_does_not_is_given_up():
    def two_or_all(x):
        kept = (x > 0).nonzero()[:, 0]
        return x[kept].reshape(len(kept)) * 3

    two, three = dtrain.tensor([1.0, -1, 1, -1]), dtrain.tensor([1.0, -1, 1, 1])
    for known in range(1, 4):
        compiled = dtrain.compile(two_or_all)
        for _ in range(known):
            compiled(two)
        with pytest.warns(RuntimeWarning, match="its graph does not fit these values"):
            require_same(compiled(three), two_or_all(three))
        require_same(compiled(three), two_or_all(three))
    strict = dtrain.compile(two_or_all, fullgraph=True)
    strict(two)
    with pytest.raises(dtrain.errors.CompileError, match="does not fit these values"):
        strict(three)


def test_a_graph_that_does_not_fit_other_values_names_the_line_whose_shape_varies():
    def chosen(x):
        rows = dtrain.where(x[:, 0] > 0)[0]
        return x[rows].reshape(len(rows), 3) * 2

    compiled = dtrain.compile(chosen)
    x = dtrain.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 1.0]])
    compiled(x)
    place = f"test_other_inputs.py:{chosen.__code__.co_firstlineno + 1}: the shape of what "
    with pytest.warns(RuntimeWarning, match=place):
        require_same(compiled(x * dtrain.tensor([[1.0], [-1.0]])), x[:1] * 2)


def test_a_step_that_cannot_be_recorded_has_eager_bits():
    """The backward pass within it runs the same kernels as without a recording."""
    results = []
    for compiles in (False, True):
        dtrain.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2))
        optimizer = dtrain.optim.SGD(model.parameters(), 0.1, momentum=0.9)

        def step(x, target, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            return loss

        if compiles:
            step = dtrain.compile(step)
            with pytest.warns(RuntimeWarning, match="it runs a backward pass"):
                step(dtrain.zeros(5, 6), dtrain.zeros(5, dtype=dtrain.int64))
        else:
            step(dtrain.zeros(5, 6), dtrain.zeros(5, dtype=dtrain.int64))
        for rows in (5, 70):
            loss = step(dtrain.randn(rows, 6), dtrain.zeros(rows, dtype=dtrain.int64))
        results.append([loss, *model.parameters()])
    for mine, theirs in zip(*results):
        assert dtrain.equal(mine, theirs)
