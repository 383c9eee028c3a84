"""`Module`: parameters, buffers and submodules by name, and what is done to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import dtrain.functions.table  # noqa: F401  Tensor's methods
from dtrain.autograd import Tensor
from dtrain.backend import dtypes
from dtrain.functions.creation import empty_like
from dtrain.nn import hooks, state
from dtrain.nn.parameter import Buffer, Parameter

#: The tables of attributes, what is in them, and what may be assigned to a name in them.
_KINDS = (
    ("_parameters", "parameter", "dtrain.nn.Parameter"),
    ("_modules", "child module", "dtrain.nn.Module"),
    ("_buffers", "buffer", "dtrain.Tensor"),
)


class Module(hooks.Hooked):
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
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _transient_buffers: set[str]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True, _parameters={}, _buffers={}, _modules={}, _transient_buffers=set(),
            _hooks=None,
        )  # fmt: skip

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass has it."""
        raise NotImplementedError(f"{type(self).__name__} must have a method forward")

    # --- attributes ---

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        if isinstance(value, (Parameter, Module)):
            self._require_init(name)
            own = "_parameters" if isinstance(value, Parameter) else "_modules"
            self._forget(name, but=own)
            tables[own][name] = value
            return
        if isinstance(value, Buffer):
            self._require_init(name)
            self._forget(name, but="_buffers")
            self.register_buffer(name, value, value.persistent)
            return
        for table, kind, expected in _KINDS:
            if name in tables.get(table, ()):
                if value is not None and not (table == "_buffers" and isinstance(value, Tensor)):
                    raise TypeError(
                        f"cannot assign {type(value).__name__} as {kind} {name!r}: expected "
                        f"{expected} or None"
                    )
                tables[table][name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for table, _, _ in _KINDS:
            if name in self.__dict__.get(table, ()):
                return self.__dict__[table][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _forget(self, name: str, but: str = "") -> bool:
        """Remove an attribute from the tables, `but` from one; returns whether it was there."""
        self._transient_buffers.discard(name)
        tables = [self.__dict__[table] for table, _, _ in _KINDS if table != but]
        found = [table.pop(name, self) is not self for table in (*tables, self.__dict__)]
        return any(found)

    def _put(self, name: str, tensor: Tensor) -> None:
        """Replace a parameter or buffer of this name."""
        self.__dict__["_parameters" if name in self._parameters else "_buffers"][name] = tensor

    def _require_init(self, name: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before {name} = ..."
            )

    def _check_new(self, table: str, name: Any, value: Any, kind: type) -> None:
        """Refuse what cannot be registered."""
        what = next(label for own, label, _ in _KINDS if own == table)
        self._require_init(name)
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f'{what} name can\'t be empty or contain ".", got {name!r}')
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute {name!r} already exists")
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"cannot assign {type(value).__name__} as {what} {name!r}: expected "
                f"dtrain.{'' if kind is Tensor else 'nn.'}{kind.__name__} or None"
            )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Name a parameter, or with None say that there is none of this name."""
        self._check_new("_parameters", name, param, Parameter)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Name a tensor that is state but is not trained; `persistent` ones are in state_dict."""
        self._check_new("_buffers", name, tensor, Tensor)
        self._buffers[name] = tensor
        (self._transient_buffers.discard if persistent else self._transient_buffers.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Name a submodule."""
        self._check_new("_modules", name, module, Module)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Name a submodule."""
        self.add_module(name, module)

    # --- what is in it ---

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their names, each once if `remove_duplicate`."""
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
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one, each once, with their names."""
        first_names: dict[Module, str] = {}
        for name, child in self._modules.items():
            if child is not None:
                first_names.setdefault(child, name)
        return ((name, child) for child, name in first_names.items())

    def children(self) -> Iterator[Module]:
        """The modules right below this one, each once."""
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
        """All parameters with their names; not `recurse`: only this module's own."""
        return self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; not `recurse`: only this module's own."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names; not `recurse`: only this module's own."""
        return self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; not `recurse`: only this module's own."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module below this one at a dotted name; "" is this one."""
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
        """Replace the module at a dotted name, or unless `strict` put a new one there."""
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
        """The parameter at a dotted name."""
        return self._get_tensor(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
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
        """All parameters and persistent buffers by name, sharing the module's memory.

        Written into `destination` if there is one; `keep_vars` keeps them in the graph.
        """
        return state.save(self, {} if destination is None else destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy values by name into parameters and buffers; returns (missing, unexpected) names.

        With `assign` the tensors themselves take the places, with their dtypes and devices.

        Raises
        ------
        RuntimeError
            If a shape differs or, where `strict`, a name is missing or unexpected. All that is
            wrong is listed, and nothing has been copied.
        """
        return state.load(self, state_dict, strict, assign)

    def get_extra_state(self) -> Any:
        """What else is state: a subclass may return it, for `state_dict`."""
        raise RuntimeError(f"{type(self).__name__} has no method get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` has returned: a subclass that has that has this."""
        raise RuntimeError(f"{type(self).__name__} has no method set_extra_state")

    def _defines(self, name: str) -> bool:
        """Whether a subclass has a method in place of Module's."""
        return getattr(type(self), name) is not getattr(Module, name)

    # --- what is done to all of it ---

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` on every module below this one, then on this one; returns itself."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Say for all modules whether they train: Dropout and BatchNorm differ; returns itself."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected mode to be a bool, got {type(mode).__name__}")
        self.training = mode
        for child in self.children():
            child.train(mode)
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
        for wanted in (*args, kwargs.get("dtype")):
            if isinstance(wanted, np.dtype) and not dtypes.is_floating(wanted):
                raise TypeError(f"Module.to: expected a floating dtype, got {wanted}")

        def moved(tensor: Tensor) -> Tensor:
            out = tensor.detach().to(*args, **kwargs)
            if out.dtype != tensor.dtype and not tensor.is_floating_point():
                out = out.to(tensor.dtype)
            return out

        return self._replace_tensors(moved)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Move everything to a device, without its values; returns itself."""
        return self._replace_tensors(lambda tensor: empty_like(tensor, device=device), recurse)

    def type(self, dst_type: Any) -> Module:
        """All parameters and buffers, integers too, to a dtype; returns itself."""
        return self._replace_tensors(lambda tensor: tensor.detach().type(dst_type))

    def _replace_tensors(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Module:
        for tensor in (*self.parameters(recurse), *self.buffers(recurse)):
            replaced = fn(tensor)
            if replaced.array is not tensor.array:
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

    def bfloat16(self) -> Module:
        """Floating tensors to bfloat16; returns itself."""
        return self.to(dtypes.bfloat16)

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
