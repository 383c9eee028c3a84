"""The operators of Tensor, by the name of their method: `x + y` is `__add__`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions import arithmetic, comparison, products, rounding
from dtrain.functions.inplace import make_inplace
from dtrain.functions.operands import Number
from dtrain.functions.subscripts import getitem, setitem

#: The function of each binary operator, by the name of its method without underscores.
_BINARY: dict[str, Callable[..., Tensor]] = {
    "add": arithmetic.add,
    "and": comparison.bitwise_and,
    "floordiv": rounding.floor_divide,
    "lshift": comparison.bitwise_left_shift,
    "matmul": products.matmul,
    "mod": rounding.remainder,
    "mul": arithmetic.mul,
    "or": comparison.bitwise_or,
    "pow": arithmetic.pow,
    "rshift": comparison.bitwise_right_shift,
    "sub": arithmetic.sub,
    "truediv": arithmetic.div,
    "xor": comparison.bitwise_xor,
}


def make_reflected(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make the method `name`, such as `__radd__`: operation(other, self)."""

    def reflected(self: Tensor, other: Tensor | Number) -> Tensor:
        return operation(other, self)

    reflected.__name__, reflected.__qualname__ = name, f"Tensor.{name}"
    reflected.__doc__ = f"`{operation.__name__}` with its operands exchanged (torch.Tensor.{name})."
    return reflected


OPERATORS: dict[str, Callable[..., Any]] = {
    **{f"__{name}__": function for name, function in _BINARY.items()},
    **{f"__r{name}__": make_reflected(f"__r{name}__", f) for name, f in _BINARY.items()},
    **{f"__i{name}__": make_inplace(f"__i{name}__", f) for name, f in _BINARY.items()},
    "__abs__": arithmetic.abs,
    "__eq__": comparison.eq,
    "__ge__": comparison.ge,
    "__getitem__": getitem,
    "__gt__": comparison.gt,
    "__invert__": comparison.bitwise_not,
    "__le__": comparison.le,
    "__lt__": comparison.lt,
    "__ne__": comparison.ne,
    "__neg__": arithmetic.neg,
    "__pos__": arithmetic.positive,
    "__rdiv__": make_reflected("__rdiv__", arithmetic.div),
    "__setitem__": setitem,
}
del OPERATORS["__imatmul__"]  # x @= y is x = x @ y: the shape may change
