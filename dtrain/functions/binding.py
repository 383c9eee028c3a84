"""Binds functions to public names and to methods: with `out=` and NumPy's parameter names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar, cast

from dtrain.autograd import grad_mode
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import can_cast
from dtrain.functions.autocast import without_autocast
from dtrain.functions.creation.base import add_keywords

F = TypeVar("F", bound=Callable[..., Any])

#: Other names of parameters: NumPy's, and those that torch.linalg's have in its documentation
_OTHER_NAMES = (
    *((name, "input") for name in ("a", "x", "x1", "A")),
    *((name, "A") for name in ("a", "x", "input")),
    ("axis", "dim"),
    ("keepdims", "keepdim"),
    ("x2", "other"),
)

#: Functions whose first operand may be a number; of those of _TWO_NUMBERS both may.
_NUMBER_FIRST = {
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "float_power",
    "pow",
    "remainder",
    "xlogy",
}
_TWO_NUMBERS = {"add", "div", "floor_divide", "mul", "sub", "true_divide"}


#: Each function is bound twice, as a function and as a method: its signature is read once.
_signature = functools.cache(inspect.signature)


def _parameter_aliases(function: Callable[..., Any]) -> dict[str, str]:
    """Other names of the parameters of a function -> their own names."""
    own = _signature(function).parameters
    return {name: torchs for name, torchs in _OTHER_NAMES if torchs in own and name not in own}


def _rename_keywords(kwargs: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in kwargs.items()}


def select(module: ModuleType, names: str) -> dict[str, Callable[..., Any]]:
    """The functions of a module with these names, which are separated by spaces, by name."""
    return {name: getattr(module, name) for name in names.split()}


def bind_method(function: F) -> F:
    """A function as a method: one with dimensions takes `axis` and `keepdims` too."""
    names = _parameter_aliases(function)
    if "axis" not in names:
        return function

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **_rename_keywords(kwargs, names)) if kwargs else function(*args)

    return cast(F, called)


def bind_function(
    function: Callable[..., Any], requires_tensor: bool, name: str | None = None
) -> Callable[..., Any]:
    """A function as the user calls it, by `name`: with `out=` and NumPy's parameter names.

    With `requires_tensor` it refuses a first argument that is no tensor.
    """
    names = _parameter_aliases(function)
    own_name, public_name = function.__name__, name or function.__name__
    first = next(iter(_signature(function).parameters))

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        out = None
        if kwargs:
            kwargs = _rename_keywords(kwargs, names)
            out = kwargs.pop("out", None)
        if requires_tensor and not (args and isinstance(args[0], Tensor)):
            given = args[0] if args else kwargs.get(first, kwargs.get("self"))
            _require_tensor(own_name, public_name, given, [*args, *kwargs.values()])
        if out is None:
            return function(*args, **kwargs)
        return write_out(public_name, out, without_autocast(function, *args, **kwargs))

    called.__name__ = called.__qualname__ = public_name
    called.parameter_aliases = names  # type: ignore[attr-defined]
    called.__signature__ = _with_out(_signature(function))  # type: ignore[attr-defined]
    return called


def _with_out(signature: inspect.Signature) -> inspect.Signature:
    """A signature with `out=`, if the function returns a tensor or a named tuple of tensors."""
    result = signature.return_annotation
    if result in ("bool", "int", "Any", "np.dtype") or str(result).startswith("tuple"):
        return signature
    annotation = "Tensor | None" if result == "Tensor" else "tuple[Tensor, ...] | None"
    return add_keywords(signature, out=(annotation, None))


def _require_tensor(own_name: str, name: str, first: Any, operands: list[Any]) -> None:
    numbers_fit = own_name in _TWO_NUMBERS or (
        own_name in _NUMBER_FIRST and any(isinstance(x, Tensor) for x in operands)
    )
    if not isinstance(first, Tensor) and not (
        numbers_fit and isinstance(first, (int, float, complex))
    ):
        raise TypeError(f"{name}: expected a tensor as input, got {type(first).__name__}")


def write_out(name: str, out: Any, result: Any) -> Any:
    """Write a result, or several, into the tensors given as `out`; returns them."""
    if isinstance(result, (tuple, list)):
        if len(out) != len(result):
            raise TypeError(f"{name}: expected {len(result)} tensors as out, got {len(out)}")
        written = [write_out(name, o, r) for o, r in zip(out, result)]
        return type(result)(*written) if hasattr(result, "_fields") else type(result)(written)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}: expected a tensor as out, got {type(out).__name__}")
    if grad_mode.is_grad_enabled() and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            f"{name}: out=... cannot be differentiated, and an argument requires grad; drop "
            "out, or call it under no_grad()"
        )
    if result.device != out.device:
        raise RuntimeError(f"{name}: the result is on {result.device}, out on {out.device}")
    if not can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"{name}: result type {result.dtype} can't be cast to the dtype of out, {out.dtype}"
        )
    if out.shape == result.shape:
        out.array[...] = result.array
    else:  # it grows or shrinks, as in PyTorch
        out.array = result.array.astype(out.dtype)
    out._version[0] += 1
    return out
