"""What a function depends on besides its arguments, and whether that has changed.

These are the modules that it can reach, with their parameters, buffers, modes and plain
attributes, and the plain values of globals and closures that its code names.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from dtrain.autograd.parameter_changes import attribute_changes, parameter_changes
from dtrain.autograd.tensor import Tensor
from dtrain.backend.nested import find_nested
from dtrain.jit.places import is_library_file
from dtrain.nn.module import Module

#: Attributes of modules that are compared otherwise, or belong to DataParallel.
MODULE_TABLES = {
    "_parameters", "_buffers", "_modules", "_hooks", "_transient_buffers", "training",
    "pending_updates",
}  # fmt: skip
_PLAIN = (bool, int, float, str, bytes, type(None), np.dtype)


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
        self._take_modules()
        self._counts = self._current_counts()
        self._state = self._snapshot()

    def _add_module(self, module: Module) -> None:
        if all(module is not root for root in self._roots):
            self._roots.append(module)
            for part in module.modules():
                if not is_library_file(type(part).forward.__code__.co_filename):
                    for name in dir(type(part)):
                        method = getattr(type(part), name, None)
                        if isinstance(method, FunctionType):
                            self._visit(method)

    def _visit(self, function: Any) -> None:
        """Find what a function of the user's names in globals and closures."""
        function = getattr(function, "__wrapped_function__", function)
        if isinstance(function, MethodType):
            if isinstance(function.__self__, Module):
                self._add_module(function.__self__)
            function = function.__func__
        if isinstance(function, Module):
            self._add_module(function)
            return
        if not isinstance(function, FunctionType) or id(function) in self._seen:
            return
        self._seen.add(id(function))
        if is_library_file(function.__code__.co_filename):
            return
        for name in sorted(global_names(function.__code__)):
            if name in function.__globals__:
                self._note(name, functools.partial(function.__globals__.get, name))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            self._note(name, functools.partial(_contents, cell))

    def _note(self, name: str, read: Callable[[], Any]) -> None:
        value = read()
        if _is_plain(value) or isinstance(value, (Tensor, FunctionType, Module)):
            self.values.append((name, read))
        if isinstance(value, (FunctionType, MethodType, Module)) or hasattr(
            value, "__wrapped_function__"
        ):
            self._visit(value)

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
        return None

    def _current_counts(self) -> tuple[int, int]:
        return parameter_changes.count, attribute_changes.count

    def find_change(self) -> str | None:
        """The name of something that changed since the last call, or None."""
        for (name, read), before in zip(self.values, self._state[0]):
            now = read()
            if not _equal(before, now):
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
            f"{name}.{key}" if name else key: _copy_plain(value)
            for name, module in self.modules
            for key, value in module.__dict__.items()
            if key not in MODULE_TABLES
        }
        identities = {name: id(module) for name, module in self.modules}
        return (
            [_copy_plain(read()) for _, read in self.values],
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
                if not _equal(old[name], new[name]):
                    return f"{kind} {name} (was {old[name]!r}, is {new[name]!r})"
            elif old.get(name) != new.get(name):
                return f"{kind} {name}"
    return None


def _equal(first: Any, second: Any) -> bool:
    """Whether two values are the same object, or plain and equal."""
    if first is second:
        return True
    if type(first) is not type(second) or not _is_plain(first) or not _is_plain(second):
        return False
    return bool(first == second) or first != first


def _runs(hooks: Any) -> bool:
    """Whether some of a module's hooks run."""
    kinds = (hooks.forward_pre, hooks.forward, hooks.forward_always, hooks.backward_pre)
    return any(kinds) or bool(hooks.backward)


def _buffer_ids(module: Module) -> tuple[Any, ...]:
    buffers = module._buffers
    return tuple([id(tensor) for tensor in buffers.values()]) if buffers else ()


def _is_plain(value: Any) -> bool:
    """Whether a value can be compared cheaply: numbers, strings, short structures of them."""
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, (list, tuple)):
        return len(value) < 100 and all(map(_is_plain, value))
    if isinstance(value, dict):
        return len(value) < 100 and all(map(_is_plain, value.values()))
    return False


def _copy_plain(value: Any) -> Any:
    """A copy of a plain value; anything else itself."""
    if not _is_plain(value):
        return value
    if isinstance(value, dict):
        return {key: _copy_plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copy_plain, value))
    return value


@functools.cache
def global_names(code: CodeType) -> frozenset[str]:
    """The global names that a function's code reads, and functions inside."""
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= global_names(constant)
    return frozenset(names)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
