"""In-place forms: the operation, then its result written into the tensor's own memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dtrain.autograd import grad_mode
from dtrain.autograd.op import record
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import rebase_history
from dtrain.backend import array_module
from dtrain.backend.dtypes import category
from dtrain.backend.mapped_file import mapped_blocks
from dtrain.backend.tracing import current_tracer, tracers
from dtrain.functions.autocast import without_autocast
from dtrain.functions.subscripts import require_writable_memory


def make_inplace(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that writes the result of an operation into its tensor; same gradient."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if tracers and (tracer := current_tracer()) is not None:
            return tracer.call(method, (self, *args), kwargs, name, writes=(self,))
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        value_grad = any(x.requires_grad for x in tensors)
        self._require_writable(name, value_grad)
        source = self
        if grad_mode.is_grad_enabled() and (self.requires_grad or value_grad):
            # The primitive may save what is overwritten here, so it gets a copy.
            source = wrap(self.array.copy())
            source._requires_grad, source._node = self.requires_grad, self._node
        result = without_autocast(operation, source, *args, **kwargs)
        if source is not self and self.requires_grad and not result.requires_grad:
            xp = array_module(result.array)  # the overwritten values have no influence any more
            result = record(name, (source,), result.array, (lambda g: xp.zeros_like(g),))
        _store(name, self, result)
        return self

    summary = f"In-place form of `{operation.__name__}`; returns the tensor"
    if operation.__name__.startswith("_"):  # an operation that has no other form
        summary = (operation.__doc__ or "").rstrip(".")
    return describe_method(method, name, operation, summary)


def describe_method(
    method: Callable[..., Tensor], name: str, operation: Callable[..., Any], summary: str
) -> Callable[..., Tensor]:
    """Give a method its name, a docstring, and the signature of the operation that it calls."""
    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__module__ = operation.__module__
    method.__doc__ = f"{summary} (torch.Tensor.{name})."
    method.__wrapped__ = operation  # type: ignore[attr-defined]
    method.__signature__ = method_signature(operation)  # type: ignore[attr-defined]
    return method


def method_signature(operation: Callable[..., Any]) -> inspect.Signature:
    """The signature of an operation with its first parameter as `self`, which is returned."""
    signature = inspect.signature(operation)
    first, *rest = signature.parameters.values()
    return signature.replace(
        parameters=[first.replace(name="self", annotation="Tensor"), *rest],
        return_annotation="Tensor",
    )


def _store(name: str, target: Tensor, result: Tensor) -> None:
    if result.shape != target.shape:
        raise RuntimeError(
            f"{name}: output with shape {target.shape} doesn't match the broadcast shape "
            f"{result.shape}"
        )
    if category(result.dtype) > category(target.dtype):
        raise RuntimeError(
            f"{name}: result type {result.dtype} can't be cast to the tensor's {target.dtype}"
        )
    require_writable_memory(name, target.array)
    if result.array is not target.array:  # random numbers may be drawn where they stay
        target.array[...] = result.array
    target._version[0] += 1
    if result.requires_grad:
        rebase_history(target, result)


def copy_values(target: Tensor, value: Tensor) -> None:
    """`target.copy_(value)`; in blocks where `value` lies in a mapped file, to need no memory."""
    whole = value.shape == target.shape and target.is_contiguous() and value.is_contiguous()
    if not whole:
        target.copy_(value)  # type: ignore[attr-defined, unused-ignore]
        return
    flat, source = target.reshape(-1), value.reshape(-1)
    for part in mapped_blocks(source.array):
        flat[part].copy_(source[part])
