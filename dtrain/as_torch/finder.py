"""The import hook: `torch` and the modules below it are dtrain's; missing names say what to do.

`import dtrain` installs it for `dtrain.*`, whose modules have PyTorch's paths, too
(`dtrain.nn.modules.conv`); `serve_torch` installs it for `torch.*` and `torchvision.*`.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, NoReturn

import dtrain
from dtrain.as_torch.advice import ADVICE, explain_missing
from dtrain.as_torch.paths import (
    ALIASES,
    NAMESPACES,
    OWN,
    TORCHVISION,
    find_module,
    has_module,
)
from dtrain.errors import LaunchError, MissingModuleError, MissingNameError

#: The release of PyTorch whose names and behaviour dtrain has.
TORCH_RELEASE = "2.13.0"


def serve_torch() -> None:
    """Let `import torch`, and imports of modules below it, give dtrain from now on.

    Raises
    ------
    LaunchError
        If PyTorch itself is imported already: its tensors and dtrain's would be mixed up.
    """
    loaded = sys.modules.get("torch")
    if any(isinstance(finder, _TorchFinder) for finder in sys.meta_path):
        return
    if loaded is not None:
        raise LaunchError(
            f"PyTorch is imported already (from {getattr(loaded, '__file__', 'a built-in')}), so "
            "dtrain cannot serve `import torch`: call serve_torch() before anything imports torch"
        )
    sys.meta_path.insert(0, _TorchFinder())
    # Importing a module sets an attribute of its package; a function may have the same name, as
    # autograd.gradcheck has. So the modules that are loaded are not imported again.
    for name, module in list(sys.modules.items()):
        package, _, path = name.partition(".")
        if package == "dtrain" and path and path.partition(".")[0] not in OWN:
            sys.modules[f"torch.{path}"] = module


class _Loader(Loader):
    """Answers an import by a module that is loaded already, under its own name."""

    def __init__(self, module: ModuleType):
        self._module = module

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = self._module


class _ExplainingLoader(SourceFileLoader):
    """Loads a module of dtrain's that explains names of PyTorch's that it does not have."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _explain_missing_names(module, module.__name__.partition(".")[2])


class _Finder(MetaPathFinder):
    """Finds modules by PyTorch's paths below `root`."""

    root: str

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, below = fullname.partition(".")
        if root != self.root:
            return None
        module = self.find(below)
        if module is None:
            return None
        return ModuleSpec(fullname, _Loader(module), is_package=True)

    def find(self, path: str) -> ModuleType | None:
        """The module at a path below the root; None leaves it to Python's other finders."""
        raise NotImplementedError


class _DtrainFinder(_Finder):
    root = "dtrain"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = super().find_spec(fullname, path, target)
        root, _, below = fullname.partition(".")
        # Modules that `import dtrain` does not import.
        if spec is None and root == self.root and below in NAMESPACES:
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and isinstance(spec.loader, SourceFileLoader):
                spec.loader = _ExplainingLoader(fullname, spec.loader.path)
        return spec

    def find(self, path: str) -> ModuleType | None:
        if path in ALIASES:
            return _find_and_explain(path)
        # `from dtrain.nn import Nothing` comes here, too.
        if path and path.rpartition(".")[0] in NAMESPACES and not has_module(path):
            raise MissingModuleError(explain_missing(f"torch.{path}"))
        name = path.removeprefix("vision.")
        served = name != path or f"torchvision.{name.rpartition('.')[0]}" in sys.modules
        if served and name.rpartition(".")[0] in TORCHVISION and not has_module(path):
            raise MissingModuleError(explain_missing(f"torchvision.{name}"))
        return None


class _TorchFinder(_Finder):
    root = "torch"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] == "torchvision":
            return ModuleSpec(fullname, _Loader(_find_torchvision(fullname)), is_package=True)
        return super().find_spec(fullname, path, target)

    def find(self, path: str) -> ModuleType:
        if not path:
            return _make_torch()
        if path == "version":
            return _make_version()
        module = _find_and_explain(path)
        if module is None:
            raise MissingModuleError(explain_missing(f"torch.{path}"))
        return module


def _make_torch() -> ModuleType:
    """The module `torch`: dtrain's names, and a version that says whose they are."""
    torch = ModuleType("torch", dtrain.__doc__)
    torch.__path__ = []
    torch.__file__ = dtrain.__file__
    vars(torch).update(
        __version__=f"{TORCH_RELEASE}+dtrain.{dtrain.__version__}",
        __all__=[name for name in dtrain.__all__ if name not in OWN],
        __getattr__=_forward,
        __dir__=lambda: [*torch.__all__, "__all__", "__doc__", "__version__", "version"],
    )
    return torch


def _forward(name: str) -> Any:
    if name == "version":
        __import__("torch.version")
        return sys.modules["torch.version"]
    if name in OWN or name.startswith("__"):
        raise MissingNameError(explain_missing(f"torch.{name}"))
    return getattr(dtrain, name)


def _make_version() -> ModuleType:
    """torch.version: the release whose names are served, and the CUDA of CuPy."""
    version = ModuleType("torch.version", "The version of PyTorch whose names dtrain has.")
    cuda = None
    if dtrain.cuda.is_available():
        import cupy

        number = cupy.cuda.runtime.runtimeGetVersion()
        cuda = f"{number // 1000}.{number % 1000 // 10}"
    release = f"{TORCH_RELEASE}+dtrain.{dtrain.__version__}"
    vars(version).update(__version__=release, cuda=cuda, hip=None, debug=False, git_version="")
    return version


def _find_torchvision(name: str) -> ModuleType:
    """dtrain's module for `torchvision` or a module below it."""
    if name == "torchvision":
        torchvision = ModuleType(name, "torchvision's names, of dtrain.models and dtrain.vision.")
        torchvision.__path__ = []
        vars(torchvision).update(
            __version__=f"0.28.0+dtrain.{dtrain.__version__}",
            __getattr__=_get_from_torchvision,
        )
        return torchvision
    path = name.partition(".")[2]
    source = path if path.partition(".")[0] == "models" else f"vision.{path}"
    if not has_module(source):
        raise MissingModuleError(explain_missing(name))
    module = importlib.import_module(f"dtrain.{source}")
    if path in TORCHVISION:
        vars(module)["__getattr__"] = functools.partial(_refuse, name, name)
    return module


def _get_from_torchvision(name: str) -> Any:
    if name in TORCHVISION:
        return importlib.import_module(f"torchvision.{name}")
    raise MissingNameError(explain_missing(f"torchvision.{name}"))


def explain_missing_names() -> None:
    """Let dtrain's modules explain names of PyTorch's that they do not have."""
    for path in NAMESPACES:
        module = sys.modules.get(f"dtrain.{ALIASES.get(path, path)}".rstrip("."))
        if module is not None:
            _explain_missing_names(module, path)
    sys.meta_path.insert(0, _DtrainFinder())
    _explain_missing_methods()


def _find_and_explain(path: str) -> ModuleType | None:
    module = find_module(path)
    if module is not None:
        _explain_missing_names(module, path)
    return module


def _explain_missing_names(module: ModuleType, path: str) -> None:
    """Give a module a `__getattr__` that knows the modules below it by PyTorch's paths."""
    known: Callable[[str], Any] | None = vars(module).get("__getattr__")
    if not (path in NAMESPACES or path.startswith("nn.modules.")) or getattr(
        known, "explains", False
    ):
        return
    prefix = f"{path}." if path else ""
    torch_path = f"torch.{path}".rstrip(".")

    def explain(name: str) -> Any:
        if known is not None:
            try:
                return known(name)
            except AttributeError:
                pass
        if f"{prefix}{name}" in ALIASES:
            return _find_and_explain(f"{prefix}{name}")
        _refuse(module.__name__, torch_path, name)

    explain.explains = True  # type: ignore[attr-defined]
    vars(module)["__getattr__"] = explain
    if not hasattr(module, "__path__"):
        module.__path__ = []  # Python asks the finder for a name that `from module import` misses


def _explain_missing_methods() -> None:
    """Have tensors say what to do instead of methods for which there is advice."""

    def explain(tensor: Any, name: str) -> Any:
        if f"torch.Tensor.{name}" in ADVICE:
            raise MissingNameError(explain_missing(f"torch.Tensor.{name}"))
        return object.__getattribute__(tensor, name)  # raises Python's own error

    dtrain.Tensor.__getattr__ = explain  # type: ignore[attr-defined]


def _refuse(module: str, path: str, name: str) -> NoReturn:
    """Raise the error of a name that a module lacks; `path` is the module's in PyTorch."""
    if name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    raise MissingNameError(explain_missing(f"{path}.{name}"))
