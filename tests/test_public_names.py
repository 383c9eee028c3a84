"""The public face: sorted lists of names that exist, and documentation for each."""

import ast
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import re

import pytest

import dtrain
from dtrain.as_torch.paths import ALIASES

PACKAGES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(dtrain.__path__, "dtrain.")
    if module.ispkg and not module.name.endswith("__main__")
]


def reexports(package):
    """The names in `from module import A as A` of a package's __init__.py, a list a statement."""
    tree = ast.parse(inspect.getsource(package))
    statements = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    lists = [[alias.name for alias in s.names if alias.asname == alias.name] for s in statements]
    return [names for names in lists if names]


def public_names(package):
    return getattr(package, "__all__", None) or list(itertools.chain(*reexports(package)))


FACES = [package for package in (dtrain, *PACKAGES) if public_names(package)]
by_name = pytest.mark.parametrize("package", FACES, ids=lambda package: package.__name__)


def isort_key(name):
    """CONSTANTS, then Classes, then functions, numbers by their size, as ruff sorts imports."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    parts = re.split(r"(\d+)", name.casefold())
    return kind, [part.zfill(9) if part.isdigit() else part for part in parts]


@by_name
def test_exports_exist_and_are_sorted(package):
    names = public_names(package)
    assert all(hasattr(package, name) for name in names)
    assert len(set(names)) == len(names)
    for listed in [names] if hasattr(package, "__all__") else reexports(package):
        assert listed == sorted(listed) or listed == sorted(listed, key=isort_key)


@by_name
def test_a_package_shows_only_its_exports_and_its_modules(package):
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    shown = {name for name in vars(package) if not name.startswith("_")}
    modules |= {path.rpartition(".")[2] for path in ALIASES}  # set by those that import them
    assert shown - modules <= set(public_names(package))


@by_name
def test_everything_public_says_what_it_is(package):
    silent = [
        name
        for name in public_names(package)
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
