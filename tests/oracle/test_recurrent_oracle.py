"""Recurrent layers and packed sequences against PyTorch, on batches of all kinds."""

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle

T, N, I, H = 5, 4, 3, 4


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def packed(t, x, lengths, **options):
    return t.nn.utils.rnn.pack_padded_sequence(x, t.tensor(lengths), **options)


def same(ours, theirs):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10, atol=1e-10
    )


def twins(name, **options):
    theirs = getattr(torch.nn, name)(I, H, **options).double()
    ours = getattr(dtrain.nn, name)(I, H, **options).double()
    ours.load_state_dict({k: dtrain.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    assert repr(ours) == repr(theirs)
    assert [len(group) for group in ours.all_weights] == [len(g) for g in theirs.all_weights]
    return ours, theirs


LENGTHS = {"padded": None, "sorted": [5, 4, 4, 1], "unsorted": [2, 5, 1, 3]}


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("states", [False, True], ids=["from zero", "states"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, {"num_layers": layers, "bidirectional": both, "bias": bias, **more})
        for name, more in (
            ("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {}),
            ("LSTM", {"proj_size": 2}),
        )
        for layers, both, bias in itertools.product((1, 3), (False, True), (False, True))
    ],
)  # fmt: skip
def test_layers_give_what_pytorch_gives(name, options, states, lengths):
    ours, theirs = twins(name, **options)
    count = options["num_layers"] * (1 + options["bidirectional"])
    arrays = [
        numbers(T, N, I), numbers(count, N, options.get("proj_size", H)), numbers(count, N, H),
    ]  # fmt: skip

    def run(t, layer):
        x, h, c = inputs = [t.tensor(a, requires_grad=True) for a in arrays]
        first = (h, c) if name == "LSTM" else h
        if lengths != "padded":
            x = packed(t, x, LENGTHS[lengths], enforce_sorted=lengths == "sorted")
        out, last = layer(x, first if states else None)
        outputs = [out if lengths == "padded" else out.data]
        outputs += last if name == "LSTM" else [last]
        sum((o * t.tensor(numbers(*o.shape, seed=1))).sum() for o in outputs).backward()
        return outputs, [x.grad for x in inputs[: 1 + states * (1 + (name == "LSTM"))]]

    for own, other in zip(run(dtrain, ours), run(torch, theirs)):
        for a, b in zip(own, other, strict=True):
            same(a, b)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(p.grad, q.grad)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_is_between_layers_only(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = getattr(dtrain.nn, name)(I, H, num_layers=1, dropout=0.9)
    x = dtrain.tensor(numbers(T, N, I), dtype=dtrain.float32)
    assert dtrain.equal(layer(x)[0], layer.eval()(x)[0])
    layer = getattr(dtrain.nn, name)(I, H, num_layers=2, dropout=0.9)
    assert not dtrain.equal(layer(x)[0], layer(x)[0])
    assert dtrain.equal(layer.eval()(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_weights_begin_within_pytorchs_bounds(name):
    dtrain.manual_seed(0)
    for param in getattr(dtrain.nn, name)(30, 64).parameters():
        values = param.detach().numpy()
        assert abs(values).max() <= 1 / 8
        assert values.std() == pytest.approx(1 / 8 / 3**0.5, rel=0.2)


# --- packing ---


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("tail", [(), (2,), (2, 3)], ids=str)
@pytest.mark.parametrize("lengths", [[4, 2, 1], [2, 4, 2], [3, 3, 3]], ids=str)
def test_packing_and_padding_are_pytorchs(lengths, tail, batch_first):
    x = numbers(3, 4, *tail) if batch_first else numbers(4, 3, *tail)
    options = {"batch_first": batch_first, "enforce_sorted": lengths != [2, 4, 2]}
    inputs = [t.tensor(x, requires_grad=True) for t in (dtrain, torch)]
    ours, theirs = (packed(t, x, lengths, **options) for t, x in zip((dtrain, torch), inputs))
    for a, b in zip(ours, theirs):
        assert (a is None) == (b is None)
        if a is not None:
            same(a, b)
    utils, others = dtrain.nn.utils.rnn, torch.nn.utils.rnn
    for more in ({}, {"total_length": 6}, {"padding_value": -1.5}, {"batch_first": True}):
        outs = utils.pad_packed_sequence(ours, **more), others.pad_packed_sequence(theirs, **more)
        for a, b in zip(*outs):
            same(a, b)
    for t, (out, _) in zip((dtrain, torch), outs):
        (out * t.tensor(numbers(*out.shape, seed=1))).sum().backward()
    same(inputs[0].grad, inputs[1].grad)
    for a, b in zip(utils.unpack_sequence(ours), others.unpack_sequence(theirs), strict=True):
        same(a, b)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_pad_sequence_is_pytorchs(side, batch_first):
    def run(t):
        parts = [t.tensor(numbers(n, 2)) for n in (2, 5, 3)]
        return t.nn.utils.rnn.pad_sequence(parts, batch_first, 2.0, side)

    same(run(dtrain), run(torch))


REFUSED = {
    "unsorted": lambda t: packed(t, t.ones(3, 2), [1, 3]),
    "empty": lambda t: packed(t, t.ones(3, 2), [3, 0]),
    "too few lengths": lambda t: packed(t, t.ones(3, 2), [3]),
    "no sequences": lambda t: t.nn.utils.rnn.pad_sequence([]),
    "side": lambda t: t.nn.utils.rnn.pad_sequence([t.ones(2)], padding_side="top"),
    "total_length": lambda t: t.nn.utils.rnn.pad_packed_sequence(
        packed(t, t.ones(3, 2), [3, 1]), total_length=2
    ),
    "dimensions": lambda t: t.nn.LSTM(2, 3)(t.ones(2, 2, 2, 2)),
    "dtype": lambda t: t.nn.GRU(2, 3)(t.ones(2, 2, 2, dtype=t.float64)),
    "width": lambda t: t.nn.RNN(2, 3)(t.ones(2, 2, 4)),
    "state": lambda t: t.nn.RNN(2, 3)(t.ones(2, 2, 2), t.ones(1, 1, 3)),
    "cell state": lambda t: t.nn.LSTM(2, 3)(t.ones(2, 2, 2), (t.ones(1, 2, 3), t.ones(2, 2, 3))),
    "no steps": lambda t: t.nn.GRU(2, 3)(t.ones(0, 2, 2)),
    "nonlinearity": lambda t: t.nn.RNN(2, 3, nonlinearity="sin"),
    "dropout": lambda t: t.nn.GRU(2, 3, dropout=1.5),
    "proj_size": lambda t: t.nn.LSTM(2, 3, proj_size=3),
    "hidden_size": lambda t: t.nn.LSTM(2, 0),
    "size of a tensor": lambda t: t.nn.LSTM(2.0, 3),
    "cell of 3 dimensions": lambda t: t.nn.LSTMCell(2, 3)(t.ones(1, 1, 2)),
    "cell width": lambda t: t.nn.GRUCell(2, 3)(t.ones(1, 3)),
    "states of a cell": lambda t: t.nn.GRUCell(2, 3)(t.ones(2, 2), t.ones(3, 3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_kind_of_error(name):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        REFUSED[name](torch)
    with pytest.raises(theirs.type):
        REFUSED[name](dtrain)
