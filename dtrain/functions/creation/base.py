"""Shared by all functions that make tensors: options, shapes, numbers."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypedDict, cast

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, cuda_device_count
from dtrain.backend.device import DeviceLike as DeviceLike
from dtrain.backend.dtypes import DTypeLike, category, iinfo
from dtrain.backend.pinned import pin

P = ParamSpec("P")


class TensorOptions(TypedDict, total=False):
    """The keywords of a function that makes tensors, as in ``**options: Unpack[TensorOptions]``."""

    dtype: DTypeLike
    device: DeviceLike
    requires_grad: bool


#: Annotation and default of each of the TensorOptions.
_OPTIONS = {
    "dtype": ("DTypeLike", None),
    "device": ("DeviceLike", None),
    "requires_grad": ("bool", False),
}

#: PyTorch's options for the memory: annotation and default of each. The first two have no effect.
_LAYOUT = {
    "layout": ("Any", None),
    "memory_format": ("Any", None),
    "pin_memory": ("bool", False),
}


def make_leaf(array: Array, requires_grad: bool) -> Tensor:
    """A leaf tensor around a new array."""
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


def factory(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Decorator of public functions that make tensors.

    Adds the parameters `out=`, `size=` for a shape given as `*size`, and PyTorch's options for the
    memory. TensorOptions appear in the signature one by one. `pin_memory` needs a GPU.
    """
    signature = _expand_options(inspect.signature(make))
    keywords = set(signature.parameters)
    sizes = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())

    @functools.wraps(make)
    def called(*args: Any, **kwargs: Any) -> Tensor:
        pins = kwargs.pop("pin_memory", False)
        for name in _LAYOUT:
            kwargs.pop(name, None)
        if sizes and "size" in kwargs:
            args = (kwargs.pop("size"), *args)
        if sizes and not args:
            raise TypeError(f"{make.__name__}: expected a size")
        if unknown := kwargs.keys() - keywords - {"out"}:
            raise TypeError(f"{make.__name__}: got unexpected keyword arguments {sorted(unknown)}")
        if (out := kwargs.pop("out", None)) is None:
            made = make(*args, **kwargs)
            if pins and cuda_device_count() and not made.is_cuda:
                made.data = wrap(pin(made.array))
            return made
        kwargs.setdefault("dtype", out.dtype)
        out.data = make(*args, **kwargs)
        return out

    options = {"out": ("Tensor | None", None), **_LAYOUT}
    called.__signature__ = add_keywords(signature, **options)  # type: ignore[attr-defined]
    return cast("Callable[P, Tensor]", called)


def _expand_options(signature: inspect.Signature) -> inspect.Signature:
    """Replace `**options` of a signature by the TensorOptions."""
    parameters = list(signature.parameters.values())
    if not parameters or parameters[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return signature
    return add_keywords(signature.replace(parameters=parameters[:-1]), **_OPTIONS)


def add_keywords(signature: inspect.Signature, **keywords: tuple[str, Any]) -> inspect.Signature:
    """A signature with further keyword-only parameters, each given as (annotation, default)."""
    parameters = list(signature.parameters.values())
    last = -1 if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD else len(parameters)
    parameters[last:last] = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=text)
        for name, (text, default) in keywords.items()
        if name not in signature.parameters
    ]
    return signature.replace(parameters=parameters)


def parse_shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape given as `f(2, 3)` or `f((2, 3))`."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    try:
        shape = tuple(operator.index(n) for n in size)
    except TypeError:
        raise TypeError(f"expected integers as the dimensions of a tensor, got {size}") from None
    if any(n < 0 for n in shape):
        raise RuntimeError(f"a tensor's dimensions must not be negative, got {shape}")
    return shape


def convert_number(value: Any, dtype: np.dtype) -> Any:
    """A number, or a 0-d tensor's, as a dtype can hold it; one too large is refused."""
    value = value.item() if isinstance(value, Tensor) else value
    if isinstance(value, complex) and dtype.kind != "c":
        raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
    if category(dtype) != 1:
        return value
    limits = iinfo(dtype)
    if not -limits.max - 1 <= value <= limits.max:  # NaN too
        raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
    return np.asarray(int(value)).astype(dtype).item()
