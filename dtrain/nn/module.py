"""`Module`: the base class of layers and models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import dtrain.functions.table  # noqa: F401  Tensor's methods
from dtrain.autograd import Tensor
from dtrain.backend import dtypes
from dtrain.functions.creation import empty, empty_like
from dtrain.nn import state
from dtrain.nn.attributes import Attributes
from dtrain.nn.hooks import Hookable
from dtrain.nn.parameter import Parameter

if TYPE_CHECKING:
    from typing_extensions import Self


class Module(Hookable, Attributes):
    """The base class of layers and models (torch.nn.Module).

    A subclass calls ``super().__init__()``, assigns its layers and parameters as attributes and
    defines `forward`. A type checker sees `forward`'s parameters and result in ``module(...)``.

    >>> import dtrain
    >>> class Twice(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inner = dtrain.nn.Linear(2, 2)
    ...
    ...     def forward(self, x):
    ...         return 2 * self.inner(x)
    >>> [name for name, _ in Twice().named_parameters()]
    ['inner.weight', 'inner.bias']
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must have a method forward")

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule; None declares that the module has no submodule of this name."""
        self._check_registration("_modules", name, module, Module)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule: `add_module` under its newer name."""
        self.add_module(name, module)

    # --- parameters, buffers and submodules ---

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(name, module) for this module and all its descendants; `remove_duplicate`: each once."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for key, child in self._modules.items():
            if child is not None:
                name = f"{prefix}.{key}" if prefix else key
                yield from child.named_modules(seen, name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all its descendants, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for the direct children, each once."""
        first_names: dict[Module, str] = {}
        for name, child in self._modules.items():
            if child is not None:
                first_names.setdefault(child, name)
        return ((name, child) for child, name in first_names.items())

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        return (child for _, child in self.named_children())

    def _named_tensors(
        self, table: str, prefix: str, recurse: bool, once: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=once)
            if recurse
            else [(prefix, self)]
        )
        for name, module in modules:
            for key, tensor in module.__dict__[table].items():
                if tensor is not None and id(tensor) not in seen:
                    if once:
                        seen.add(id(tensor))
                    yield f"{name}.{key}" if name else key, tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) for all parameters; without `recurse` only this module's own."""
        return self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; without `recurse` only this module's own."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(name, buffer) for all buffers; without `recurse` only this module's own."""
        return self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; without `recurse` only this module's own."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The descendant with a dotted name such as "layer1.0.conv"; "" is this module."""
        module = self
        for part in target.split(".") if target else ():
            owner = type(module).__name__
            if not hasattr(module, part):
                raise AttributeError(f"{owner} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` of {owner} is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replace the descendant with a dotted name; unless `strict` also add a new one."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent.get_submodule(name)
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name."""
        return self._get_tensor(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with a dotted name."""
        return self._get_tensor(target, "_buffers", "a buffer")

    def _get_tensor(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in module.__dict__[table]:
            raise AttributeError(f"`{name}` of {type(module).__name__} is not {kind}")
        return module.__dict__[table][name]

    # --- state ---

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """This module's own parameters and persistent buffers."""
        for key, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and key not in self._transient_buffers:
                yield key, tensor

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by name; the tensors share the module's memory.

        Parameters
        ----------
        destination : the dict to fill and return; a new one if None
        prefix : put before every name
        keep_vars : return the parameters themselves instead of detached tensors
        """
        return state.save(self, {} if destination is None else destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy values by name into parameters and buffers; returns (missing, unexpected) names.

        `assign` replaces parameters and buffers by the given tensors, dtype and device included.

        Raises
        ------
        RuntimeError
            If a shape differs or, with `strict`, a name is missing or unexpected. The message
            lists every problem; nothing has been copied.
        """
        return state.load(self, state_dict, strict, assign)

    def _check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise what `load_state_dict` would raise; change nothing."""
        state.check(self, state_dict)

    def get_extra_state(self) -> Any:
        """Further state for `state_dict`; a subclass that has some defines this method."""
        raise RuntimeError(f"{type(self).__name__} has no method get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Restore the value of `get_extra_state`; a subclass defines both methods or neither."""
        raise RuntimeError(f"{type(self).__name__} has no method set_extra_state")

    def _overrides(self, name: str) -> bool:
        """Whether a subclass overrides this method of Module."""
        return getattr(type(self), name) is not getattr(Module, name)

    # --- operations on the whole tree ---

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every descendant, then on this module; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode (Dropout and BatchNorm differ); returns self."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected mode to be a bool, got {type(mode).__name__}")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode: `train(False)`; returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of all parameters; returns self."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or without `set_to_none` to zero."""
        for param in self.parameters():
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                param.grad.zero_()

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move parameters and buffers to a device, floating ones to a dtype; returns self.

        Complex ones stay as they are, unless the dtype is complex: none loses its imaginary part.
        """
        for wanted in (*args, kwargs.get("dtype")):
            if isinstance(wanted, np.dtype) and not dtypes.is_inexact(wanted):
                raise TypeError(f"Module.to: expected a floating or complex dtype, got {wanted}")

        def moved(tensor: Tensor) -> Tensor:
            if tensor.is_complex():
                like = empty(0, device=tensor.device).to(*args, **kwargs)
                if not like.is_complex():
                    return tensor.detach().to(like.device)
            out = tensor.detach().to(*args, **kwargs)
            if out.dtype != tensor.dtype and not dtypes.is_inexact(tensor.dtype):
                out = out.to(tensor.dtype)
            return out

        return self._replace_tensors(moved)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move parameters and buffers to a device without copying values; returns self."""
        return self._replace_tensors(lambda tensor: empty_like(tensor, device=device), recurse)

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers, integers too, to a dtype; returns self."""
        return self._replace_tensors(lambda tensor: tensor.detach().type(dst_type))

    def _replace_tensors(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for tensor in (*self.parameters(recurse), *self.buffers(recurse)):
            replaced = fn(tensor)
            if replaced.array is not tensor.array:
                grad, tensor.grad = tensor.grad, None
                tensor.data = replaced
                tensor.grad = None if grad is None else fn(grad)
        return self

    def cpu(self) -> Self:
        """Move to the CPU: `to("cpu")`; returns self."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move to a GPU: `to(device)`, by default "cuda"; returns self."""
        return self.to("cuda" if device is None else device)

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32; returns self."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64; returns self."""
        return self.to(dtypes.float64)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16; returns self."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16; returns self."""
        return self.to(dtypes.bfloat16)

    def share_memory(self) -> NoReturn:
        """Raises NotImplementedError: processes share no parameters; ranks sum gradients."""
        raise NotImplementedError(
            "share_memory(): no tensor is shared between processes: dtrain run -n N starts ranks, "
            "and DataParallel sums their gradients"
        )

    # --- repr ---

    def extra_repr(self) -> str:
        """The options that `repr` shows in parentheses."""
        return ""

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        children = [f"({label}): {text}" for label, text in self._child_reprs()]
        if not children:
            return f"{name}({extra})"
        lines = [*([extra] if extra else []), *children]
        return "\n  ".join([f"{name}(", *(line.replace("\n", "\n  ") for line in lines)]) + "\n)"

    def _child_reprs(self) -> list[tuple[str, str]]:
        return [(name, repr(child)) for name, child in self._modules.items()]
