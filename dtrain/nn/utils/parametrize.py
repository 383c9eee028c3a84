"""Parametrizations: a parameter or buffer computed from trained originals when it is read."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor, no_grad
from dtrain.nn.containers import ModuleDict, ModuleList
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class ParametrizationList(ModuleList):
    """The parametrizations of a tensor, applied in order, and its originals: `original`, or
    `original0`, `original1`, ... (torch.nn.utils.parametrize.ParametrizationList).
    """

    def __init__(self, modules: Sequence[Module], original: Tensor):
        super().__init__(modules)
        self._is_parameter = isinstance(original, Parameter)
        with no_grad():
            parts = self._inverse(original)
        self._names = (
            ["original"]
            if isinstance(parts, Tensor)
            else [f"original{i}" for i in range(len(parts))]
        )
        for name, part in zip(self._names, [parts] if isinstance(parts, Tensor) else parts):
            if self._is_parameter:
                self.register_parameter(name, Parameter(part.clone(), original.requires_grad))
            else:
                self.register_buffer(name, part)

    def _inverse(self, value: Any) -> Any:
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                value = module.right_inverse(value)
        return value

    @no_grad
    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the tensor becomes `value`."""
        for module in self:
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(
                    f"parametrization {type(module).__name__} does not implement right_inverse, "
                    "which assigning to the tensor needs"
                )
        parts = self._inverse(value)
        for name, part in zip(self._names, [parts] if isinstance(parts, Tensor) else parts):
            getattr(self, name).copy_(part)

    def forward(self) -> Tensor:
        value: Any = [getattr(self, name) for name in self._names]
        for module in self:
            value = module(*value) if isinstance(value, list) else module(value)
        return value


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Replace a parameter or buffer by `parametrization(original)`, computed whenever it is read
    (torch.nn.utils.parametrize.register_parametrization).

    The original is trained and saved, as `parametrizations.<tensor_name>.original`; a method
    `right_inverse` of the parametrization computes its first value from the tensor's value.
    `unsafe` allows a parametrization that changes the shape or the dtype.

    >>> import dtrain
    >>> class Symmetric(dtrain.nn.Module):
    ...     def forward(self, x):
    ...         return (x + x.T) / 2
    >>> layer = register_parametrization(dtrain.nn.Linear(3, 3), "weight", Symmetric())
    >>> dtrain.equal(layer.weight, layer.weight.T)
    True
    >>> sorted(layer.state_dict())
    ['bias', 'parametrizations.weight.original']
    """
    if is_parametrized(module, tensor_name):
        parts = module.parametrizations[tensor_name]
        before = getattr(module, tensor_name)
        _check_shape(before, parametrization(before), unsafe)
        if hasattr(parametrization, "right_inverse"):
            with no_grad():
                parts.right_inverse(parametrization.right_inverse(before))
        parts.append(parametrization)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer "
            f"{tensor_name!r}"
        )
    original = getattr(module, tensor_name)
    parts = ParametrizationList([parametrization], original).train(module.training)
    _check_shape(original, parts(), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.__class__ = _make_subclass(type(module))
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _make_property(tensor_name))
    module.parametrizations[tensor_name] = parts
    return module


def _check_shape(before: Tensor, after: Any, unsafe: bool) -> None:
    if unsafe:
        return
    given = (tuple(after.shape), after.dtype) if isinstance(after, Tensor) else type(after)
    if given != (tuple(before.shape), before.dtype):
        raise ValueError(
            "register_parametrization: a parametrization must keep the shape and the dtype, unless "
            f"unsafe=True: {tuple(before.shape)}, {before.dtype} became {given}"
        )


def _make_subclass(cls: type) -> type:
    """Make a subclass for one module, which gets a property for each parametrized tensor."""

    def refuse(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict()"
        )

    def deepcopy(self: Any, memo: dict) -> Any:
        twin: Any = object.__new__(_make_subclass(cls))
        memo[id(self)] = twin
        for name in self.parametrizations:
            setattr(type(twin), name, _make_property(name))
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    methods = {"__getstate__": refuse, "__deepcopy__": deepcopy}
    return type(f"Parametrized{cls.__name__}", (cls,), methods)


def _make_property(name: str) -> property:
    return property(
        lambda module: module.parametrizations[name](),
        lambda module, value: module.parametrizations[name].right_inverse(value),
    )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrization (torch.nn.utils.parametrize.is_parametrized)."""
    own = module.__dict__["_modules"].get("parametrizations")
    if not isinstance(own, ModuleDict):
        return False
    return bool(len(own)) if tensor_name is None else tensor_name in own


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a tensor a plain parameter or buffer again
    (torch.nn.utils.parametrize.remove_parametrizations).

    It keeps its parametrized value, or with leave_parametrized=False becomes the original.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: {type(module).__name__} has no parametrization of "
            f"{tensor_name!r}"
        )
    parts = module.parametrizations[tensor_name]
    if not leave_parametrized and len(parts._names) > 1:
        raise ValueError(
            "remove_parametrizations: a tensor with several originals has no single original; "
            "give leave_parametrized=True"
        )
    original = getattr(parts, parts._names[0])
    value = (parts() if leave_parametrized else original).detach()
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if parts._is_parameter:
        module.register_parameter(tensor_name, Parameter(value, original.requires_grad))
    else:
        module.register_buffer(tensor_name, value)
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module).__mro__[1]
    return module
