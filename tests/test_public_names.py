"""The public face: sorted lists of names that exist, and documentation for each."""

import importlib
import importlib.util
import inspect
import pkgutil
import re

import pytest

import dtrain

PACKAGES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(dtrain.__path__, "dtrain.")
    if module.ispkg and not module.name.endswith("__main__")
]
FACES = [package for package in (dtrain, *PACKAGES) if hasattr(package, "__all__")]
by_name = pytest.mark.parametrize("package", FACES, ids=lambda package: package.__name__)


def isort_key(name):
    """CONSTANTS, then Classes, then functions, numbers by their size, as ruff sorts them."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, [(part.zfill(9) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]


@by_name
def test_exports_exist_and_are_sorted(package):
    names = list(package.__all__)
    assert all(hasattr(package, name) for name in names)
    assert names == sorted(names) or names == sorted(names, key=isort_key)
    assert len(set(names)) == len(names)


@by_name
def test_everything_public_says_what_it_is(package):
    silent = [
        name
        for name in package.__all__
        if (inspect.isfunction(v := getattr(package, name)) or inspect.isclass(v)) and not v.__doc__
    ]
    assert not silent


def test_pytorchs_paths_resolve():
    assert dtrain.utils.data.DataLoader is dtrain.data.DataLoader
    assert dtrain.nn.functional.cross_entropy
    assert dtrain.optim.lr_scheduler.ExponentialLR
    assert dtrain.float is dtrain.float32
    assert isinstance(dtrain.cuda.is_available(), bool)


def test_every_module_says_what_it_is():
    for module in pkgutil.walk_packages(dtrain.__path__, "dtrain."):
        compiled = module.name.startswith("dtrain.backend.kernels.cpu.")
        if module.name.endswith("__main__") or (compiled and not importlib.util.find_spec("numba")):
            continue
        assert importlib.import_module(module.name).__doc__, module.name
