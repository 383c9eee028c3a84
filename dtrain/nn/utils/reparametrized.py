"""PyTorch's older weight and spectral normalization: the weight is computed before each call.

`nn.utils.parametrizations` has the newer ones, whose weight is computed when it is read.
"""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter
from dtrain.nn.utils import parametrizations
from dtrain.nn.utils.parametrizations import norm_except_dim
from dtrain.nn.utils.parametrize import is_parametrized, remove_parametrizations


class _WeightNormHook:
    """Sets a layer's weight to g v / |v| before each call."""

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, dim

    def compute(self, module: Module) -> Tensor:
        """The weight of the layer's norm and direction."""
        length, direction = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return direction * (length / norm_except_dim(direction, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|, with the parameters `weight_g` and `weight_v` (torch.nn.utils.weight_norm).

    Salimans and Kingma 2016. The weight is computed before each call of the layer.

    Parameters
    ----------
    module : the layer
    name : the name of its weight
    dim : the dimension of which each index has a norm of its own; None: one norm for all

    >>> import dtrain
    >>> layer = weight_norm(dtrain.nn.Linear(20, 40))
    >>> layer.weight_g.shape, layer.weight_v.shape
    (dtrain.Size([40, 1]), dtrain.Size([40, 20]))
    """
    if _find_hook(module, name) is not None:
        raise RuntimeError(f"weight_norm: {type(module).__name__} has one for {name!r} already")
    hook, weight = _WeightNormHook(name, dim), getattr(module, name)
    delattr(module, name)
    with no_grad():
        lengths = norm_except_dim(weight, dim)
    module.register_parameter(f"{name}_g", Parameter(lengths))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again (torch.nn.utils.remove_weight_norm)."""
    found = _find_hook(module, name)
    if found is None:
        raise ValueError(f"remove_weight_norm: {type(module).__name__} has none for {name!r}")
    with no_grad():
        weight = found.args[0].compute(module)
    for attribute in (name, f"{name}_g", f"{name}_v"):
        delattr(module, attribute)
    _pre_hooks(module).remove(found)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def _pre_hooks(module: Module) -> list[Any]:
    return [] if module._hooks is None else module._hooks.forward_pre


def _find_hook(module: Module, name: str) -> Any:
    """The registered hook that computes this weight; its `args[0]` is the _WeightNormHook."""
    for registered in _pre_hooks(module):
        hook = (*getattr(registered, "args", ()), None)[0]
        if isinstance(hook, _WeightNormHook) and hook.name == name:
            return registered
    return None


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """`nn.utils.parametrizations.spectral_norm`, which also reads the states of this older one.

    (torch.nn.utils.spectral_norm; Miyato et al. 2018) The names in `state_dict()` are those of
    the parametrization.
    """
    parametrizations.spectral_norm(module, name, n_power_iterations, eps, dim)

    def rename(module: Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Rename the entries of state dicts made with PyTorch's older spectral_norm."""
        new = f"{prefix}parametrizations.{name}"
        pairs = (("orig", "original"), ("u", "0._u"), ("v", "0._v"))
        for old, name_there in pairs:
            if f"{prefix}{name}_{old}" in state:
                state[f"{new}.{name_there}"] = state.pop(f"{prefix}{name}_{old}")

    module.register_load_state_dict_pre_hook(rename)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the normalized weight a parameter again (torch.nn.utils.remove_spectral_norm)."""
    if not is_parametrized(module, name):
        raise ValueError(f"remove_spectral_norm: {type(module).__name__} has none for {name!r}")
    remove_parametrizations(module, name, leave_parametrized=True)
    return module
