"""The listings of a PyTorch course run as they stand, with dtrain in torch's place.

`course-notes.md` is the course's text. A listing that uses names of an earlier one, or of the
reader's, finds them in PRELUDE; only typing slips are mended.
"""

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import dtrain
from dtrain import nn

NOTES = (Path(__file__).parent / "course-notes.md").read_text()
LISTINGS = re.findall(r"```Python\n(.*?)```", NOTES, re.DOTALL)
SLIPS = {"ctx.save_tensors": "ctx.saved_tensors", "model.paramters()": "model.parameters()",
         "ParallelBlock(D_i,": "ParallelBlock(D_in,"}  # fmt: skip


def listing(first_words):
    """The only listing with these words, its slips mended."""
    (text,) = [text for text in LISTINGS if first_words in text]
    for slip, meant in SLIPS.items():
        text = text.replace(slip, meant)
    return text


def run(text, **names):
    names = {"__name__": "__main__", "torch": dtrain, "np": np, **names}
    exec(compile(text, "listing", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def dtrain_is_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", dtrain)
    monkeypatch.setitem(sys.modules, "torch.utils", dtrain.utils)
    monkeypatch.setitem(sys.modules, "torch.utils.data", dtrain.utils.data)


def test_tensors_from_data():
    names = run(listing("x_rand = torch.rand_like(x_data)"))
    assert names["x_data"].tolist() == names["x_np"].tolist() == [[1, 2], [3, 4]]
    assert names["x_ones"].tolist() == [[1, 1], [1, 1]]
    assert names["x_ones"].dtype == dtrain.int64
    assert names["x_rand"].dtype == dtrain.float32
    assert 0 <= float(names["x_rand"].min()) <= float(names["x_rand"].max()) < 1


def test_tensors_of_a_shape():
    names = run(listing("rand_tensor = torch.rand(shape)"))
    assert [names[n].shape for n in ("rand_tensor", "ones_tensor", "zeros_tensor")] == [(2, 3)] * 3


@pytest.mark.skipif(dtrain.cuda.is_available(), reason="this machine has a GPU")
def test_training_by_hand_says_that_there_is_no_gpu():
    with pytest.raises(RuntimeError, match="cuda:0: this machine shows 0 CUDA devices"):
        run(listing("grad_w2 = h_relu.t().mm(grad_y_pred)"))


def test_training_by_hand():
    names = run(listing("grad_w2 = h_relu.t().mm(grad_y_pred)").replace("cuda:0", "cpu"))
    assert float(names["loss"]) < 1


def test_training_by_autograd():
    names = run(listing("y_pred = x.mm(w1).clamp(min=0).mm(w2)\n    loss"))
    assert float(names["loss"]) < 1
    assert float(names["w1"].grad.abs().sum()) == 0


def printed_losses(capsys):
    return [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]


def test_a_new_function(capsys):
    sigmoid = run(listing("def sigmoid(x):\n    return"))["sigmoid"]
    assert float(sigmoid(dtrain.tensor(0.0))) == 0.5
    text = listing("if t % 50 == 0:")
    run(text, sigmoid=sigmoid)
    first, *rest = printed_losses(capsys)
    # As in PyTorch, exp overflows in some of the listing's 6,400 numbers: 0 * inf is NaN.
    assert math.isfinite(first)
    assert len(rest) == 9
    assert all(math.isnan(loss) for loss in rest)
    run(text.replace("64, 1000,", "64, 100,"), sigmoid=sigmoid)
    losses = printed_losses(capsys)
    assert losses == sorted(losses, reverse=True)


def test_a_new_autograd_function():
    custom = run(listing("class Sigmoid(torch.autograd.Function):"))["sigmoid"]
    plain = run(listing("def sigmoid(x):\n    return"))["sigmoid"]
    x, y = (dtrain.randn(5, generator=dtrain.Generator(1)).requires_grad_() for _ in range(2))
    custom(x).sum().backward()
    plain(y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-5)


def test_nn():
    names = run(listing("param -= learning_rate * param.grad"))
    assert float(names["loss"]) < 0.9
    assert all(p.grad is None for p in names["model"].parameters())


def test_optim():
    names = run(listing("# optimizer(Adam 사용)"))
    assert float(names["loss"]) < 0.1


def test_lr_scheduler():
    model = nn.Linear(4, 2)
    batches = [(dtrain.randn(3, 4), dtrain.randn(3, 2)) for _ in range(2)]
    names = run(
        listing("optim.lr_scheduler.ExponentialLR"),
        optim=dtrain.optim, model=model, dataset=batches, loss_fn=nn.MSELoss(),
    )  # fmt: skip
    assert math.isclose(names["optimizer"].param_groups[0]["lr"], 0.01 * 0.9**20)


def test_defining_modules():
    names = run(listing("class TwoLayerNet"))
    assert list(names["model"].state_dict()) == [
        "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
    ]  # fmt: skip
    assert math.isfinite(float(names["loss"]))


def test_a_parallel_block():
    names = run(listing("class ParallelBlock"))
    assert names["model"](names["x"]).shape == (64, 10)


def test_data_loaders():
    net = run(listing("class TwoLayerNet"))["TwoLayerNet"]
    names = run(listing("loader = DataLoader(TensorDataset(x,y), batch_size=8)"), TwoLayerNet=net)
    assert float(names["loss"]) < 1
    assert len(names["loader"]) == 8


def test_saving_and_loading(tmp_path):
    model, path = nn.Linear(3, 2), tmp_path / "model.pt"
    run(listing("torch.save(model.state_dict(), PATH)"), model=model, PATH=path)
    names = run(
        listing("model.load_state_dict(torch.load(PATH))"),
        NeuralNetwork=lambda: nn.Linear(3, 2), PATH=path,
    )  # fmt: skip
    assert names["model"].weight.tolist() == model.weight.tolist()


def test_a_static_graph():
    text = listing("@torch.jit.script")
    names = run(text)
    assert math.isfinite(names["prev_loss"])
    model, (x, y, w1, w2a, w2b) = names["model"], [names[n] for n in ("x", "y", "w1", "w2a", "w2b")]
    for prev_loss, taken, other in ((4.9, w2a, w2b), (5.0, w2b, w2a)):
        taken.grad = other.grad = None
        loss = model(x, y, w1, w2a, w2b, prev_loss)
        loss.backward()
        plain = (x.mm(w1).clamp(min=0).mm(taken) - y).pow(2).sum()
        assert loss.item() == plain.item()
        assert taken.grad is not None
        assert other.grad is None


def test_every_listing_is_tested_here():
    """The others need pretrained weights."""
    wanted = {t for t in LISTINGS if "torchvision" not in t}
    source = Path(__file__).read_text()
    called = [eval(words) for words in re.findall(r'listing\(\s*("[^"]*")', source)]
    tested = {text for words in called for text in LISTINGS if words in text}
    # The course gives the short sigmoid a second time, without its import.
    assert wanted - tested == {"def sigmoid(x):\n  return 1.0 / (1.0 + (-x).exp())\n"}
