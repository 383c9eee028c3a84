"""`Module`: parameters, buffers and submodules by name, and what is done to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import dtrain.ops.operators  # noqa: F401  Tensor's methods
from dtrain.autograd import Tensor
from dtrain.autograd.hooks import HookHandle
from dtrain.backend import dtypes
from dtrain.nn import hooks
from dtrain.nn.parameter import Parameter


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found to be different."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base class of layers and models (torch.nn.Module).

    A subclass sets its layers and parameters as attributes after ``super().__init__()`` and
    has a method `forward`.

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

    training: bool
    _hooks: hooks.ModuleHooks | None

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_transient_buffers", set())
        object.__setattr__(self, "_hooks", None)
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass has it."""
        raise NotImplementedError(f"{type(self).__name__} must have a method forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    def _own_hooks(self) -> hooks.ModuleHooks:
        own = self._hooks or hooks.ModuleHooks()
        object.__setattr__(self, "_hooks", own)
        return own

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs` call `hook(module, args, kwargs)`, which may return both.
        """
        called = hooks.pre_hook(hook, with_kwargs)
        return hooks.add(self._own_hooks().forward_pre, called, prepend)

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns is the output then.

        With `with_kwargs` call `hook(module, args, kwargs, output)`; with `always_call` also when
        `forward` has raised.
        """
        called = hooks.forward_hook(hook, with_kwargs)
        if always_call:
            self._own_hooks().forward_always.append(called)
        return hooks.add(self._own_hooks().forward, called, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` when the gradients of the module's outputs are there.

        What it returns, a tuple, goes on in place of these.
        """
        return hooks.add(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when those of its inputs are there.

        What it returns, a tuple, goes on in place of `grad_input`, in which each positional tensor
        of `forward` has its place.
        """
        return hooks.add(self._own_hooks().backward, hook, prepend)

    # --- attributes ---

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        if "_parameters" not in tables:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before {name} = ..."
            )
        if isinstance(value, (Parameter, Module)):
            self._forget(name)
            own = self._parameters if isinstance(value, Parameter) else self._modules
            own[name] = value
        elif name in self._parameters and value is not None:
            raise TypeError(
                f"cannot assign {type(value).__name__} as parameter {name!r}: expected "
                "dtrain.nn.Parameter or None"
            )
        elif name in self._modules and value is not None:
            raise TypeError(
                f"cannot assign {type(value).__name__} as child module {name!r}: expected "
                "dtrain.nn.Module or None"
            )
        else:
            for table in (self._parameters, self._modules, self._buffers):
                if name in table:
                    table[name] = value
                    return
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(table, ()):
                return self.__dict__[table][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def _forget(self, name: str) -> bool:
        tables = (self._parameters, self._buffers, self._modules, self.__dict__)
        found = [table.pop(name, self) is not self for table in tables]
        return any(found)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Name a parameter, or with None say that there is none of this name."""
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Name a tensor that is state but is not trained; `persistent` ones are in state_dict."""
        self._forget(name)
        self._buffers[name] = tensor
        if not persistent:
            self._transient_buffers.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Name a submodule."""
        self._modules[name] = module

    # --- what is in it ---

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with their names."""
        seen: set[int] = set()

        def walk(module: Module, name: str) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for key, child in module._modules.items():
                if child is not None:
                    yield from walk(child, f"{name}.{key}" if name else key)

        return walk(self, prefix)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one, each once, with their names."""
        first_names: dict[Module, str] = {}
        for name, child in self._modules.items():
            if child is not None:
                first_names.setdefault(child, name)
        return ((name, child) for child, name in first_names.items())

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        return (child for _, child in self.named_children())

    def _named_tensors(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix) if recurse else [(prefix, self)]
        for name, module in modules:
            for key, tensor in module.__dict__[table].items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{name}.{key}" if name else key, tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters, each once, with their names; not `recurse`: only this module's own."""
        return self._named_tensors("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; not `recurse`: only this module's own."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers, each once, with their names; not `recurse`: only this module's own."""
        return self._named_tensors("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; not `recurse`: only this module's own."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module below this one at a dotted name; "" is this one."""
        module = self
        for part in target.split(".") if target else ():
            if part not in module._modules:
                raise AttributeError(f"{type(module).__name__} has no submodule {part!r}")
            module = module._modules[part]
        return module

    # --- state ---

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """All parameters and persistent buffers by name, sharing the module's memory."""
        state: dict[str, Tensor] = {}
        for key, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and key not in self._transient_buffers:
                state[prefix + key] = tensor.detach()
        for key, child in self._modules.items():
            if child is not None:
                state |= child.state_dict(f"{prefix}{key}.")
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy values by name into parameters and buffers; returns (missing, unexpected) names.

        Raises
        ------
        RuntimeError
            If a shape differs or, where `strict`, a name is missing or unexpected. All that is
            wrong is listed, and nothing has been copied.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        for kind, names in (("Missing", missing), ("Unexpected", unexpected)):
            if strict and names:
                quoted = ", ".join(f'"{name}"' for name in names)
                problems.append(f"{kind} key(s) in state_dict: {quoted}. ")
        for name, value in state_dict.items():
            if name not in own:
                continue
            if not isinstance(value, Tensor):
                problems.append(f"{name}: expected a dtrain.Tensor, got {type(value).__name__}.")
            elif value.shape != own[name].shape:
                problems.append(
                    f"size mismatch for {name}: copying a param with shape {value.shape} "
                    f"from checkpoint, the shape in current model is {own[name].shape}."
                )
        if problems:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(problems)
            )
        for name, value in state_dict.items():
            if name in own:
                own[name].copy_(value)
        return IncompatibleKeys(missing, unexpected)

    # --- what is done to all of it ---

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` on every module below this one, then on this one; returns itself."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Say for all modules whether they train: Dropout and BatchNorm differ; returns itself."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """`train(False)`"""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Say whether the parameters want gradients; returns itself."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the parameters, or write zeros into them."""
        for param in self.parameters():
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                param.grad.zero_()

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Move everything to a device, floating tensors to a dtype too; returns itself."""

        def moved(tensor: Tensor) -> Tensor:
            out = tensor.detach().to(*args, **kwargs)
            if out.dtype != tensor.dtype and not tensor.is_floating_point():
                out = out.to(tensor.dtype)
            return out

        return self._replace_tensors(moved)

    def _replace_tensors(self, fn: Callable[[Tensor], Tensor]) -> Module:
        for tensor in (*self.parameters(), *self.buffers()):
            replaced = fn(tensor)
            if replaced._array is not tensor._array:
                grad, tensor.grad = tensor.grad, None
                tensor.data = replaced
                tensor.grad = None if grad is None else fn(grad)
        return self

    def cpu(self) -> Module:
        """`to("cpu")`"""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> Module:
        """`to("cuda")`"""
        return self.to(device)

    def float(self) -> Module:
        """Floating tensors to float32; returns itself."""
        return self.to(dtypes.float32)

    def double(self) -> Module:
        """Floating tensors to float64; returns itself."""
        return self.to(dtypes.float64)

    def half(self) -> Module:
        """Floating tensors to float16; returns itself."""
        return self.to(dtypes.float16)

    # --- how it looks ---

    def extra_repr(self) -> str:
        """What `repr` shows in the parentheses of a layer."""
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
