"""The state of a module: a dict of tensors by name, made of it and loaded into it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dtrain.autograd import Tensor
from dtrain.nn.parameter import Parameter

#: The name of what `get_extra_state` returns.
EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found to be different."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if self == ([], []):
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def save(module: Any, destination: dict, prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Write the state into `destination`; without `keep_vars` as tensors outside the graph."""
    for hook in _hooks(module, "state_dict_pre"):
        hook(module, prefix, keep_vars)
    for key, tensor in module._own_state():
        destination[prefix + key] = tensor if keep_vars else tensor.detach()
    if module._defines("get_extra_state"):
        destination[prefix + EXTRA] = module.get_extra_state()
    for key, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{key}.", keep_vars=keep_vars)
    for hook in _hooks(module, "state_dict"):
        if hook(module, destination, prefix, {}) is not None:
            raise RuntimeError("state_dict post-hook must return None: change state_dict in place")
    return destination


def load(module: Any, state_dict: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Write a state into a module: see Module.load_state_dict."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    loading = _Loading(dict(state_dict), strict, assign)
    loading.visit(module, "")
    loading.unexpected += [name for name in loading.state if name not in loading.known]
    if loading.problems or not loading.post_hooks:
        loading.refuse_problems(module)  # before anything is written
    for write in loading.writes:
        write()
    different = IncompatibleKeys(loading.missing, loading.unexpected)
    for post_hook in loading.post_hooks:
        post_hook(different)
    loading.refuse_problems(module)
    return different


def _hooks(module: Any, kind: str) -> tuple[Callable, ...]:
    return () if module._hooks is None else tuple(getattr(module._hooks, kind))


class _Loading:
    """One call of load: what is to be written, and what does not fit."""

    def __init__(self, state: dict[str, Any], strict: bool, assign: bool):
        self.state, self.strict, self.assign = state, strict, assign
        self.known: set[str] = set()
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.problems: list[str] = []
        self.writes: list[Callable[[], Any]] = []
        self.post_hooks: list[Callable[[IncompatibleKeys], Any]] = []

    def visit(self, module: Any, prefix: str) -> None:
        """Note what is to be written into a module and those below it."""
        for hook in _hooks(module, "load_state_dict_pre"):
            hook(
                module, self.state, prefix, {}, self.strict, self.missing, self.unexpected,
                self.problems,
            )  # fmt: skip
        for key, tensor in module._own_state():
            if self._is_there(prefix + key):
                self._check(module, key, tensor, prefix + key)
        if module._defines("set_extra_state") and self._is_there(prefix + EXTRA):
            extra = self.state[prefix + EXTRA]
            self.writes.append(lambda: module.set_extra_state(extra))
        for key, child in module._modules.items():
            if child is not None:
                self.visit(child, f"{prefix}{key}.")
        for hook in _hooks(module, "load_state_dict"):
            self.post_hooks.append(functools.partial(_call_post, hook, module))

    def _is_there(self, name: str) -> bool:
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
        if tensor.ndim == 0 and value.shape == (1,):  # as old files of PyTorch's have them
            value = value[0]
        if value.shape != tensor.shape:
            self.problems.append(
                f"size mismatch for {name}: copying a param with shape {value.shape} "
                f"from checkpoint, the shape in current model is {tensor.shape}."
            )
        elif self.assign:
            self.writes.append(lambda: module._put(key, _like(tensor, value)))
        else:
            self.writes.append(lambda: tensor.detach().copy_(value))

    def refuse_problems(self, module: Any) -> None:
        """Raise, if something does not fit."""
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


def _like(tensor: Tensor, value: Tensor) -> Tensor:
    """The value, as a Parameter if it takes the place of one."""
    if isinstance(tensor, Parameter) and not isinstance(value, Parameter):
        return Parameter(value, requires_grad=tensor.requires_grad)
    return value


def _call_post(hook: Callable, module: Any, different: IncompatibleKeys) -> None:
    if hook(module, different) is not None:
        raise RuntimeError("load_state_dict post-hook must return None: change the keys in place")
