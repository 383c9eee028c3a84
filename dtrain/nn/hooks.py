"""The hooks of a module: what is called before and after its forward and its backward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd import Function, Tensor
from dtrain.autograd.hooks import HookHandle


class ModuleHooks:
    """The hooks of one module, each kind in the order in which they are called."""

    def __init__(self) -> None:
        self.forward_pre: list[Callable] = []
        self.forward: list[Callable] = []
        self.forward_always: list[Callable] = []
        self.backward_pre: list[Callable] = []
        self.backward: list[Callable] = []
        self.state_dict_pre: list[Callable] = []
        self.state_dict: list[Callable] = []
        self.load_state_dict_pre: list[Callable] = []
        self.load_state_dict: list[Callable] = []

    def call(self, module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The module's forward among its hooks."""
        called: list[Callable] = []
        out = None
        try:
            for pre_hook in tuple(self.forward_pre):
                args, kwargs = pre_hook(module, args, kwargs)
            watch = _BackwardPass(module, self) if self.backward or self.backward_pre else None
            if watch is not None:
                args = watch.inputs(args)
            out = module.forward(*args, **kwargs)
            for hook in tuple(self.forward):
                called.append(hook)
                out = hook(module, args, kwargs, out)
            return out if watch is None else watch.outputs(out)
        except BaseException:
            for hook in self.forward_always:
                if hook not in called and hook in self.forward:  # it was not removed
                    hook(module, args, kwargs, out)
            raise


def add(hooks: list[Callable], hook: Callable, prepend: bool) -> HookHandle:
    """Add a hook at the end, or before the others; returns the handle that removes it."""
    hooks.insert(0 if prepend else len(hooks), hook)
    return HookHandle(hooks, hook)


def pre_hook(hook: Callable, with_kwargs: bool) -> Callable:
    """A forward pre-hook of a user's as (module, args, kwargs) to (args, kwargs)."""
    return functools.partial(_call_with_kwargs if with_kwargs else _call_with_args, hook)


def _call_with_kwargs(
    hook: Callable, module: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
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
    hook: Callable, module: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    replaced = hook(module, args)
    if replaced is None:
        return args, kwargs
    return replaced if isinstance(replaced, tuple) else (replaced,), kwargs


def forward_hook(hook: Callable, with_kwargs: bool) -> Callable:
    """A forward hook of a user's as (module, args, kwargs, out) to out."""
    return functools.partial(_call_after, hook, with_kwargs)


def _call_after(
    hook: Callable, with_kwargs: bool, module: Any, args: tuple, kwargs: dict[str, Any], out: Any
) -> Any:
    replaced = hook(module, args, kwargs, out) if with_kwargs else hook(module, args, out)
    return out if replaced is None else replaced


class _BackwardPass:
    """Calls a module's backward hooks, from identities around its forward."""

    def __init__(self, module: Any, hooks: ModuleHooks):
        self._module, self._hooks = module, hooks
        self._grad_output: tuple = ()
        self._num_inputs = 0
        self._input_has_gradient = False

    def inputs(self, args: tuple) -> tuple:
        """The arguments, the gradients of which will pass by here."""
        self._num_inputs = sum(isinstance(x, Tensor) for x in args)
        self._input_has_gradient = any(isinstance(x, Tensor) and x.requires_grad for x in args)
        return _through(self._on_input, args)

    def outputs(self, out: Any) -> Any:
        """The output, likewise."""
        if isinstance(out, (tuple, list)):
            return type(out)(_through(self._on_output, out))
        return _through(self._on_output, (out,))[0]

    def _on_output(self, grads: tuple) -> tuple:
        for hook in tuple(self._hooks.backward_pre):
            replaced = hook(self._module, grads)
            if replaced is not None:
                grads = replaced if isinstance(replaced, tuple) else (replaced,)
        self._grad_output = grads
        if not self._input_has_gradient:
            self._on_input((None,) * self._num_inputs)
        return grads

    def _on_input(self, grads: tuple) -> tuple:
        for hook in tuple(self._hooks.backward):
            replaced = hook(self._module, grads, self._grad_output)
            if replaced is not None and self._input_has_gradient:
                grads = replaced if isinstance(replaced, tuple) else (replaced,)
        return grads


class _Through(Function):
    """The tensors themselves; `on_gradients` sees, and may replace, their gradients."""

    @staticmethod
    def forward(ctx: Any, on_gradients: Callable[[tuple], tuple], *tensors: Tensor) -> Any:
        ctx.on_gradients = on_gradients
        ctx.mark_non_differentiable(*(x for x in tensors if not x.requires_grad))
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, *ctx.on_gradients(grads)


def _through(on_gradients: Callable[[tuple], tuple], values: Sequence[Any]) -> tuple:
    """The values, of which the tensors have gone through `_Through` together."""
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not any(values[i].requires_grad for i in places):
        return tuple(values)
    passed = dict(zip(places, _Through.apply(on_gradients, *(values[i] for i in places))))
    return tuple(passed.get(i, value) for i, value in enumerate(values))


class Hooked:
    """What a module has for its hooks: calling it among them, and registering them."""

    _hooks: ModuleHooks | None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    def _own_hooks(self) -> ModuleHooks:
        own = self._hooks or ModuleHooks()
        object.__setattr__(self, "_hooks", own)
        return own

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs` call `hook(module, args, kwargs)`, which may return both.
        """
        called = pre_hook(hook, with_kwargs)
        return add(self._own_hooks().forward_pre, called, prepend)

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
        called = forward_hook(hook, with_kwargs)
        if always_call:
            self._own_hooks().forward_always.append(called)
        return add(self._own_hooks().forward, called, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` when the gradients of the module's outputs are there.

        What it returns, a tuple, goes on in place of these.
        """
        return add(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when those of its inputs are there.

        What it returns, a tuple, goes on in place of `grad_input`, in which each positional tensor
        of `forward` has its place.
        """
        return add(self._own_hooks().backward, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict`."""
        return add(self._own_hooks().state_dict_pre, hook, False)

    def register_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {})` after `state_dict`, to change it in place."""
        return add(self._own_hooks().state_dict, hook, False)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {}, strict, missing, unexpected, errors)` before
        a state is loaded, to change it in place; lines added to `errors` refuse it."""
        return add(self._own_hooks().load_state_dict_pre, hook, False)

    def register_load_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after a state was loaded; names that it takes out
        of the keys are not complained about."""
        return add(self._own_hooks().load_state_dict, hook, False)
