"""`dtrain check`: which uses of PyTorch's names it lists, and that it runs nothing."""

import pytest

from dtrain.check import check_paths, check_source


def found(source):
    return [(finding.line, finding.text.partition(": ")[0]) for finding in check_source(source)]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import torch\n\ntorch.fx.wrap(f)", "torch.fx.wrap"),
        ("import torch as t\n\nt.nn.functional.relux(x)", "torch.nn.functional.relux"),
        ("import torch.nn.functional as F\n\nF.relux(x)", "torch.nn.functional.relux"),
        ("from torch import nn\n\nclass A(nn.Modulex): pass", "torch.nn.Modulex"),
        ("from torch.nn import functional as F\n\ny = [F.relux(v) for v in x]", "torch.nn.functional.relux"),
        ("def f():\n    import torch\n    return torch.vmap", "torch.vmap"),
        ("import torch\ntry: pass\nexcept torch.Nothing: pass", "torch.Nothing"),
        ("import torch\n\ntorch.Tensor.chalf(x)", "torch.Tensor.chalf"),
        ("import torch\n\ny = torch.zeros(3).chalf()", "torch.Tensor.chalf"),
        ("import torch\n\ndef f(x: torch.ComplexType = torch.pi): pass", "torch.ComplexType"),
        ("\n\nimport torch.fx", "torch.fx"),
        ("\n\nfrom torch.fx import Graph", "torch.fx.Graph"),
        ("\n\nfrom torchvision import ops", "torchvision.ops"),
        ("import dtrain as torch\n\ntorch.vmap(f)", "torch.vmap"),
        ("import torch\n\ntorch.nn.modules.utils._pairs", "torch.nn.modules.utils._pairs"),
    ],
)  # fmt: skip
def test_a_missing_name_is_listed_with_its_line(source, name):
    assert found(source) == [(3, f"dtrain has no {name}")]


@pytest.mark.parametrize(
    "source",
    [
        "import torch, torchvision\ntorch.nn.Linear(2, 3); torchvision.models.resnet18; torch.version.cuda",
        "from torch.nn.modules.batchnorm import _BatchNorm\nfrom torch.nn.modules.utils import _pair",
        "import torch\ntorch.newaxis, torch.bfloat16, torch.zeros(3).numpy(), torch.Tensor.grad",
        "import torch\nif hasattr(torch, 'vmap'):\n    torch.vmap(f)",
        "import torch\ng = getattr(torch, 'vmap', None) and torch.vmap",
        "try:\n    from torch.fx import Graph\nexcept ImportError:\n    Graph = None\nGraph.x",
        "try:\n    import torch.fx as fx\nexcept (ImportError, OSError):\n    fx = None\nfx.Graph",
        "import torch\ntry:\n    torch.vmap\nexcept AttributeError:\n    pass",
        "import torch\ndef f(torch):\n    return torch.vmap",
        "import torch\ndef f():\n    torch = make()\n    return torch.vmap",
        "import torch.nn.functional as F\nF = make()\nF.nothing",
        "from .torch import fx\nimport numpy as torch\ntorch.fx",
        "import torch\ntorch.is_tensor(x).nothing.more\nx.chalf()\ntorch.ones.nothing",
        "import torch\ntorch.utils.data.DataLoader(d, num_workers=2, pin_memory=True)",
        "import torch\ntorch.nn.Conv2d(1, 2, 3, padding_mode='zeros', **options)",
        "import torchrec.fx, numpy\nnumpy.torch.fx",
        "import torch\ntorch.cat([x, y], axis=1), torch.sum(x, axis=0, keepdims=True)",
        "from torch.optim.lr_scheduler import _LRScheduler\n_LRScheduler(o)",
    ],
)  # fmt: skip
def test_what_is_there_guarded_or_not_certain_is_not_listed(source):
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("torch.load(f, mmap=True)", "dtrain's torch.load has no argument 'mmap': leave it out"),
        ("torch.nn.Linear(2, 3, foo=1)", "dtrain's torch.nn.Linear has no argument 'foo': leave it out"),
        ("torch.linalg.relu(x)", "dtrain has no torch.linalg.relu: torch.relu is there"),
    ],
)  # fmt: skip
def test_what_is_otherwise_says_what_to_do(source, text):
    (finding,) = check_source(f"import torch\nx = {source}", "train.py")
    assert str(finding) == f"train.py:2:5: {text}"


def test_a_scope_ends_with_its_function():
    source = (
        "import torch\ndef f(torch, *args):\n    g = lambda torch: torch.a\n    return torch.b\n"
    )
    assert found(source + "torch.vmap") == [(5, "dtrain has no torch.vmap")]


def test_guards_cover_their_own_statements_alone():
    source = (
        "import torch\ntry:\n    pass\nexcept AttributeError:\n    torch.vmap\n"
        "try:\n    torch.fx\nexcept ValueError:\n    pass\n"
    )
    assert [line for line, _ in found(source)] == [5, 7]


def test_unreadable_files_are_named_and_do_not_stop_the_others(run_python, tmp_path):
    for name, text in {
        "a.py": "import torch\nraise SystemExit(torch.vmap)\n",
        "b.py": "def broken(:\n",
        "c.py": "import torch\ntorch.ones(2)\n",
        "d.txt": "import torch.fx",
        "null.py": "x = '\0'",
        ".git/e.py": "import torch.fx",
        "env/pyvenv.cfg": "",
        "env/f.py": "import torch.fx",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    process = run_python("-m", "dtrain.cli", "check", ".", "a.py")
    assert process.returncode == 1
    assert process.stdout == (
        "a.py:2:18: dtrain has no torch.vmap: write the batch dimension out: operations broadcast\n"
        "2 files: 1 to change, 2 not read\n"
    )
    assert "b.py:1: cannot be parsed: " in process.stderr
    assert "null.py" in process.stderr
    report = check_paths([tmp_path / "c.py"])
    assert (report.files, report.findings, report.unread) == (1, [], [])


def test_a_path_that_does_not_exist_is_refused_before_any_is_read(tmp_path):
    (tmp_path / "a.py").write_text("import torch.fx")
    with pytest.raises(FileNotFoundError, match=r"nothing\.py: no such file or folder"):
        check_paths([tmp_path / "a.py", tmp_path / "nothing.py"])
