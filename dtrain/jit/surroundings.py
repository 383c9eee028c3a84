"""What a function depends on besides its arguments, and whether that has changed.

These are the modules that it can reach, with their parameters, buffers, modes and plain
attributes, and the plain values of globals and closures that its code names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from dtrain.autograd.parameter_changes import attribute_changes, parameter_changes
from dtrain.autograd.tensor import Tensor
from dtrain.backend.nested import find_nested
from dtrain.jit.arguments import inputs_in
from dtrain.jit.places import is_library_file
from dtrain.jit.plain_values import (
    attributes_of,
    copy_containers,
    is_compared,
    is_large_array,
    is_unchanged,
    is_users,
    is_users_object,
    read_names,
)
from dtrain.nn.module import Module

#: Attributes of modules that are compared otherwise, or belong to DataParallel.
MODULE_TABLES = {
    "_parameters", "_buffers", "_modules", "_hooks", "_transient_buffers", "training",
    "pending_updates",
}  # fmt: skip


class Surroundings:
    """The modules and plain values that a function can reach.

    Parameters
    ----------
    function : the function, or a module's bound `forward`
    arguments : the arguments of a call, which may be modules
    """

    def __init__(self, function: Callable[..., Any], arguments: Any):
        self.values: list[tuple[str, Callable[[], Any]]] = []
        self._roots: list[Module] = []
        self._seen: set[int] = set()
        self._visit(function)
        for module in find_nested((arguments,), Module):
            self._add_module(module)
        for value in inputs_in(arguments):
            if is_users_object(value):
                self._visit_methods(type(value))
        self._take_modules()
        self._counts = self._current_counts()
        self._state = self._snapshot()
        self._large_array: str | None = None
        for name, read in self.values:
            if is_large_array(read()):
                self._large_array = (
                    f"{name} is a large array of NumPy: make a Tensor or buffer of it"
                )

    def _add_module(self, module: Module) -> None:
        if all(module is not root for root in self._roots):
            self._roots.append(module)
            for part in module.modules():
                if not is_library_file(type(part).forward.__code__.co_filename):
                    self._visit_methods(type(part))
                    self._note_attributes(part)

    def _visit_methods(self, kind: type) -> None:
        for name in dir(kind):
            method = getattr(kind, name, None)
            if isinstance(method, FunctionType):
                self._visit(method)

    def _note_attributes(self, module: Module) -> None:
        """Note the contents of lists and objects: they change without an assignment."""
        for name, value in module.__dict__.items():
            if name not in MODULE_TABLES and (
                isinstance(value, (list, dict, np.ndarray)) or is_users_object(value)
            ):
                read = functools.partial(module.__dict__.get, name)
                self._note(f"{type(module).__name__}.{name}", read)

    def _visit(self, function: Any) -> None:
        """Find the globals and closure variables that a user's function reads."""
        function = getattr(function, "__wrapped_function__", function)
        if isinstance(function, MethodType):
            if isinstance(function.__self__, Module):
                self._add_module(function.__self__)
            else:
                self._note("self", functools.partial(getattr, function, "__self__"))
            function = function.__func__
        if isinstance(function, Module):
            self._add_module(function)
            return
        if not isinstance(function, FunctionType) or id(function) in self._seen:
            return
        self._seen.add(id(function))
        if is_library_file(function.__code__.co_filename):
            return
        for name in sorted(read_names(function.__code__, "LOAD_GLOBAL", "LOAD_NAME")):
            if name in function.__globals__:
                self._note(name, functools.partial(function.__globals__.get, name))
                self._note_members(name, function.__globals__[name], function)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            self._note(name, functools.partial(_contents, cell))

    def _note(self, name: str, read: Callable[[], Any]) -> None:
        value = read()
        if is_compared(value) or is_users_object(value):
            self.values.append((name, read))
        if is_users_object(value) and id(value) not in self._seen:
            self._seen.add(id(value))
            self._visit_methods(type(value))
            for attribute, read_attribute in attributes_of(name, value):
                self._note(attribute, read_attribute)
        if isinstance(value, (FunctionType, MethodType, Module)) or hasattr(
            value, "__wrapped_function__"
        ):
            self._visit(value)

    def _note_members(self, name: str, value: Any, function: FunctionType) -> None:
        """Note the attributes that a function reads of a user's class or Python module."""
        if isinstance(value, ModuleType):
            of_users = is_users(value.__name__)
        else:
            of_users = isinstance(value, type) and is_users(value.__module__)
        if of_users:
            for member in sorted(read_names(function.__code__, "LOAD_ATTR", "LOAD_METHOD")):
                if member in vars(value):
                    self._note(f"{name}.{member}", functools.partial(vars(value).get, member))

    def _take_modules(self) -> None:
        self.modules: list[tuple[str, Module]] = []
        seen: set[int] = set()
        for root in self._roots:
            for name, module in root.named_modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    self.modules.append((name, module))
        self._attributes = [module.__dict__ for _, module in self.modules]
        self._gathering = [m for _, m in self.modules if hasattr(m, "gather_statistics")]

    def named_tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """(kind, name, tensor) of each parameter and buffer, each once."""
        seen: set[int] = set()
        for name, module in self.modules:
            for kind, table in (("parameter", module._parameters), ("buffer", module._buffers)):
                for key, tensor in table.items():
                    if tensor is not None and id(tensor) not in seen:
                        seen.add(id(tensor))
                        yield kind, f"{name}.{key}" if name else key, tensor

    # --- what may change ---

    def modes(self) -> tuple[Any, ...]:
        """What chooses among graphs: the training mode of each module."""
        return tuple([attributes["training"] for attributes in self._attributes])

    def obstacle(self) -> str | None:
        """What keeps a module from being recorded, or None."""
        for attributes in self._attributes:
            if attributes["_hooks"] is not None and _runs(attributes["_hooks"]):
                return "a module has hooks"
        if any(module.gather_statistics is not None for module in self._gathering):
            return "SyncBatchNorm exchanges statistics between ranks"
        return self._large_array

    def _current_counts(self) -> tuple[int, int]:
        return parameter_changes.count, attribute_changes.count

    def find_change(self) -> str | None:
        """The name of something that changed since the last call, or None."""
        for (name, read), before in zip(self.values, self._state[0]):
            now = read()
            if not is_unchanged(before, copy_containers(now)):
                self._state = self._snapshot()
                return f"{name} (was {before!r}, is {now!r})"
        for ids, (name, module) in zip(self._state[1], self.modules):
            if ids and ids != _buffer_ids(module):
                self._state = self._snapshot()
                return f"the buffers of {name or type(module).__name__}"
        counts = self._current_counts()
        if counts == self._counts:
            return None
        self._counts = counts
        self._take_modules()
        before, self._state = self._state, self._snapshot()
        return _difference(before, self._state)

    def _snapshot(self) -> tuple[Any, ...]:
        """Everything that may change, to be compared with an earlier state."""
        modules = [module for _, module in self.modules]
        parameters = {
            f"{name}.{key}" if name else key: (
                id(tensor), tensor._requires_grad, tensor.shape, tensor.dtype,
                type(tensor.array)
            )
            for name, module in self.modules
            for key, tensor in module._parameters.items()
            if tensor is not None
        }  # fmt: skip
        attributes = {
            f"{name}.{key}" if name else key: copy_containers(value)
            for name, module in self.modules
            for key, value in module.__dict__.items()
            if key not in MODULE_TABLES
        }
        identities = {name: id(module) for name, module in self.modules}
        return (
            [copy_containers(read()) for _, read in self.values],
            [_buffer_ids(module) for module in modules],
            parameters,
            attributes,
            identities,
        )


def _difference(before: tuple[Any, ...], after: tuple[Any, ...]) -> str | None:
    kinds = ("parameter", "attribute", "module")
    for kind, old, new in zip(kinds, before[2:], after[2:]):
        for name in old.keys() | new.keys():
            if kind == "attribute" and name in old and name in new:
                if not is_unchanged(old[name], new[name]):
                    return f"{kind} {name} (was {old[name]!r}, is {new[name]!r})"
            elif old.get(name) != new.get(name):
                return f"{kind} {name}"
    return None


def _runs(hooks: Any) -> bool:
    """Whether some of a module's hooks run."""
    kinds = (hooks.forward_pre, hooks.forward, hooks.forward_always, hooks.backward_pre)
    return any(kinds) or bool(hooks.backward)


def _buffer_ids(module: Module) -> tuple[Any, ...]:
    buffers = module._buffers
    return tuple([id(tensor) for tensor in buffers.values()]) if buffers else ()


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
