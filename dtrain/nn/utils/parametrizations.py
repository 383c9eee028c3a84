"""Weight normalization and spectral normalization as parametrizations."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module
from dtrain.functions.reductions import norm
from dtrain.nn.deferred_updates import BufferUpdate, DeferredBufferUpdates
from dtrain.nn.module import Module
from dtrain.nn.utils.parametrize import register_parametrization


def norm_except_dim(weight: Tensor, dim: int | None) -> Tensor:
    """The norm of each index of `dim`; for None, or -1 as in PyTorch, of the whole weight."""
    if dim is None or dim == -1:
        return norm(weight)
    dims = tuple(i for i in range(weight.ndim) if i != dim % weight.ndim)
    return norm(weight, dim=dims, keepdim=True)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|: train a weight's norm and its direction separately, with one norm for each
    index of `dim`, or for the whole weight if dim is None
    (torch.nn.utils.parametrizations.weight_norm; Salimans and Kingma 2016).

    >>> import dtrain
    >>> layer = weight_norm(dtrain.nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    dtrain.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(module: Module, state: dict, prefix: str, *rest: Any) -> None:
        """Rename the entries of state dicts made with PyTorch's older weight_norm."""
        for old, new in ((f"{name}_g", "original0"), (f"{name}_v", "original1")):
            if prefix + old in state:
                state[f"{prefix}parametrizations.{name}.{new}"] = state.pop(prefix + old)

    module.register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(DeferredBufferUpdates, Module):
    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"spectral_norm: dim={dim} is no dimension of a weight of shape {weight.shape}"
            )
        if n_power_iterations < 1:
            raise ValueError(
                "spectral_norm: expected n_power_iterations to be positive, got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim % weight.ndim, eps
        if weight.ndim > 1:
            rows, columns = self._matrix(weight).shape
            for key, length in (("_u", rows), ("_v", columns)):
                self.register_buffer(key, self._unit(weight.detach().new_empty(length).normal_()))
            self.apply_update(self._iterate(self._matrix(weight), 15))

    @property
    def updates_buffers(self) -> bool:
        """Whether there are singular vectors: not of a weight of one dimension."""
        return hasattr(self, "_u")

    def _unit(self, x: Tensor) -> Tensor:
        return x / norm(x).clamp(min=self.eps)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    @no_grad
    def _iterate(self, matrix: Tensor, times: int) -> tuple[Any, Any]:
        """Singular vectors u (rows,) and v (columns,) after more power iterations, as arrays."""
        u, v = self._u, self._v
        for _ in range(times):
            u = self._unit(matrix @ v)
            v = self._unit(matrix.T @ u)
        return u.array, v.array

    def apply_update(self, update: BufferUpdate) -> None:
        """Replace the singular vectors u (rows,) and v (columns,)."""
        for buffer, array in zip((self._u, self._v), update):
            buffer.array[...] = array_module(buffer.array).asarray(array)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return self._unit(weight)
        matrix = self._matrix(weight)
        u, v = self._u.array.copy(), self._v.array.copy()
        if self.training:
            u, v = self._iterate(matrix, self.n_power_iterations)
            self.update_buffers(u, v)
        return weight / (wrap(u) @ (matrix @ wrap(v)))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, as a matrix of `dim` by the other dimensions
    (torch.nn.utils.parametrizations.spectral_norm; Miyato et al. 2018).

    Each read in training mode improves the value by `n_power_iterations` power iterations; all
    microbatches of a step start from the same vectors. `dim` None means 1 for transposed
    convolutions, else 0.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
