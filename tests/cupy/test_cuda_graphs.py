"""A step as a CUDA graph: replays have the bits of steps without one."""

import gc

import hostcuda
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.nn import functional as F
from tests.cupy.conftest import HOSTED

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, 0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 0.01, capturable=True),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    "adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.1),
    "adadelta": lambda p: optim.Adadelta(p),
    "adamax": lambda p: optim.Adamax(p, 0.01),
    "nadam": lambda p: optim.NAdam(p, 0.01),
    "radam": lambda p: optim.RAdam(p, 0.01),
    "rprop": lambda p: optim.Rprop(p, 0.01),
    "asgd": lambda p: optim.ASGD(p, 0.1, t0=3),
}


class Block(nn.Module):
    """Products, attention with dropout, normalization, dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(F.dropout(self.layer(x), 0.3, self.training)).flatten(0, 1)


def convolutions():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.5),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 4, 3),
    )  # fmt: skip


MODELS = {"attention": (Block, (2, 5, 8), 10), "convolutions": (convolutions, (4, 2, 4, 4), 4)}


def train(model_name, optimizer_name, steps, captured_at=None, dtype=None):
    """Losses and final values of so many steps, those from `captured_at` on by a graph."""
    dtrain.manual_seed(3)
    make, shape, count = MODELS[model_name]
    dtype = dtype or dtrain.float32
    model = make().to("cuda", dtype)
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    data = dtrain.Generator(1)
    x, y = (
        dtrain.zeros(shape, device="cuda", dtype=dtype),
        dtrain.zeros(count, device="cuda").long(),
    )
    graph, losses = None, []

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    for index in range(steps):
        x.copy_(dtrain.randn(shape, generator=data))
        y.copy_(dtrain.randint(3, (count,), generator=data))
        if index == captured_at:
            graph = dtrain.cuda.CUDAGraph()
            with dtrain.cuda.graph(graph):
                loss = step()
        if graph is None:
            loss = step()
        else:
            graph.replay()
        losses.append(loss.item())
        schedule.step()
    state = [t.cpu().tolist() for t in model.state_dict().values()]
    numbers = [
        {name: value for name, value in own.items() if not isinstance(value, dtrain.Tensor)}
        for own in optimizer.state.values()
    ]
    return losses, state, numbers, dtrain.get_rng_state()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_replays_have_the_bits_of_steps(optimizer):
    assert train("attention", optimizer, 6, 2) == train("attention", optimizer, 6)


@pytest.mark.parametrize("has_master_weights", [False, True])
def test_halves_are_stepped_in_float32(has_master_weights, monkeypatch):
    options = {"master_weights": has_master_weights}
    monkeypatch.setitem(OPTIMIZERS, "halves", lambda p: optim.AdamW(p, 0.01, **options))
    graphed, plain = (train("attention", "halves", 5, at, dtrain.bfloat16) for at in (2, None))
    assert graphed == plain


def test_convolutions_and_running_statistics_are_captured():
    assert train("convolutions", "adam", 6, 1) == train("convolutions", "adam", 6)


def train_wrapped(model_name, wrap, steps=7, shapes=1):
    """Losses, values and random numbers of steps of a model that `wrap` has wrapped."""
    dtrain.manual_seed(3)
    make, (batch, *rest), count = MODELS[model_name]
    model = wrap(make().to("cuda"))
    optimizer = optim.AdamW(model.parameters(), 0.01)
    data, losses = dtrain.Generator(1), []
    for index in range(steps):
        size = batch - index % shapes
        x = dtrain.randn(size, *rest, generator=data).to("cuda")
        y = dtrain.randint(3, (count // batch * size,), generator=data).to("cuda")
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    state = [t.cpu().tolist() for t in model.state_dict().values()]
    return losses, state, dtrain.get_rng_state()


@pytest.mark.parametrize("model", MODELS)
def test_a_data_parallel_model_with_graphs_has_the_bits_of_one_without(model):
    plain = train_wrapped(model, dtrain.DataParallel, 9, shapes=2)
    graphed = train_wrapped(model, lambda m: dtrain.DataParallel(m, cuda_graph=True), 9, shapes=2)
    assert graphed == plain


def graph_launches():
    return hostcuda.counters()["graph_launches"]


def graphed(model):
    return dtrain.DataParallel(model, cuda_graph=True)


@pytest.mark.skipif(not HOSTED, reason="launches are counted on host memory only")
def test_a_data_parallel_step_is_two_graphs_and_a_few_launches():
    train_wrapped("attention", graphed, 3)
    hostcuda.reset()
    train_wrapped("attention", graphed, 5)
    assert graph_launches() == 4  # the first three steps run without


def test_a_compiled_model_has_graphs():
    def wrap(model):
        return dtrain.compile(graphed(model))

    assert train_wrapped("attention", wrap, 7) == train_wrapped("attention", dtrain.DataParallel, 7)


class Recomputed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return dtrain.utils.checkpoint.checkpoint(self.inner, x)


def test_recomputed_segments_read_the_random_keys_of_their_first_run():
    plain = train_wrapped("attention", lambda m: dtrain.DataParallel(Recomputed(m)), 6)
    assert train_wrapped("attention", lambda m: graphed(Recomputed(m)), 6) == plain


def test_graphed_callables_have_the_bits_of_functions():
    def graph_callable(model):
        x = dtrain.zeros(MODELS["attention"][1], device="cuda")
        return dtrain.cuda.make_graphed_callables(model, (x,))

    assert train_wrapped("attention", graph_callable, 4) == train_wrapped(
        "attention", lambda m: m, 4
    )
    x = dtrain.ones(3, device="cuda").requires_grad_()
    twice, thrice = dtrain.cuda.make_graphed_callables(
        (lambda x: (x * x, x.long()), lambda x: {"out": x * 3}), ((x,), (x,))
    )
    y = dtrain.arange(3.0, device="cuda").requires_grad_()
    square, integers = twice(y)
    out = thrice(square)["out"]
    out.sum().backward()
    assert (integers.tolist(), out.tolist(), y.grad.tolist()) == ([0, 1, 2], [0, 3, 12], [0, 6, 12])


def capture(body):
    with dtrain.cuda.graph(dtrain.cuda.CUDAGraph()):
        assert dtrain.cuda.is_current_stream_capturing()
        body()


def trained(make_optimizer, steps=1):
    model = nn.Linear(2, 2).to("cuda")
    optimizer = make_optimizer(model.parameters())
    for _ in range(steps):
        model(dtrain.ones(1, 2, device="cuda")).sum().backward()
        optimizer.step()
    return optimizer


def refused():
    """What cannot be captured, with a part of the message."""
    x = dtrain.ones(3, device="cuda")
    return {
        "item": (lambda: x.sum().item(), "capturing, so D2H transfers are disallowed"),
        "host": (lambda: x + dtrain.tensor([1.0, 2, 3]).to("cuda"), "a host array is copied"),
        "pinned": (lambda: dtrain.ones(3).pin_memory().to("cuda"), "a host array is copied"),
        "rule": (trained(optim.Adafactor).step, "Adafactor computes with numbers"),
    }


@pytest.mark.parametrize("name", ["item", "host", "pinned", "rule"])
def test_what_a_graph_cannot_repeat_is_refused(name):
    body, message = refused()[name]
    with pytest.raises(RuntimeError, match=message):
        capture(body)
    capture(lambda: dtrain.ones(2, device="cuda") * 2)  # nothing is left of the capture
    assert not dtrain.cuda.is_current_stream_capturing()


def test_an_optimizer_without_state_is_refused():
    model = nn.Linear(2, 2).to("cuda")
    optimizer = optim.Adam(model.parameters())
    model(dtrain.ones(1, 2, device="cuda")).sum().backward()
    with pytest.raises(RuntimeError, match="Adam has no state yet"):
        capture(optimizer.step)


def test_changed_parameter_groups_are_refused_at_the_replay():
    optimizer, graph = trained(optim.SGD), dtrain.cuda.CUDAGraph()
    with dtrain.cuda.graph(graph):
        optimizer.step()
    optimizer.load_state_dict(trained(lambda p: optim.SGD(p, 0.1, momentum=0.9)).state_dict())
    with pytest.raises(RuntimeError, match="capture it again"):
        graph.replay()


def test_uses_in_the_wrong_order_are_refused():
    graph = dtrain.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()
    with pytest.raises(RuntimeError, match="non-default stream"):
        graph.capture_begin()
    with dtrain.cuda.graph(graph):
        pass
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"), dtrain.cuda.graph(graph):
        pass


def test_a_backward_pass_whose_values_are_overwritten_is_refused():
    model = graphed(nn.Linear(2, 2).to("cuda"))
    x = dtrain.ones(1, 2, device="cuda")
    for _ in range(3):
        model(x).sum().backward()
    first, second = model(x), model(x)
    second.sum().backward()
    with pytest.raises(RuntimeError, match="another one has overwritten"):
        first.sum().backward()
    model(x)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        model(x).sum().backward(create_graph=True)


def test_models_that_have_no_graph_are_refused():
    with pytest.raises(ValueError, match="weight is on cpu"):
        graphed(nn.Linear(2, 2))
    model = nn.Linear(2, 2).to("cuda")
    model.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="Linear has hooks"):
        dtrain.cuda.make_graphed_callables(model, (dtrain.ones(1, 2, device="cuda"),))


def test_memory_of_graphs_is_counted_and_freed():
    x = dtrain.ones(1 << 20, device="cuda")
    gc.collect()
    before, graph = dtrain.cuda.memory_reserved(), dtrain.cuda.CUDAGraph()
    with dtrain.cuda.graph(graph):
        y = x + 1
    assert dtrain.cuda.memory_reserved() >= before + y.nbytes
    graph.replay()
    assert y.sum().item() == 2 << 20
    del y
    graph.reset()
    assert dtrain.cuda.memory_reserved() <= before


def test_a_graph_outlives_the_one_that_was_captured_before():
    x = dtrain.eye(2, device="cuda") * 3
    x @ x
    graphs, results = [dtrain.cuda.CUDAGraph() for _ in range(2)], []
    for graph in graphs:
        with dtrain.cuda.graph(graph):
            results.append(x @ x)
    graphs.pop(0).reset()
    del results[0], graph
    x @ x  # another stream, and so another workspace
    gc.collect()
    graphs[0].replay()
    assert results[0].tolist() == [[9, 0], [0, 9]]
