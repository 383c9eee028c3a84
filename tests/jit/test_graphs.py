"""Recorded graphs give eager mode's bits: outputs, gradients, buffers, random generator."""

import collections
import copy
import itertools
import re
import warnings

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn

pytestmark = pytest.mark.filterwarnings("error")


def leaf(*shape):
    return dtrain.randn(*shape).requires_grad_()


def outcome(function, args, modules):
    """What a call and its backward pass leave: outputs, gradients, buffers, generator."""
    leaves = [x for x in args if isinstance(x, dtrain.Tensor)]
    leaves += [p for m in modules for p in m.parameters()]
    for x in leaves:
        x.grad = None
    out = function(*args)
    outs = [x for x in (out if isinstance(out, tuple) else (out,)) if isinstance(x, dtrain.Tensor)]
    total = sum((x.float() * 1.5).sum() for x in outs)
    if total.requires_grad:
        total.backward()
    arrays = [x.detach().numpy().copy() for x in outs]
    arrays += [None if x.grad is None else x.grad.numpy().copy() for x in leaves]
    arrays += [b.numpy().copy() for m in modules for b in m.buffers()]
    return arrays, dtrain.get_rng_state()


def require_eager_bits(function, make_args, modules=(), calls=4):
    """Call a function and its compiled form in turns, from equal states; returns the latter."""
    compiled = dtrain.compile(function, fullgraph=True)
    for _ in range(calls):
        args, state = make_args(), dtrain.get_rng_state()
        buffers = [(b, b.array.copy()) for m in modules for b in m.buffers()]
        eager, eager_state = outcome(function, args, modules)
        for buffer, values in buffers:
            buffer.array[...] = values
        dtrain.set_rng_state(state)
        graph, graph_state = outcome(compiled, args, modules)
        assert graph_state == eager_state
        for mine, theirs in zip(graph, eager, strict=True):
            assert (mine is None) == (theirs is None)
            assert mine is None or np.array_equal(mine, theirs, equal_nan=True)
    return compiled


def writes_in_place(x):
    y = x * 2
    y[0] = 1.0
    y += x
    y[:, 1].mul_(3)
    y[x > 0] = 0
    return y


def fills_a_buffer(x):
    buffer = dtrain.zeros(4)
    for k in range(4):
        buffer[k] = x[k].sum()
    return buffer * x[:, 0]


def writes_through_a_view(x):
    ones = dtrain.ones(4)
    row = ones[1:3]
    row += x[:2, 0].detach()
    return ones.sum() * x


def detaches(x):
    y = x.exp()
    z = y.detach()
    with dtrain.no_grad():
        w = y * 3
    return y * z + w


def reads_a_number(x):
    mean = x.mean().item()
    return x * mean + mean**2


def uses_numpy(x):
    return dtrain.from_numpy(np.exp(x.detach().numpy())[::-1].copy()) * x


def draws(x):
    numbers = dtrain.randn(4, 5) + dtrain.rand_like(x) * dtrain.randint(0, 5, (5,))
    coins = dtrain.bernoulli(dtrain.full((5,), 0.5)) + x[dtrain.randperm(4)]
    return x + numbers + coins + dtrain.empty(4, 5).normal_() + F.alpha_dropout(x, 0.5, True)


def selects(x):
    return x[x > 0], x.sort(1)[0] + x.topk(5, 1).values + x.cumsum(0), (x > 0).nonzero()


def halves(x):
    return x.half() @ x.half().T


@pytest.mark.parametrize(
    "function",
    [writes_in_place, fills_a_buffer, writes_through_a_view, detaches, reads_a_number, uses_numpy,
     draws, selects, halves],
)  # fmt: skip
def test_functions(function):
    require_eager_bits(function, lambda: (leaf(4, 5),))


class Cube(dtrain.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        return 7 * grad * ctx.saved_tensors[0]


def test_a_function_with_a_backward_of_its_own():
    require_eager_bits(lambda x: Cube.apply(x * 2) + x, lambda: (leaf(4, 5),))


LAYERS = {
    "batch norm": (lambda: nn.BatchNorm1d(5), (4, 5)),
    "batch norm, cumulative": (lambda: nn.BatchNorm1d(5, momentum=None), (4, 5)),
    "batch norm, eval": (lambda: nn.BatchNorm1d(5).eval(), (4, 5)),
    "instance norm": (lambda: nn.InstanceNorm1d(5, track_running_stats=True), (4, 5, 3)),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), (2, 4)),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.4), nn.Dropout1d(0.2)), (2, 4)),
    "conv": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.GELU()), (2, 2, 6, 6)),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 4, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, shape = LAYERS[name]
    layer = make()
    require_eager_bits(layer.forward, lambda: (leaf(*shape),), [layer])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(kind):
    layer = kind(4, 6, 2, bidirectional=True, dropout=0.2)
    require_eager_bits(lambda x: layer(x)[0], lambda: (leaf(3, 2, 4),), [layer])


def test_labels_and_indices():
    table = nn.Embedding(7, 5, padding_idx=1)
    labels = lambda: dtrain.randint(0, 5, (4,))
    require_eager_bits(lambda i, t: F.cross_entropy(table(i), t),
                       lambda: (dtrain.randint(0, 7, (4,)), labels()), [table])  # fmt: skip


def test_a_label_out_of_range_is_refused_as_in_eager_mode():
    compiled = dtrain.compile(F.cross_entropy)
    x = dtrain.randn(4, 5)
    for _ in range(3):
        compiled(x, dtrain.tensor([0, 1, 2, 3]))
    with pytest.raises(IndexError, match="9"):
        compiled(x, dtrain.tensor([0, 1, 2, 9]))


def branches(x):
    if x.sum() > 0:
        return x * 2
    return x - 1 if x.max() > 1 else x.abs()


def loops(x):
    n = 0
    while x.abs().max() < 10:
        x = x * 2
        n += 1
    return x, dtrain.tensor(n)


def test_control_flow_on_tensors():
    offsets = iter([9.0, -9.0, 9.0, -0.5, -9.0, -0.5, 9.0])
    steep = dtrain.tensor([0.0, 2.0, 0.0, 0.0, 0.0])
    make_args = lambda: ((steep + next(offsets)).requires_grad_(),)
    compiled = require_eager_bits(branches, make_args, calls=7)
    assert compiled.graph.root.paths() == 3
    require_eager_bits(loops, lambda: (leaf(4, 5),), calls=6)


def test_control_flow_on_numbers():
    calls = iter(range(100))

    def scaled(x, k):
        return x.clamp(min=k) * k + k if k > 0 else x * max(k, -1.0) + abs(k)

    compiled = require_eager_bits(scaled, lambda: (leaf(3), float(np.sin(2 * next(calls)))), (), 8)
    assert len(compiled._compiled.entries()) == 1


def test_a_graph_reads_like_a_program():
    @dtrain.compile
    def loss(x, weight):
        return (x @ weight).clamp(min=0).sum()

    loss(dtrain.ones(2, 3), dtrain.ones(3, 4))
    first, *calls = str(loss.graph).splitlines()
    assert first == "graph loss(x: float32[2, 3], weight: float32[3, 4]):"
    assert [line.split("  #")[0].strip() for line in calls] == [
        "v2: float32[2, 4] = matmul(x, weight)",
        "v3: float32[2, 4] = clamp(v2, min=0, max=None)",
        "v4: float32[] = sum(v3, axis=None, keepdims=False)",
        "return v4",
    ]
    assert all("test_graphs.py:" in line for line in calls[:-1])


def test_arguments_have_the_names_of_their_parameters():
    compiled = dtrain.compile(lambda x, again, y: x + again * y)
    x = dtrain.ones(2)
    compiled(x, x, dtrain.zeros(2))
    assert str(compiled.graph).startswith("graph <lambda>(x: float32[2], y: float32[2]):")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.rest = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])
        self.scale = 2.0

    def forward(self, x, scaled=True):
        x = self.norm(self.first(x))
        for layer in self.rest:
            x = F.relu(layer(x))
        return self.drop(x) * self.scale if scaled else x

    def plus_one(self, x):
        return self(x) + 1


def train(model):
    """Six steps, with a step in eval mode and one with another argument."""
    dtrain.manual_seed(1)
    optimizer = dtrain.optim.Adam(model.parameters())
    losses = []
    for step in range(6):
        model.train(step != 3)
        x = dtrain.randn(5, 4, generator=dtrain.Generator(step))
        optimizer.zero_grad()
        loss = model(x, step != 2).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [t.numpy().tobytes() for t in model.state_dict().values()]


def test_a_compiled_model_trains_to_the_same_bits_and_shares_its_parameters():
    model = Net()
    twin = copy.deepcopy(model)
    compiled = dtrain.compile(twin, fullgraph=True)
    assert train(compiled) == train(model)
    assert list(compiled.state_dict()) == list(model.state_dict())
    assert isinstance(compiled, Net)
    assert compiled._orig_mod is twin
    compiled.scale = 3.0
    x = dtrain.randn(5, 4)
    assert twin.eval().scale == 3.0
    assert compiled.training is False
    assert (compiled.plus_one(x) == twin.plus_one(x)).all()
    assert train(copy.deepcopy(compiled)) == train(copy.deepcopy(twin))


def test_replaced_parameters_are_noticed():
    model = nn.Linear(3, 2)
    compiled = dtrain.compile(model)
    x = dtrain.randn(4, 3)
    for _ in range(3):
        compiled(x)
    model.weight = nn.Parameter(dtrain.zeros(2, 3))
    assert (compiled(x) == model.bias).all()
    model.double()
    assert compiled(x.double()).dtype == dtrain.float64
    model.weight.requires_grad_(False)
    compiled(x.double()).sum().backward()
    assert model.weight.grad is None


def test_globals_are_noticed():
    global FACTOR
    FACTOR = 2
    compiled = dtrain.compile(lambda x: x * FACTOR)
    for FACTOR in (2, 2, 2, 3):
        assert compiled(dtrain.ones(1)).item() == FACTOR


def test_what_no_tensor_and_no_argument_holds_is_found_by_the_second_call():
    calls = itertools.count(1)

    def counts(x):
        return x * next(calls)

    compiled = dtrain.compile(counts)
    assert compiled(dtrain.ones(1)).item() == 1
    with pytest.warns(RuntimeWarning, match="gives another result than the function"):
        compiled(dtrain.ones(1))
    assert [compiled(dtrain.ones(1)).item() for _ in range(2)] == [3, 4]


def test_what_cannot_be_recorded_is_named_by_its_line():
    def hooked(x):
        y = x * 2
        y.register_hook(lambda g: g * 2)
        return y.sum()

    with pytest.warns(
        RuntimeWarning, match=r"test_graphs.py:\d+: a hook is registered on a tensor"
    ):
        dtrain.compile(hooked)(leaf(3))
    x = leaf(3)
    with pytest.raises(dtrain.errors.CompileError, match=r"test_graphs.py:\d+: a hook"):
        dtrain.compile(hooked, fullgraph=True)(x)
    dtrain.compile(hooked)
    compiled = dtrain.compile(hooked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            x.grad = None
            compiled(x).backward()
            assert x.grad.tolist() == [4, 4, 4]


def test_too_many_graphs_are_refused_with_the_guard_that_failed():
    compiled = dtrain.compile(lambda x, n: x * n)
    for n in range(8):
        assert compiled(dtrain.ones(1), n).item() == n
    with pytest.warns(RuntimeWarning, match="there are 8 graphs already: arguments were .*7.*now"):
        compiled(dtrain.ones(1), 8)
    assert compiled(dtrain.ones(1), 9).item() == 9


def test_too_many_paths_are_refused():
    def steps(x):
        while x < 100:
            x = x + 1
        return x

    compiled = dtrain.compile(steps)
    for start in range(16):
        assert compiled(dtrain.tensor(99.0 - start)).item() == 100
    with pytest.warns(RuntimeWarning, match="more than 16 paths"):
        compiled(dtrain.tensor(80.0))
    assert compiled(dtrain.tensor(70.0)).item() == 100


def test_hooks_of_modules_run_without_a_graph():
    model, seen = nn.Linear(3, 2), []
    model.register_forward_hook(lambda *given: seen.append(1))
    compiled = dtrain.compile(model)
    with pytest.warns(RuntimeWarning, match="a module has hooks"):
        compiled(dtrain.ones(1, 3))
    compiled(dtrain.ones(1, 3))
    assert len(seen) == 2


def test_second_derivatives_and_retained_graphs():
    compiled = dtrain.compile(lambda x: (x**3).sum())
    for _ in range(4):
        x = leaf(3)
        (slope,) = dtrain.autograd.grad(compiled(x), x, create_graph=True)
        (second,) = dtrain.autograd.grad(slope.sum(), x)
        np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy(), rtol=1e-6)
        y = compiled(x)
        y.backward(retain_graph=True)
        y.backward()


def test_a_list_that_it_appends_to_is_noticed():
    seen = []

    def notes(x):
        seen.append(1)
        return x * 2

    with pytest.warns(RuntimeWarning, match="notes changes seen"):
        dtrain.compile(notes)(dtrain.ones(1))


def test_two_calls_before_a_backward_pass():
    model = dtrain.compile(Net().eval())
    for _ in range(4):
        x, y = leaf(5, 4), leaf(5, 4)
        (model(x).sum() * model(y).sum()).backward()
        got = x.grad.numpy().copy()
        x.grad = None
        original = model._orig_mod
        (original(x).sum() * original(y).sum()).backward()
        assert np.array_equal(got, x.grad.numpy())


def test_arrays_are_returned_too():
    compiled = dtrain.compile(lambda x: (x.numpy() * 2, {"x": x.numpy()}), fullgraph=True)
    for k in range(4):
        doubled, named = compiled(dtrain.full((2,), float(k)))
        assert doubled.tolist() == [2 * k] * 2
        assert named["x"].tolist() == [k] * 2


def test_disabled_functions_run_each_time():
    seen = []

    @dtrain.compiler.disable
    def note(x):
        seen.append(x.sum().item())
        return x + 1

    compiled = dtrain.compile(lambda x: note(x * 2) * 3)
    for k in range(4):
        assert compiled(dtrain.full((2,), float(k))).tolist() == [6.0 * k + 3] * 2
    assert seen == [0.0, 4.0, 8.0, 12.0]


def test_options():
    assert dtrain.compile(branches, disable=True) is branches
    decorate = dtrain.compile(mode="reduce-overhead", dynamic=False)
    assert decorate(branches)(dtrain.ones(2)).tolist() == [2, 2]
    with pytest.raises(ValueError, match="expected a mode"):
        dtrain.compile(branches, mode="fast")
    with pytest.raises(ValueError, match="expected a backend"):
        dtrain.compile(branches, backend="llvm")
    with pytest.raises(TypeError, match="expected a Module or a function, got int"):
        dtrain.compile(3)


def test_traces():
    traced = dtrain.jit.trace(lambda x: x * 2 + x.sum(), dtrain.ones(3))
    assert traced(dtrain.ones(4)).tolist() == [6] * 4
    scaled = dtrain.jit.trace(lambda k, x: x * k, (2.0, dtrain.ones(2)))
    assert scaled(3.0, dtrain.ones(2)).tolist() == [3, 3]
    with pytest.warns(dtrain.jit.TracerWarning, match=r"test_graphs.py:\d+: a tensor's value"):
        one_path = dtrain.jit.trace(branches, (dtrain.ones(3),))
    assert one_path(-dtrain.ones(3)).tolist() == [-2] * 3
    assert one_path.graph.root.paths() == 1
    with pytest.raises(RuntimeError, match="expected example_inputs"):
        dtrain.jit.trace(branches)


def test_where_it_runs_is_known():
    seen = collections.deque()

    def notes(x):
        seen.append((dtrain.jit.is_scripting(), dtrain.jit.is_tracing()))
        return x * 2

    dtrain.jit.script(notes)(dtrain.ones(1))
    dtrain.jit.trace(notes, dtrain.ones(1), check_trace=False)
    notes(dtrain.ones(1))
    assert list(seen) == [(True, False), (False, True), (False, False)]


def test_repr_tells_how_many_graphs_there_are_and_how_long_they_took():
    model = dtrain.compile(nn.Sequential(nn.Linear(3, 2), nn.Tanh()))
    assert repr(model).endswith(")  # compile: no graph")
    for n in (1, 1, 1, 2):
        model(leaf(n, 3)).sum().backward()
    assert re.search(r"\)  # compile: 2 graphs, recorded in .* s, compiled in .* s$", repr(model))
    graphs = [entry.program.graph for entry in model._compiled.entries().values()]
    assert [graph.compile_s > 0 for graph in graphs] == [True, False]
    scripted = dtrain.jit.script(writes_in_place)
    assert repr(scripted) == "<script function writes_in_place: no graph>"
