"""Hooks of modules: functions called before and after forward, backward, saving and loading."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from dtrain.autograd import Function, Tensor
from dtrain.autograd.hooks import HookHandle

Hook = Callable[..., Any]
_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)
_OnGradients = Callable[[tuple[Any, ...]], tuple[Any, ...]]


class ModuleHooks:
    """The hooks of one module, each kind in the order of the calls."""

    def __init__(self) -> None:
        self.forward_pre: list[Hook] = []
        self.forward: list[Hook] = []
        self.forward_always: list[Hook] = []
        self.backward_pre: list[Hook] = []
        self.backward: list[Hook] = []
        self.state_dict_pre: list[Hook] = []
        self.state_dict: list[Hook] = []
        self.load_state_dict_pre: list[Hook] = []
        self.load_state_dict: list[Hook] = []

    @property
    def runs_in_calls(self) -> bool:
        """Whether a hook runs in the forward or backward pass."""
        return bool(self.forward_pre or self.forward or self.backward_pre or self.backward)

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the module's forward between its hooks."""
        called: list[Hook] = []
        out = None
        try:
            for pre_hook in tuple(self.forward_pre):
                args, kwargs = pre_hook(module, args, kwargs)
            gradients = _BackwardPass(module, self) if self.backward or self.backward_pre else None
            if gradients is not None:
                args = gradients.observe_inputs(args)
            out = module.forward(*args, **kwargs)
            for hook in tuple(self.forward):
                called.append(hook)
                out = hook(module, args, kwargs, out)
            return out if gradients is None else gradients.observe_outputs(out)
        except BaseException:
            for hook in self.forward_always:
                if hook not in called and hook in self.forward:  # not if it was removed
                    hook(module, args, kwargs, out)
            raise


def add(hooks: list[Hook], hook: Hook, prepend: bool) -> HookHandle:
    """Add a hook at the end, or at the front; returns the handle that removes it."""
    hooks.insert(0 if prepend else len(hooks), hook)
    return HookHandle(hooks, hook)


def pre_hook(hook: Hook, with_kwargs: bool) -> Hook:
    """Adapt a user's forward pre-hook to the form (module, args, kwargs) -> (args, kwargs)."""
    return functools.partial(_call_with_kwargs if with_kwargs else _call_with_args, hook)


def _call_with_kwargs(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    replaced = hook(module, args, kwargs)
    if replaced is None:
        return args, kwargs
    if not (isinstance(replaced, tuple) and len(replaced) == 2):
        raise RuntimeError(
            "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
            f"but got {replaced!r}"
        )
    return replaced


def _call_with_args(
    hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    replaced = hook(module, args)
    if replaced is None:
        return args, kwargs
    return replaced if isinstance(replaced, tuple) else (replaced,), kwargs


def forward_hook(hook: Hook, with_kwargs: bool) -> Hook:
    """Adapt a user's forward hook to the form (module, args, kwargs, out) -> out."""
    return functools.partial(_call_after, hook, with_kwargs)


def _call_after(
    hook: Hook,
    with_kwargs: bool,
    module: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    out: Any,
) -> Any:
    replaced = hook(module, args, kwargs, out) if with_kwargs else hook(module, args, out)
    return out if replaced is None else replaced


class _BackwardPass:
    """Calls a module's backward hooks from identity functions put around its forward."""

    def __init__(self, module: Any, hooks: ModuleHooks):
        self._module, self._hooks = module, hooks
        self._grad_output: tuple[Any, ...] = ()
        self._num_inputs = 0
        self._input_has_gradient = False

    def observe_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments such that `_on_input` is called with their gradients."""
        self._num_inputs = sum(isinstance(x, Tensor) for x in args)
        self._input_has_gradient = any(isinstance(x, Tensor) and x.requires_grad for x in args)
        return _observe(self._on_input, args)

    def observe_outputs(self, out: Any) -> Any:
        """Return the output such that `_on_output` is called with its gradients."""
        if isinstance(out, (tuple, list)):
            return type(out)(_observe(self._on_output, out))
        return _observe(self._on_output, (out,))[0]

    def _on_output(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self._hooks.backward_pre):
            replaced = hook(self._module, grads)
            if replaced is not None:
                grads = replaced if isinstance(replaced, tuple) else (replaced,)
        self._grad_output = grads
        if not self._input_has_gradient:
            self._on_input((None,) * self._num_inputs)
        return grads

    def _on_input(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self._hooks.backward):
            replaced = hook(self._module, grads, self._grad_output)
            if replaced is not None and self._input_has_gradient:
                grads = replaced if isinstance(replaced, tuple) else (replaced,)
        return grads


class _Identity(Function):
    """The tensors themselves; `on_gradients` receives, and may replace, their gradients."""

    @staticmethod
    def forward(ctx: Any, on_gradients: _OnGradients, *tensors: Tensor) -> Any:
        ctx.on_gradients = on_gradients
        ctx.mark_non_differentiable(*(x for x in tensors if not x.requires_grad))
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, *ctx.on_gradients(grads)


def _observe(on_gradients: _OnGradients, values: Sequence[Any]) -> tuple[Any, ...]:
    """Pass the tensors among the values through one `_Identity`."""
    indices = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not any(values[i].requires_grad for i in indices):
        return tuple(values)
    passed = dict(zip(indices, _Identity.apply(on_gradients, *(values[i] for i in indices))))
    return tuple(passed.get(i, value) for i, value in enumerate(values))


class _HasForward(Protocol[_P, _R_co]):
    """A module as `__call__` sees it: with the parameters and the result of its own forward."""

    _hooks: ModuleHooks | None

    @property
    def forward(self) -> Callable[_P, _R_co]: ...


class Hookable:
    """The base class of Module that registers hooks and calls `forward` between them."""

    _hooks: ModuleHooks | None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output."""
        raise NotImplementedError

    def __call__(self: _HasForward[_P, _R_co], *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Call `forward` between the forward hooks."""
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    def _own_hooks(self) -> ModuleHooks:
        own = self._hooks or ModuleHooks()
        object.__setattr__(self, "_hooks", own)
        return own

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; a returned value replaces the arguments.

        With `with_kwargs` call `hook(module, args, kwargs)`, which may return both.
        """
        called = pre_hook(hook, with_kwargs)
        return add(self._own_hooks().forward_pre, called, prepend)

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; a returned value replaces the output.

        With `with_kwargs` call `hook(module, args, kwargs, output)`; with `always_call` call it
        also after `forward` raised.
        """
        called = forward_hook(hook, with_kwargs)
        if always_call:
            self._own_hooks().forward_always.append(called)
        return add(self._own_hooks().forward, called, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` once the gradients of the module's outputs are computed.

        A tuple that it returns replaces them.
        """
        return add(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` once its inputs' gradients are computed.

        `grad_input` holds one gradient for each positional tensor argument of `forward`; a tuple
        that the hook returns replaces it.
        """
        return add(self._own_hooks().backward, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects the state."""
        return add(self._own_hooks().state_dict_pre, hook, False)

    def register_state_dict_post_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {})` on the new state, to change it in place."""
        return add(self._own_hooks().state_dict, hook, False)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {}, strict, missing, unexpected, errors)` before
        loading, to change the state in place; a line appended to `errors` makes the load fail."""
        return add(self._own_hooks().load_state_dict_pre, hook, False)

    def register_load_state_dict_post_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after loading; names that it removes from the keys
        are not reported as errors."""
        return add(self._own_hooks().load_state_dict, hook, False)
