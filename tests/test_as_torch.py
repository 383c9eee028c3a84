"""`import torch` served by dtrain: modules, missing names, and programs run as Python runs them."""

import importlib
import pickle
import sys
import types

import pytest

import dtrain
from dtrain.as_torch import serve_torch
from dtrain.as_torch.advice import ADVICE, explain_missing
from dtrain.as_torch.paths import ALIASES, find_module
from dtrain.errors import LaunchError, MissingModuleError, MissingNameError


@pytest.fixture
def torch(served_torch):
    return importlib.import_module("torch")


def test_modules_of_pytorchs_paths_are_dtrains(torch):
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.modules.conv import Conv2d, _ConvNd
    from torch.utils.data.dataloader import DataLoader, default_collate

    assert F is dtrain.nn.functional
    assert nn is torch.nn is dtrain.nn
    assert Conv2d is dtrain.nn.Conv2d
    assert issubclass(Conv2d, _ConvNd)
    assert DataLoader is dtrain.data.DataLoader
    assert default_collate is dtrain.data.default_collate
    assert isinstance(torch.ones(2), torch.Tensor)


@pytest.mark.parametrize("path", ALIASES)
def test_each_path_of_the_table_is_importable_from_dtrain_too(path):
    assert importlib.import_module(f"dtrain.{path}") is find_module(path)


def test_names_below_nn_modules_need_no_import(torch):
    assert torch.nn.modules.batchnorm._BatchNorm is dtrain.nn.BatchNorm1d.__mro__[1]
    assert torch.nn.modules.rnn.GRUCell is dtrain.nn.GRUCell
    assert torch.nn.modules.Linear is dtrain.nn.Linear
    assert torch.nn.modules.utils._pair(3) == torch.nn.modules.utils._pair([3, 3]) == (3, 3)


def test_importing_a_module_leaves_a_function_of_its_name_in_place(torch):
    importlib.import_module("torch.autograd.gradcheck")
    assert torch.autograd.gradcheck.__name__ == dtrain.autograd.gradcheck.__name__ == "gradcheck"
    assert callable(dtrain.autograd.gradcheck)


def test_the_version_says_that_it_is_dtrain(torch):
    assert torch.__version__ == torch.version.__version__ == f"2.13.0+dtrain.{dtrain.__version__}"
    assert tuple(int(n) for n in torch.__version__.split("+")[0].split(".")) >= (2, 0, 0)
    assert torch.version.cuda is None or dtrain.cuda.is_available()
    assert dtrain.__version__ == "0.1.0"


def test_all_public_names_are_there_and_internal_packages_are_not(torch):
    names = {}
    exec("from torch import *", names)
    assert set(names) >= set(dtrain.__all__) - {"errors", "vision"}
    assert {"nn", "version"} <= set(dir(torch))
    assert not hasattr(torch, "primitives")
    with pytest.raises(MissingModuleError, match=r"^dtrain has no torch\.primitives: "):
        importlib.import_module("torch.primitives")


def test_pickles_name_classes_that_both_find(torch):
    layer = pickle.loads(pickle.dumps(torch.nn.Linear(2, 3)))
    assert type(layer) is torch.nn.Linear is dtrain.nn.Linear


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("torch.linalg.relu", "dtrain has no torch.linalg.relu: torch.relu is there"),
        ("torch.nn.Softmx", "dtrain has no torch.nn.Softmx: did you mean torch.nn.Softmax?"),
        (
            "torch.linalg.eigvals",
            "dtrain has no torch.linalg.eigvals: linalg.eigh and eigvalsh are",
        ),
        (
            "torch.testing.assert_allclose",
            "dtrain has no torch.testing.assert_allclose: call assert_c",
        ),
        ("torch.zzz", "dtrain has no torch.zzz: write it with the operations that are there"),
        ("torch.nn.modules.conv.Conv2", "dtrain has no torch.nn.modules.conv.Conv2: did you mean"),
    ],
)
def test_a_missing_name_says_what_to_do(torch, statement, message):
    with pytest.raises(MissingNameError) as refused:
        eval(statement, {"torch": torch})
    assert str(refused.value).startswith(message)
    assert isinstance(refused.value, AttributeError)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("import torch.fx", "dtrain has no torch.fx: no graph"),
        ("from torch.fx import Graph", "dtrain has no torch.fx: no graph"),
        ("from torch import vmap", "dtrain has no torch.vmap: write the batch dimension out"),
        ("from torch.linalg import relu", "dtrain has no torch.linalg.relu: torch.relu is there"),
        ("from dtrain.linalg import relu", "dtrain has no torch.linalg.relu: torch.relu is there"),
        ("from dtrain.nn import Softmx", "dtrain has no torch.nn.Softmx: did you mean"),
        (
            "import torchvision.ops",
            "dtrain has no torchvision.ops: write it with torch's operations",
        ),
        (
            "from torchvision.transforms import AutoAugment",
            "dtrain has no torchvision.transforms.AutoAugment: write it as a function",
        ),
        (
            "from torchvision.models import vit_b_16",
            "dtrain has no torchvision.models.vit_b_16: AlexNet, VGG, ResNet and MobileNetV2 are there",
        ),
        (
            "import torchvision.transforms.v2",
            "dtrain has no torchvision.transforms.v2: use the names",
        ),
    ],
)
def test_a_missing_import_says_what_to_do(torch, statement, message):
    with pytest.raises(ImportError) as refused:
        exec(statement)
    assert isinstance(refused.value, MissingModuleError)
    assert str(refused.value).startswith(message)


def test_other_packages_are_left_as_they_are(tmp_path, monkeypatch):
    (tmp_path / "other_package").mkdir()
    for name in ("__init__", "nn", "distributed"):
        (tmp_path / "other_package" / f"{name}.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("other_package.nn", "other_package.distributed"):
        module = importlib.import_module(name)
        assert not hasattr(module, "__getattr__")
        with pytest.raises(AttributeError, match=f"^module '{name}' has no attribute 'fsdp'"):
            module.fsdp  # noqa: B018


def test_hasattr_is_false_for_missing_names(torch):
    import torchvision

    assert not hasattr(torch, "vmap")
    assert not hasattr(dtrain.nn, "Nothing")
    assert not hasattr(dtrain, "__wrapped__")
    assert not hasattr(torchvision, "io")
    assert torchvision.models.resnet18 is dtrain.models.resnet18
    assert torchvision.transforms.Compose is dtrain.vision.transforms.Compose
    assert not hasattr(torchvision.transforms, "AutoAugment")
    with pytest.raises(MissingNameError, match=r"models.ResNet18_Weights: AlexNet, VGG, ResNet"):
        torchvision.models.ResNet18_Weights.DEFAULT  # noqa: B018
    assert hasattr(dtrain, "bfloat16")
    with pytest.raises(MissingNameError, match=r"dtrain has no torch.compiler.set_stance"):
        dtrain.compiler.set_stance("force_eager")
    with pytest.raises(MissingNameError, match=r"dtrain has no torch.jit.set_fusion_strategy"):
        dtrain.jit.set_fusion_strategy([("STATIC", 2)])
    with pytest.raises(MissingNameError, match=r"dtrain has no torch.distributions.Wishart"):
        dtrain.distributions.Wishart  # noqa: B018
    x = dtrain.zeros(1)
    with pytest.raises(
        MissingNameError, match=r"Tensor.share_memory_: no tensor is shared between"
    ):
        x.share_memory_()
    with pytest.raises(AttributeError, match=r"^'Tensor' object has no attribute 'nothing'"):
        x.nothing  # noqa: B018


def test_modules_that_are_no_namespace_of_pytorch_are_left_to_python():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'dtrain\.models\.nothing'$"):
        importlib.import_module("dtrain.models.nothing")


def test_advice_is_only_for_names_that_are_not_there():
    there = [name for name in ADVICE if _resolves(name)]
    assert not there
    assert all("dtrain has no" not in text for text in ADVICE.values())
    assert explain_missing("torch.fx.wrap").startswith("dtrain has no torch.fx.wrap: no graph")


def _resolves(name):
    value = dtrain
    for part in name.split(".")[1:]:
        value = getattr(value, part, None)
    is_name = value is not None and not isinstance(value, types.ModuleType)
    return is_name and not name.startswith("torchvision")


def test_where_pytorch_is_imported_it_is_refused(served_torch, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", served_torch.meta_path)
    monkeypatch.setitem(sys.modules, "torch", dtrain.nn)
    with pytest.raises(LaunchError, match="PyTorch is imported already"):
        serve_torch()


PROGRAM = """\
import argparse, pickle, sys
import torch
class Net(torch.nn.Linear):
    pass
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
if __name__ == "__main__":
    again = pickle.loads(pickle.dumps(Net(2, 2)))
    print(type(again) is Net, parser.prog, lr, sys.argv, sys.path[0], __file__, __spec__ is None)
    def fail():
        raise KeyError("lost")
    if lr:
        fail()
"""


def test_a_script_runs_as_under_python(run_python, tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    process = run_python("-m", "dtrain.as_torch", "train.py", "--lr", "0.5")
    file = str(tmp_path / "train.py")
    argv = ["train.py", "--lr", "0.5"]
    assert process.stdout == f"True train.py 0.5 {argv} {tmp_path} {file} True\n"
    assert process.returncode == 1
    frames = [line for line in process.stderr.splitlines() if line.startswith("  File")]
    assert frames == [f'  File "{file}", line {n}' + f", in {name}" for n, name in
                      ((14, "<module>"), (12, "fail"))]  # fmt: skip
    assert process.stderr.endswith("KeyError: 'lost'\n")


def test_a_module_runs_as_under_python(run_python, tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    process = run_python("-m", "dtrain.as_torch", "-m", "train", "--lr", "0")
    file = str(tmp_path / "train.py")
    assert process.returncode == 0, process.stderr
    assert f"0.0 {[file, '--lr', '0']} {tmp_path} {file} False\n" in process.stdout


def test_a_program_that_is_not_there_is_refused(run_python):
    process = run_python("-m", "dtrain.as_torch", "nothing.py")
    assert process.returncode == 2
    assert process.stderr == (
        "dtrain.as_torch: nothing.py: no such file; give a Python file, or -m module\n"
    )
    assert run_python("-m", "dtrain.as_torch").stderr.startswith("usage: ")


@pytest.mark.slow
def test_run_and_debug_serve_torch_to_all_ranks(run_python, tmp_path):
    (tmp_path / "train.py").write_text(
        "import sys, torch\nfrom dtrain import distributed as d\n"
        "print('rank', d.rank(), torch.ones(2).sum().item(), sys.argv[1:], __name__)\n"
    )
    for command in ("run", "debug"):
        options = (command, "-n", 2, "--as-torch", "train.py", "--x", 1)
        process = run_python("-m", "dtrain.cli", *options)
        assert process.returncode == 0, process.stderr
        for rank in (0, 1):
            assert f"rank {rank} 2.0 ['--x', '1'] __main__" in process.stdout
