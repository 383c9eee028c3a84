"""Lets the package einops work with dtrain's tensors.

Under `import torch` served by dtrain, einops takes them for PyTorch's, and `einops.layers.torch`
for its layers. Without it, einops is told of a backend of its own when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import dtrain
from dtrain.autograd import Tensor

_BACKENDS = "einops._backends"


def teach_einops() -> None:
    """Have einops know dtrain's tensors: now if it is imported already, else when it is."""
    loaded = sys.modules.get(_BACKENDS)
    if loaded is not None:
        _define_backend(loaded)
    elif not any(isinstance(finder, _EinopsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _EinopsFinder())


class _EinopsFinder(MetaPathFinder):
    """Defines the backend for dtrain once einops has loaded its own."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _BACKENDS:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _define_backend(module)


def _define_backend(backends: ModuleType) -> None:
    """Subclass einops' AbstractBackend; einops finds its backends among the subclasses."""
    base: Any = backends.AbstractBackend

    class DtrainBackend(base):
        framework_name = "dtrain"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Tensor)

        def from_numpy(self, x: Any) -> Tensor:
            return dtrain.from_numpy(x)

        def to_numpy(self, x: Tensor) -> Any:
            return x.detach().cpu().numpy()

        def arange(self, start: int, stop: int) -> Tensor:
            return dtrain.arange(start, stop)

        def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
            return x.permute(axes)

        def reduce(self, x: Tensor, operation: str, reduced_axes: Sequence[int]) -> Tensor:
            if operation in ("min", "max"):
                return getattr(dtrain, f"a{operation}")(x, dim=tuple(reduced_axes))
            for axis in sorted(reduced_axes, reverse=True):
                x = getattr(x, operation)(dim=axis)
            return x

        def stack_on_zeroth_dimension(self, tensors: Sequence[Tensor]) -> Tensor:
            return dtrain.stack(tensors)

        def add_axis(self, x: Tensor, new_position: int) -> Tensor:
            return x.unsqueeze(new_position)

        def add_axes(self, x: Tensor, n_axes: int, pos2len: dict[int, int]) -> Tensor:
            sizes = [-1] * n_axes
            for position, length in pos2len.items():
                x, sizes[position] = x.unsqueeze(position), length
            return x.expand(*sizes)

        def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
            return x.repeat(*repeats)

        def concat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
            return dtrain.cat(tensors, dim=axis)

        def is_float_type(self, x: Tensor) -> bool:
            return x.is_floating_point()

        def einsum(self, pattern: str, *x: Tensor) -> Tensor:
            return dtrain.einsum(pattern, *x)

    vars(backends)["_dtrain"] = DtrainBackend  # keeps the subclass alive
