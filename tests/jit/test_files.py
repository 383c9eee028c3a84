"""Scripts and traces in files: other branches and shapes, training on, refusals."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.errors import CompileError

torch = dtrain
STEPS = 3


def through_a_file(made):
    file = io.BytesIO()
    dtrain.jit.save(made, file)
    return dtrain.jit.load(file)


def require_same(first, second):
    if isinstance(first, dtrain.Tensor):
        assert first.requires_grad == second.requires_grad
        assert np.array_equal(first.detach().numpy(), second.detach().numpy())
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        require_same(list(first.values()), list(second.values()))
    elif isinstance(first, (list, tuple)):
        assert type(first) is type(second)
        assert len(first) == len(second)
        for a, b in zip(first, second):
            require_same(a, b)
    else:
        assert first == second


def shrink(x, factor: float = 2.0):
    return x / factor


def program(x, y, flag: bool = True):
    """Branches, loops, containers, keyword arguments, an early return."""
    found: list = []
    n = 0
    for i in range(STEPS):
        if x.sum() > y.sum() and flag:
            x = shrink(x, factor=4.0)
        elif n > 1:
            return x, found
        else:
            y = y * 2
            n += 1
        found.append(x.mean() + i)
    while x.abs().max() > 1:
        x = x / 2
    named = {"x": x[1:, None], "all": [t + 0 for t in found]}
    return torch.stack(named["all"]).sum() + F.relu(x).sum(), {"x": named["x"], "n": n}


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear, self.act, self.p = nn.Linear(n, n), F.gelu, 0.1
        self.scale = nn.Parameter(dtrain.ones(n))
        self.register_buffer("shift", dtrain.zeros(n))

    def gate(self, x):
        return torch.sigmoid(self.scale * x)

    def forward(self, x, gated=False):
        y = self.act(self.linear(x)) + self.shift
        if gated:
            y = self.gate(y)
        return x + F.dropout(y, self.p, self.training)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.blocks = nn.ModuleList([Block(8) for _ in range(2)])
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Sequential(nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))
        self.tied = self.first

    def forward(self, x, limit: float = 0.0):
        h = self.norm(self.first(x))
        for i, block in enumerate(self.blocks):
            h = block(h, gated=i > 0)
            if float(h.sum()) > limit:
                h = h * 0.9
        if h.mean() < 0:
            return self.head(-h)
        one = h[:, None]
        return self.head(h + self.attention(one, one, one)[0][:, 0])


def test_a_function_with_control_flow():
    scripted = dtrain.jit.script(program)
    loaded = through_a_file(scripted)
    for i in range(8):
        x, y = dtrain.randn(3 + i % 2, 4), dtrain.randn(3, 4)
        for given in ({}, {"flag": False}):
            expected = program(x, y, **given)
            require_same(scripted(x, y, **given), expected)
            require_same(loaded(x, y, **given), expected)


def test_a_module_with_control_flow_trains_on():
    model = Net()
    loaded = through_a_file(dtrain.jit.script(model))
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert loaded.tied is loaded.first
    for training in (False, True):
        model.train(training)
        loaded.train(training)
        for n in (2, 3, 5):
            x, state = dtrain.randn(n, 4), dtrain.get_rng_state()
            model.zero_grad()
            loaded.zero_grad()
            out = model(x)
            out.sum().backward()
            dtrain.set_rng_state(state)
            require_same(loaded(x), out)
            dtrain.set_rng_state(state)
            loaded.load_state_dict(model.state_dict())
            loaded(x).sum().backward()
            for mine, theirs in zip(loaded.parameters(), model.parameters()):
                assert (mine.grad is None) == (theirs.grad is None)
                if mine.grad is not None:
                    require_same(mine.grad, theirs.grad)


def test_a_branch_that_was_never_taken_is_in_the_file():
    def model(x, w1, w2, prev_loss):
        w = w1 if prev_loss < 5.0 else w2
        while x.abs().sum() > 100:
            x = x / 2
        return (x @ w).pow(2).sum()

    scripted = dtrain.jit.script(model)
    w1, w2 = dtrain.randn(3, 2), dtrain.randn(3, 2)
    for _ in range(3):
        scripted(dtrain.ones(4, 3), w1, w2, 1.0)
    loaded = through_a_file(scripted)
    for x, prev_loss in ((dtrain.ones(7, 3), 5.0), (dtrain.ones(2, 5, 3) * 9, 4.9)):
        require_same(loaded(x, w1, w2, prev_loss), model(x, w1, w2, prev_loss))


def test_a_traced_module():
    model = Net().eval()
    x = dtrain.randn(5, 4)
    with pytest.warns(dtrain.jit.TracerWarning):
        traced = dtrain.jit.trace(model, x)
    loaded = through_a_file(traced)
    assert list(loaded.state_dict()) == list(model.state_dict())
    require_same(loaded(x), traced(x))
    loaded(x).sum().backward()
    assert loaded.first.weight.grad is not None
    with pytest.raises(CompileError, match=r"expected inputs \['float32\[5, 4\]'\]"):
        loaded(dtrain.randn(2, 4))
    with dtrain.no_grad():
        assert not loaded(x).requires_grad


def test_draws_and_statistics_of_a_trace():
    def noisy(x):
        return F.dropout(x * 2, 0.5) + dtrain.randn(3)

    traced = dtrain.jit.trace(noisy, dtrain.ones(3))
    loaded = through_a_file(traced)
    dtrain.manual_seed(3)
    expected = noisy(dtrain.ones(3))
    dtrain.manual_seed(3)
    require_same(loaded(dtrain.ones(3)), expected)
    norm = nn.BatchNorm1d(4)
    loaded = through_a_file(dtrain.jit.trace(norm, dtrain.randn(5, 4)))
    norm.load_state_dict(loaded.state_dict())
    x = dtrain.randn(5, 4)
    require_same(loaded(x), norm(x))
    require_same(loaded.running_var, norm.running_var)


def test_a_number_is_an_input_of_a_trace():
    traced = dtrain.jit.trace(lambda k, x: x.clamp(min=k) * k, (2.0, dtrain.ones(3)))
    assert through_a_file(traced)(0.5, dtrain.ones(3)).tolist() == [0.5] * 3


def test_a_trace_that_writes_in_place():
    def writes(x, mask):
        y = x.clone()
        y[:, 1:] += x[:, :1]
        y.view(-1)[::2] *= 3
        y -= 1.5
        mask &= x > 0
        return y, mask

    x, mask = dtrain.randn(3, 4), dtrain.rand(3, 4) > 0.5
    traced = dtrain.jit.trace(writes, (x, mask.clone()))
    loaded = through_a_file(traced)
    for _ in range(3):
        x = dtrain.randn(3, 4)
        require_same(loaded(x, mask.clone()), writes(x, mask.clone()))


def test_other_values_choose_among_the_graphs_of_a_trace():
    loaded = through_a_file(dtrain.jit.trace(lambda x, n: x * n, (dtrain.ones(1), 2)))
    assert loaded(dtrain.ones(1), 2).tolist() == [2]
    with pytest.raises(CompileError, match=r"expected inputs \['float32\[1\]', '2'\]"):
        loaded(dtrain.ones(1), 3)


def test_a_trace_of_one_tensor_given_twice_is_not_one_of_two_tensors():
    x, y = dtrain.ones(1), dtrain.zeros(1)
    loaded = through_a_file(dtrain.jit.trace(lambda a, b: a + b, (x, x)))
    with pytest.raises(
        CompileError, match=r"expected inputs \['float32\[1\]', 'float32\[1\] again'"
    ):
        loaded(x, y)


def test_a_trace_of_one_tensor_given_twice_takes_one_tensor_given_twice():
    x, y = dtrain.ones(1), dtrain.zeros(1) + 3
    loaded = through_a_file(dtrain.jit.trace(lambda a, b, c: a - b * c, (x, y, x)))
    assert loaded(y, x, y).tolist() == [0]
    assert loaded(x, y, x).tolist() == [-2]
    with pytest.raises(CompileError, match=r"expected inputs"):
        loaded(x, y, y)


def test_the_class_need_not_be_at_hand(tmp_path):
    path = tmp_path / "net.dtg"
    model = Net().eval()
    dtrain.jit.script(model).save(path)
    x = dtrain.arange(8.0).reshape(2, 4) / 8
    text = "import dtrain, sys; m = dtrain.jit.load(sys.argv[1])\n" \
           "print(m(dtrain.arange(8.0).reshape(2, 4) / 8).tolist())"  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", text, path], capture_output=True, text=True)
    assert ran.stdout.strip() == str(model(x).tolist()), ran.stderr


def test_the_code_of_a_script():
    code = dtrain.jit.script(shrink).code
    assert code == "def shrink(x, factor=value):\n    return x / factor"


@pytest.fixture(scope="module")
def saved():
    file = io.BytesIO()
    dtrain.jit.save(dtrain.jit.script(Block(3)), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-20], "no complete file"),
        (lambda data: b"", "no complete file"),
        (lambda data: data.replace(b"gelu", b"relu"), "no complete file"),
        (lambda data: data.replace(b'"training": true', b'"training":false'), "no complete file"),
    ],
)
def test_damaged_files_are_refused(saved, damage, message):
    with pytest.raises(CompileError, match=message):
        dtrain.jit.load(io.BytesIO(damage(saved)))


def rewritten(data, change):
    """The file with another program, and the right checksums."""
    import hashlib

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    program = json.loads(entries["program.json"])
    change(program)
    entries["program.json"] = json.dumps(program).encode()
    sums = {n: hashlib.sha256(d).hexdigest() for n, d in entries.items() if n != "manifest.json"}
    entries["manifest.json"] = json.dumps(sums).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out


def replace_text(text):
    def change(program):
        program["functions"][0]["text"] = text

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(version=99), "has version 99.*reads versions up to 1: update dtrain"),
        (lambda p: p.update(format="other"), "not a file of dtrain.jit.save"),
        (replace_text("def f(x):\n    import os"), "Import is not supported"),
        (replace_text("def f(x):\n    return x.__class__"), "`__class__` is not supported"),
        (replace_text("def f(x):\n    return x.numpy()"), "`numpy` is not supported"),
        (replace_text("def f(x):\n    return __builtins__"), "`__builtins__` is not supported"),
        (replace_text("print(1)"), "is not one function"),
        (replace_text("def f(x=(yield)): pass"), "is not"),
        (lambda p: p["functions"][0]["table"].update(_q=["function", "os.system"]), "'os.system'"),
        (lambda p: p["functions"][0]["table"].update(_q=["function", "load"]), "'load'"),
        (lambda p: p["functions"][0]["table"].update(_q=["eval", "1"]), "unknown kind, 'eval'"),
        (lambda p: p["modules"][1].update({"class": "Popen"}), "'Popen', which is no layer"),
        (lambda p: p["modules"][0]["attributes"].update(__class__=1), "a name is expected"),
        (lambda p: p.pop("modules"), "not in the form that save writes"),
    ],
)
def test_files_that_could_do_more_than_compute_are_refused(saved, change, message):
    with pytest.raises(CompileError, match=message):
        dtrain.jit.load(rewritten(saved, change))


def reads_a_file(x):
    return open(x)


def leaves_for_numpy(x):
    y = x * 2
    return y.numpy()


def uses_a_class(x):
    return nn.Linear(2, 2)(x)


class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.thing = object()

    def forward(self, x):
        return x if self.thing else -x


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (reads_a_file, r"test_files.py:\d+: 'open' cannot be written"),
        (leaves_for_numpy, r"test_files.py:\d+: the attribute `numpy` is not supported"),
        (uses_a_class, r"test_files.py:\d+: 'Linear' cannot be written"),
        (Keeps(), "Keeps.thing: 'object' cannot be written"),
    ],
)
def test_what_cannot_be_saved_is_named(made, message):
    with pytest.raises(CompileError, match=message):
        dtrain.jit.save(dtrain.jit.script(made), io.BytesIO())


def test_only_scripts_and_traces_are_saved():
    with pytest.raises(TypeError, match="expected a function or module from script or trace"):
        dtrain.jit.save(Net(), io.BytesIO())


def test_frozen_modules():
    model = Net().eval()
    frozen = dtrain.jit.freeze(dtrain.jit.script(model))
    x = dtrain.randn(2, 4)
    assert not frozen(x).requires_grad
    assert np.array_equal(frozen(x).numpy(), model(x).detach().numpy())
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(RuntimeError, match="call eval"):
        dtrain.jit.freeze(dtrain.jit.script(Net()))


def test_extra_files():
    file, extra = io.BytesIO(), {"labels": b""}
    dtrain.jit.save(dtrain.jit.script(shrink), file, _extra_files={"labels": "a b"})
    dtrain.jit.load(file, _extra_files=extra)
    assert extra == {"labels": b"a b"}
