"""Small programs as PyTorch's users write them: run with torch and with dtrain, to one outcome."""

import copy
import math
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
import dtrain.optim.swa_utils  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore::UserWarning")]


def drawn(t, *shape, seed=0):
    return t.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def filled(t, model):
    with t.no_grad():
        for seed, param in enumerate(model.parameters()):
            param.copy_(0.3 * drawn(t, *param.shape, seed=seed + 1))
    return model


def transfer(t):
    """A frozen body under a new head; the body thaws after two steps."""
    nn = t.nn
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    filled(t, model)[:2].requires_grad_(False)
    head = [p for p in model.parameters() if p.requires_grad]
    optimizer = t.optim.SGD(head, lr=0.1, momentum=0.9, weight_decay=0.01)
    losses = []
    for step in range(4):
        if step == 2:
            model.requires_grad_(True)
            optimizer.add_param_group({"params": model[:2].parameters(), "lr": 1e-3})
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            model(drawn(t, 6, 4, seed=step)), t.tensor([0, 1, 2] * 2), label_smoothing=0.1
        )
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses += [loss.item(), norm.item()]
    return losses, model.state_dict(), [len(group["params"]) for group in optimizer.param_groups]


def language_model(t):
    """Words in packed sequences through an LSTM; the output shares the table's weight."""
    nn = t.nn

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, 5, padding_idx=0)
            self.recurrent = nn.LSTM(5, 5, num_layers=2, batch_first=True)
            self.out = nn.Linear(5, 7, bias=False)
            self.out.weight = self.table.weight
            self.register_buffer("seen", t.zeros((), dtype=t.int64))
            self.scratch = nn.Buffer(t.ones(2), persistent=False)

        def forward(self, words, lengths):
            self.seen += len(words)
            rnn = nn.utils.rnn
            packed = rnn.pack_padded_sequence(
                self.table(words), lengths, batch_first=True, enforce_sorted=False
            )
            out, (last, _) = self.recurrent(packed)
            return self.out(rnn.pad_packed_sequence(out, batch_first=True)[0]), last

    model = filled(t, Words())
    optimizer = t.optim.Adam(model.parameters(), lr=0.01)
    words = t.tensor([[1, 2, 3, 4], [5, 6, 0, 0], [1, 1, 2, 0]])
    for _ in range(3):
        logits, _ = model(words, [4, 2, 3])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), words.view(-1), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    again = copy.deepcopy(model)
    return loss, model.state_dict(), again.out.weight is again.table.weight, repr(model)


def translation(t):
    """A Transformer with a causal mask and padding."""
    nn = t.nn
    model = filled(t, nn.Transformer(8, 2, 2, 2, 16, 0.0, batch_first=True))
    source, target = drawn(t, 2, 5, 8), drawn(t, 2, 4, 8, seed=1)
    padding = t.tensor([[False] * 5, [False] * 3 + [True] * 2])
    out = model(
        source, target, tgt_mask=nn.Transformer.generate_square_subsequent_mask(4),
        src_key_padding_mask=padding, memory_key_padding_mask=padding, tgt_is_causal=True,
    )  # fmt: skip
    out.square().mean().backward()
    return out, [p.grad for p in model.parameters()]


def averages(t):
    """Three averages of a model, and BatchNorm's statistics for one of them."""
    utils = t.optim.swa_utils
    model = filled(t, t.nn.Sequential(t.nn.Linear(3, 3), t.nn.BatchNorm1d(3)))
    averaged = [
        utils.AveragedModel(model),
        utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(0.9)),
        utils.AveragedModel(model, avg_fn=utils.get_ema_avg_fn(0.5), use_buffers=True),
    ]
    optimizer = t.optim.SGD(model.parameters(), 0.01)
    for step in range(4):
        model(drawn(t, 4, 3, seed=step)).pow(3).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        for average in averaged:
            average.update_parameters(model)
    utils.update_bn([drawn(t, 4, 3, seed=seed) for seed in range(3)], averaged[0])
    return [average.state_dict() for average in averaged]


def warm_up(t):
    """A linear warm-up, then a cosine, then a function of one's own."""
    schedules = t.optim.lr_scheduler
    param = t.nn.Parameter(t.zeros(2))
    optimizer = t.optim.AdamW([param], 1e-3)
    parts = [
        schedules.LinearLR(optimizer, 0.1, total_iters=5),
        schedules.CosineAnnealingLR(optimizer, 20),
    ]
    schedule, rates = schedules.SequentialLR(optimizer, parts, [5]), []
    for _ in range(20):
        param.grad = t.ones(2)
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    own = schedules.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10))
    for _ in range(5):
        optimizer.step()
        own.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates, param


def hooked(t):
    """Hooks of modules, of a tensor, and one that is there for a while."""
    nn, seen = t.nn, []
    model = filled(t, nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    model[2].register_full_backward_hook(lambda m, i, o: seen.append(("back", tuple(i[0].shape))))
    model[0].weight.register_hook(lambda grad: 2 * grad)
    model[0].bias.register_post_accumulate_grad_hook(lambda p: seen.append(tuple(p.grad.shape)))
    with model[0].register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape))):
        model(drawn(t, 5, 3)).sum().backward()
    model(drawn(t, 5, 3))
    return seen, model[0].weight.grad


def diagonals(t):
    shapes = [(3, 3), (7, 3), (3, 5), (3, 3, 3)]
    x = drawn(t, 3, 3).requires_grad_()
    (x * 2).fill_diagonal_(1).sum().backward()
    return [
        t.zeros(shape).fill_diagonal_(5, wrap) for shape in shapes for wrap in (False, True)
    ], x.grad


def graphs(t):
    x = drawn(t, 3).requires_grad_()
    y, z = x * 2, x * 3
    y.retain_grad()
    z.detach_()
    with t.inference_mode():
        modes = t.is_inference_mode_enabled(), (x * 2).requires_grad
    return (
        y.retains_grad,
        x.retains_grad,
        z.is_leaf,
        z.requires_grad,
        modes,
        t.is_inference_mode_enabled(),
    )


def numbers_of_math(t):
    return [t.pi, t.e, t.inf, math.isnan(t.nan), t.newaxis, isinstance(t.float32, t.dtype)]


def named_and_hooked_steps(t):
    """An optimizer that knows its parameters' names, with hooks around its steps."""
    model, seen = filled(t, t.nn.Linear(3, 2)), []
    optimizer = t.optim.Adam(model.named_parameters(), lr=0.1, differentiable=False)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", len(args))))
    last = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    for _ in range(2):
        optimizer.zero_grad()
        model(drawn(t, 5, 3)).square().sum().backward()
        optimizer.step()
        last.remove()
    state = optimizer.state_dict()
    again = t.optim.Adam(model.parameters())
    again.load_state_dict(state)
    refused = []
    for more in ({"params": [t.ones(1)]}, {"params": [("a", t.ones(1)), t.ones(1)]}):
        with pytest.raises(ValueError, match="names"):
            optimizer.add_param_group(more)
        refused.append(len(optimizer.param_groups))
    names = [group["param_names"] for group in (*state["param_groups"], *again.param_groups)]
    return seen, names, model.state_dict(), refused


PROGRAMS = [
    transfer, language_model, translation, averages, warm_up, hooked, diagonals, graphs,
    numbers_of_math, named_and_hooked_steps,
]  # fmt: skip


def assert_same(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert (ours.shape, ours.requires_grad) == (tuple(theirs.shape), theirs.requires_grad)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-4, atol=1e-5
        )
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        assert_same(list(ours.values()), list(theirs.values()))
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for own, other in zip(ours, theirs):
            assert_same(own, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=2e-4)
    else:
        assert ours == theirs


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_does_what_it_does_with_pytorch(program):
    assert_same(program(dtrain), program(torch))


# --- printing ---


def printed(seed):
    rng = np.random.default_rng(seed)
    shapes = [
        (),
        (3,),
        (2, 3),
        (2, 0, 3),
        (40,),
        (3, 40),
        (2, 3, 9),
        (1200,),
        (600, 3),
        (3, 4, 200),
        (0,),
    ]
    x = np.asarray(rng.normal(size=shapes[seed % len(shapes)]) * 10.0 ** rng.integers(-6, 9))
    if seed % 3 == 0:
        x = np.round(x)
    if seed % 5 == 0 and x.size:
        x.flat[0] = [np.nan, np.inf, -np.inf, 0][seed % 4]
        return x.astype(np.float32)
    return x.astype([np.float32, np.int64, np.bool_][seed % 3 if seed % 2 else 0])


OPTIONS = [{}, {"precision": 2}, {"edgeitems": 1, "threshold": 5}, {"linewidth": 40}, {"sci_mode": True},
           {"sci_mode": False}, {"profile": "short"}]  # fmt: skip


def looks(tensor):
    """Its repr; a dtype may stand in a line of its own for the length of PyTorch's name of it."""
    return re.sub(r",\s+dtype=", ", dtype=", repr(tensor).replace("torch.", ""))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_tensors_look_as_in_pytorch(options):
    try:
        for t in (dtrain, torch):
            t.set_printoptions(**options)
        for seed in range(120):
            ours, theirs = (looks(t.tensor(printed(seed))) for t in (dtrain, torch))
            assert ours == theirs
    finally:
        for t in (dtrain, torch):
            t.set_printoptions(profile="default")
