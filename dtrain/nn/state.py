"""Saving and loading the state of a module as a dict of tensors by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dtrain.autograd import Tensor
from dtrain.functions.inplace import copy_values
from dtrain.nn.hooks import Hook
from dtrain.nn.parameter import Parameter

#: The key, after the module's prefix, of the value of `get_extra_state`.
EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """The names that `load_state_dict` missed in the state and those it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if self == ([], []):
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def save(module: Any, destination: dict[str, Any], prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Write a module's state into `destination` and return it; see Module.state_dict."""
    for hook in _hooks(module, "state_dict_pre"):
        hook(module, prefix, keep_vars)
    for key, tensor in module._own_state():
        destination[prefix + key] = tensor if keep_vars else tensor.detach()
    if module._overrides("get_extra_state"):
        destination[prefix + EXTRA] = module.get_extra_state()
    for key, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{key}.", keep_vars=keep_vars)
    for hook in _hooks(module, "state_dict"):
        if hook(module, destination, prefix, {}) is not None:
            raise RuntimeError("state_dict post-hook must return None: change state_dict in place")
    return destination


def load(module: Any, state_dict: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy a state into a module; see Module.load_state_dict."""
    loading = _Loading(state_dict, strict, assign)
    loading.visit_all(module)
    if loading.problems or not loading.post_hooks:
        loading.refuse_problems(module)  # before anything is written
    for write in loading.writes:
        write()
    keys = IncompatibleKeys(loading.missing, loading.unexpected)
    for post_hook in loading.post_hooks:
        post_hook(keys)
    loading.refuse_problems(module)
    return keys


def check(module: Any, state_dict: Any) -> None:
    """Raise what `load` would raise before it writes anything."""
    loading = _Loading(state_dict, strict=True, assign=False)
    loading.visit_all(module)
    if not loading.post_hooks:
        loading.refuse_problems(module)


def _hooks(module: Any, kind: str) -> tuple[Hook, ...]:
    return () if module._hooks is None else tuple(getattr(module._hooks, kind))


class _Loading:
    """One call of `load`: the pending writes and the problems found."""

    def __init__(self, state: Any, strict: bool, assign: bool):
        if not isinstance(state, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state)}.")
        self.state, self.strict, self.assign = dict(state), strict, assign
        self.known: set[str] = set()
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.problems: list[str] = []
        self.writes: list[Callable[[], Any]] = []
        self.post_hooks: list[Callable[[IncompatibleKeys], Any]] = []

    def visit_all(self, module: Any) -> None:
        """Collect the writes and problems of a whole module."""
        self.visit(module, "")
        self.unexpected += [name for name in self.state if name not in self.known]

    def visit(self, module: Any, prefix: str) -> None:
        """Collect the writes and problems of a module and its descendants."""
        for hook in _hooks(module, "load_state_dict_pre"):
            hook(
                module, self.state, prefix, {}, self.strict, self.missing, self.unexpected,
                self.problems,
            )  # fmt: skip
        for key, tensor in module._own_state():
            if self._has(prefix + key):
                self._check(module, key, tensor, prefix + key)
        if module._overrides("set_extra_state") and self._has(prefix + EXTRA):
            extra = self.state[prefix + EXTRA]
            self.writes.append(lambda: module.set_extra_state(extra))
        for key, child in module._modules.items():
            if child is not None:
                self.visit(child, f"{prefix}{key}.")
        for hook in _hooks(module, "load_state_dict"):
            self.post_hooks.append(functools.partial(_call_post_hook, hook, module))

    def _has(self, name: str) -> bool:
        self.known.add(name)
        if name not in self.state:
            self.missing.append(name)
        return name in self.state

    def _check(self, module: Any, key: str, tensor: Tensor, name: str) -> None:
        value = self.state[name]
        if not isinstance(value, Tensor):
            self.problems.append(
                f'While copying the parameter named "{name}", expected dtrain.Tensor from '
                f"checkpoint but received {type(value).__name__}."
            )
            return
        if tensor.ndim == 0 and value.shape == (1,):  # the form of PyTorch's old files
            value = value[0]
        if value.shape != tensor.shape:
            self.problems.append(
                f"size mismatch for {name}: copying a param with shape {value.shape} "
                f"from checkpoint, the shape in current model is {tensor.shape}."
            )
        elif self.assign:
            self.writes.append(lambda: module._replace_tensor(key, _like(tensor, value)))
        else:
            self.writes.append(lambda: _copy(tensor, value))

    def refuse_problems(self, module: Any) -> None:
        """Raise RuntimeError if there are problems, naming all of them."""
        problems = []
        for kind, names in (("Missing", self.missing), ("Unexpected", self.unexpected)):
            if self.strict and names:
                quoted = ", ".join(f'"{name}"' for name in names)
                problems.append(f"{kind} key(s) in state_dict: {quoted}. ")
        if problems or self.problems:
            lines = [
                f"Error(s) in loading state_dict for {type(module).__name__}:",
                *problems,
                *self.problems,
            ]
            raise RuntimeError("\n\t".join(lines))


def _copy(tensor: Tensor, value: Tensor) -> None:
    sharding = None if tensor._bucket is None else tensor._bucket.sharding
    if sharding is not None and not sharding.is_writable(tensor):
        sharding.load(tensor, value)
    else:
        copy_values(tensor.detach(), value)


def _like(tensor: Tensor, value: Tensor) -> Tensor:
    """The value, made a Parameter if it replaces one."""
    if isinstance(tensor, Parameter) and not isinstance(value, Parameter):
        return Parameter(value, requires_grad=tensor.requires_grad)
    return value


def _call_post_hook(hook: Hook, module: Any, keys: IncompatibleKeys) -> None:
    if hook(module, keys) is not None:
        raise RuntimeError("load_state_dict post-hook must return None: change the keys in place")
