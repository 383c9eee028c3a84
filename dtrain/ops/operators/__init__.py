"""The table of operations: dtrain's public functions of tensors, and the methods of Tensor.

PyTorch's signatures live in the modules beside this one, the rules in `dtrain.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes
from dtrain.ops import arithmetic, index
from dtrain.ops.operators import elementwise, products, reductions, shapes
from dtrain.ops.operators.inplace import INPLACE
from dtrain.ops.operators.operands import to

#: Public functions that are methods too, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": arithmetic.abs,
    "add": elementwise.add,
    "addmm": products.addmm,
    "all": reductions.all,
    "amax": reductions.amax,
    "amin": reductions.amin,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "bmm": products.bmm,
    "ceil": arithmetic.ceil,
    "chunk": shapes.chunk,
    "clamp": elementwise.clamp,
    "clone": arithmetic.clone,
    "cos": elementwise.cos,
    "cumsum": reductions.cumsum,
    "div": elementwise.div,
    "dot": products.dot,
    "eq": elementwise.eq,
    "erf": elementwise.erf,
    "exp": elementwise.exp,
    "expm1": elementwise.expm1,
    "flatten": shapes.flatten,
    "flip": shapes.flip,
    "floor": arithmetic.floor,
    "gather": shapes.gather,
    "ge": elementwise.ge,
    "gt": elementwise.gt,
    "index_select": shapes.index_select,
    "isfinite": arithmetic.isfinite,
    "isinf": arithmetic.isinf,
    "isnan": arithmetic.isnan,
    "le": elementwise.le,
    "log": elementwise.log,
    "log10": elementwise.log10,
    "log1p": elementwise.log1p,
    "log2": elementwise.log2,
    "log_softmax": reductions.log_softmax,
    "logical_and": elementwise.logical_and,
    "logical_not": arithmetic.logical_not,
    "logical_or": elementwise.logical_or,
    "logsumexp": reductions.logsumexp,
    "lt": elementwise.lt,
    "masked_fill": elementwise.masked_fill,
    "matmul": products.matmul,
    "max": reductions.max,
    "maximum": elementwise.maximum,
    "mean": reductions.mean,
    "min": reductions.min,
    "minimum": elementwise.minimum,
    "mm": products.mm,
    "mul": elementwise.mul,
    "mv": products.mv,
    "narrow": shapes.narrow,
    "ne": elementwise.ne,
    "neg": arithmetic.neg,
    "norm": reductions.norm,
    "outer": products.outer,
    "permute": shapes.permute,
    "pow": elementwise.pow,
    "prod": reductions.prod,
    "reciprocal": elementwise.reciprocal,
    "reshape": shapes.reshape,
    "roll": shapes.roll,
    "round": arithmetic.round,
    "rsqrt": elementwise.rsqrt,
    "sigmoid": elementwise.sigmoid,
    "sign": arithmetic.sign,
    "sin": elementwise.sin,
    "softmax": reductions.softmax,
    "sort": reductions.sort,
    "split": shapes.split,
    "sqrt": elementwise.sqrt,
    "squeeze": shapes.squeeze,
    "std": reductions.std,
    "sub": elementwise.sub,
    "sum": reductions.sum,
    "t": shapes.t,
    "tanh": elementwise.tanh,
    "topk": reductions.topk,
    "transpose": shapes.transpose,
    "tril": shapes.tril,
    "triu": shapes.triu,
    "unbind": shapes.unbind,
    "unsqueeze": shapes.unsqueeze,
    "var": reductions.var,
}

#: What only a function is.
FREE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cat": shapes.cat,
    "stack": shapes.stack,
    "where": elementwise.where,
}


def _cast_to(dtype: Any) -> Callable[[Tensor], Tensor]:
    return lambda self: to(self, dtype)


#: What only a method is.
METHODS: dict[str, Callable[..., Any]] = {
    "contiguous": shapes.contiguous,
    "cpu": lambda self: to(self, "cpu"),
    "cuda": lambda self, device="cuda": to(self, device),
    "double": _cast_to(dtypes.float64),
    "expand": shapes.expand,
    "expand_as": lambda self, other: shapes.expand(self, other.shape),
    "float": _cast_to(dtypes.float32),
    "half": _cast_to(dtypes.float16),
    "int": _cast_to(dtypes.int32),
    "bool": _cast_to(dtypes.bool_),
    "long": _cast_to(dtypes.int64),
    "repeat": shapes.repeat,
    "reshape_as": lambda self, other: shapes.reshape(self, other.shape),
    "to": to,
    "type_as": lambda self, other: to(self, other.dtype),
    "view": shapes.view,
    "view_as": lambda self, other: shapes.view(self, other.shape),
}


def _reflected(operation: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: operation(other, self)


OPERATORS: dict[str, Callable[..., Any]] = {
    "__abs__": arithmetic.abs,
    "__add__": elementwise.add,
    "__eq__": elementwise.eq,
    "__ge__": elementwise.ge,
    "__getitem__": index.read,
    "__gt__": elementwise.gt,
    "__iadd__": INPLACE["add_"],
    "__imul__": INPLACE["mul_"],
    "__invert__": arithmetic.invert,
    "__isub__": INPLACE["sub_"],
    "__itruediv__": INPLACE["div_"],
    "__le__": elementwise.le,
    "__lt__": elementwise.lt,
    "__matmul__": products.matmul,
    "__mul__": elementwise.mul,
    "__ne__": elementwise.ne,
    "__neg__": arithmetic.neg,
    "__pow__": elementwise.pow,
    "__radd__": _reflected(elementwise.add),
    "__rmatmul__": _reflected(products.matmul),
    "__rmul__": _reflected(elementwise.mul),
    "__rpow__": _reflected(elementwise.pow),
    "__rsub__": _reflected(elementwise.sub),
    "__rtruediv__": _reflected(elementwise.div),
    "__setitem__": index.write,
    "__sub__": elementwise.sub,
    "__truediv__": elementwise.div,
}


#: What is written without parentheses.
PROPERTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "T": lambda self: shapes.permute(self, tuple(reversed(range(self.ndim)))),
    "mT": lambda self: shapes.transpose(self, -1, -2),
}


def _bind() -> None:
    for table in (FUNCTIONS, METHODS, INPLACE, OPERATORS):
        for name, function in table.items():
            setattr(Tensor, name, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))


_bind()
