"""`RecordedArray`: a Tensor under an array's interface; `RecordedModule`: operations under NumPy's.

With `create_graph=True` the vjps of primitives, written for arrays, run on these: what they
compute is recorded, and can be differentiated again. Only the part of NumPy's interface that
primitives use is here; anything else is refused by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from dtrain.autograd.op import OPS
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module


class NotRecordable(Exception):
    """A vjp used something that cannot be recorded."""


class RecordedArray:
    """A Tensor with an array's interface. Comparisons and casts to integers give plain arrays."""

    __slots__ = ("tensor",)
    __array_ufunc__ = None  # NumPy and CuPy leave `array * recorded` to RecordedArray.__rmul__

    def __init__(self, tensor: Tensor):
        self.tensor: Tensor = tensor

    @property
    def array_module(self) -> RecordedModule:
        return RecordedModule(array_module(self.tensor.array))

    shape: property = property(lambda self: self.tensor.array.shape)
    dtype: property = property(lambda self: self.tensor.array.dtype)
    ndim: property = property(lambda self: self.tensor.array.ndim)
    size: property = property(lambda self: self.tensor.array.size)
    T = property(lambda self: self.transpose())
    real = property(lambda self: _run("real", self))
    imag = property(lambda self: _run("imag", self))

    def conj(self) -> RecordedArray:
        return _run("conj", self) if self.dtype.kind == "c" else self

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotRecordable("its gradient needs the values of an array")

    def sum(self, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> RecordedArray:
        return _run("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> RecordedArray:
        return _run("mean", self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> RecordedArray:
        return _run("amax", self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> RecordedArray:
        return _run("prod", self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> RecordedArray:
        return _run("reshape", self, shape=shape[0] if isinstance(shape[0], tuple) else shape)

    def transpose(self, axes: Sequence[int] | None = None) -> RecordedArray:
        return _run("permute", self, axes=tuple(range(self.ndim))[::-1] if axes is None else axes)

    def swapaxes(self, first: int, second: int) -> RecordedArray:
        axes = list(range(self.ndim))
        axes[first], axes[second] = axes[second], axes[first]
        return self.transpose(tuple(axes))

    def squeeze(self, axis: Any) -> RecordedArray:
        gone = {i % self.ndim for i in (axis if isinstance(axis, tuple) else (axis,))}
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in gone))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> RecordedArray:
        return _run("diagonal", self, offset=offset, axis1=axis1, axis2=axis2)

    def clip(self, low: Any, high: Any) -> RecordedArray:
        return _run("clamp", self, min=low, max=high)

    def copy(self) -> RecordedArray:
        return _run("clone", self)

    def astype(self, dtype: Any) -> Any:
        if np.dtype(dtype).kind in "biu":
            return self.tensor.array.astype(dtype)
        return _run("cast", self, dtype=np.dtype(dtype))

    def __getitem__(self, index: Any) -> RecordedArray:
        return _run("getitem", self, index=index if isinstance(index, tuple) else (index,))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(value, (RecordedArray, int, float)):
            value = RecordedArray(wrap(value))
        self.tensor[index] = _operand(value)

    def __len__(self) -> int:
        return self.shape[0]

    def __neg__(self) -> RecordedArray:
        return _run("neg", self)


def _operand(value: Any) -> Any:
    return value.tensor if isinstance(value, RecordedArray) else value


def _values(value: Any) -> Any:
    return value.tensor.array if isinstance(value, RecordedArray) else value


def _run(name: str, *inputs: Any, **static: Any) -> RecordedArray:
    """An operation by the name it has in OPS."""
    return RecordedArray(OPS[name](*map(_operand, inputs), **static))


def _arithmetic(name: str, swapped: bool) -> Callable:
    return lambda x, y: _run(name, y, x) if swapped else _run(name, x, y)


def _comparison(compare: Callable) -> Callable:
    return lambda x, y: compare(_values(x), _values(y))


for _python, _name in {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow", "matmul": "matmul",
}.items():  # fmt: skip
    setattr(RecordedArray, f"__{_python}__", _arithmetic(_name, swapped=False))
    setattr(RecordedArray, f"__r{_python}__", _arithmetic(_name, swapped=True))
for _python in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(RecordedArray, f"__{_python}__", _comparison(getattr(operator, _python)))

#: NumPy's names for operations that have another name here.
_RENAMED = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "arctan2": "atan2", "ascontiguousarray": "contiguous", "rint": "round",
}  # fmt: skip

_VALUES_ONLY = {"isfinite", "isnan", "isinf", "signbit", "may_share_memory"}


class RecordedModule:
    """The operations of dtrain, under the names and signatures that an array module has for them.

    A function that is given no RecordedArray is the array module's own. New floating arrays are
    recorded, because parts of others may be written to them.
    """

    def __init__(self, plain: Any):
        self._plain = plain
        self.add: _Add = _Add(plain)

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._plain, name, None)
        if isinstance(plain, ModuleType):
            return RecordedModule(plain)
        if isinstance(plain, type) or (plain is not None and not callable(plain)):
            return plain
        renamed = _RENAMED.get(name, name)

        def function(*args: Any, **static: Any) -> Any:
            recorded = any(isinstance(x, RecordedArray) for x in args)
            if plain is not None and (not recorded or name in _VALUES_ONLY):
                return plain(*map(_values, args), **static)
            if renamed not in OPS:
                raise NotRecordable(f"`{name}` in its gradient is no operation of dtrain")
            return _run(renamed, *args, **static)

        return function

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        if not isinstance(x, RecordedArray) and not isinstance(y, RecordedArray):
            return self._plain.where(condition, x, y)
        return _run("where", x, y, condition=_values(condition))

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return x.sum(axis, keepdims=keepdims)

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        return x.clip(low, high)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        return x.reshape(shape)

    def broadcast_to(self, x: Any, shape: tuple[int, ...]) -> Any:
        return self._of_one("expand", "broadcast_to", x, shape=shape)

    def flip(self, x: Any, axis: Any) -> Any:
        axes = (axis,) if isinstance(axis, int) else axis
        return self._of_one("flip_view", "flip", x, axes=axes)

    def tril(self, x: Any, diagonal: int = 0) -> Any:
        return self._of_one("tril", "tril", x, diagonal=diagonal)

    def triu(self, x: Any, diagonal: int = 0) -> Any:
        return self._of_one("triu", "triu", x, diagonal=diagonal)

    def roll(self, x: Any, shifts: Any, axis: Any) -> Any:
        return self._of_one("roll", "roll", x, shifts=shifts, axis=axis)

    def cumsum(self, x: Any, axis: int) -> Any:
        return self._of_one("cumsum", "cumsum", x, axis=axis)

    def cumprod(self, x: Any, axis: int) -> Any:
        return self._of_one("cumprod", "cumprod", x, axis=axis)

    def _of_one(self, name: str, numpy_name: str, x: Any, **static: Any) -> Any:
        """An operation whose static arguments stand in NumPy's order."""
        if isinstance(x, RecordedArray):
            return _run(name, x, **static)
        return getattr(self._plain, numpy_name)(x, *static.values())

    def expand_dims(self, x: Any, axis: Any) -> Any:
        new = axis if isinstance(axis, tuple) else (axis,)
        ndim = len(x.shape) + len(new)
        places = {i % ndim for i in new}
        lengths = iter(x.shape)
        return x.reshape(tuple(1 if i in places else next(lengths) for i in range(ndim)))

    def moveaxis(self, x: Any, source: Any, to: Any) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.moveaxis(x, source, to)
        moved = [i % x.ndim for i in (source if isinstance(source, tuple) else (source,))]
        order = [i for i in range(x.ndim) if i not in moved]
        for place, i in sorted(zip((to if isinstance(to, tuple) else (to,)), moved)):
            order.insert(place % x.ndim, i)
        return x.transpose(tuple(order))

    def concatenate(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        if not any(isinstance(x, RecordedArray) for x in arrays):
            return self._plain.concatenate(arrays, axis)
        return _run("cat", *arrays, axis=axis)

    def take(self, x: Any, index: Array, axis: int) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.take(x, index, axis)
        place = (*(slice(None),) * axis, index)
        return x[place]

    def take_along_axis(self, x: Any, index: Array, axis: int) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.take_along_axis(x, index, axis)
        return _run("gather", x, axis=axis % x.ndim, index=index)

    def pad(self, x: Any, widths: Any, constant_values: float = 0) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.pad(x, widths, constant_values=constant_values)
        return _run("pad_constant", x, widths=widths, value=constant_values)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.asarray(x, dtype)
        return x if dtype is None else x.astype(dtype)

    def svd(self, x: Any, full_matrices: bool = True) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.svd(x, full_matrices)
        parts, m = _run("svd", x), x.shape[-2]
        if full_matrices and m != x.shape[-1]:
            raise NotRecordable("its gradient needs the full svd of a matrix that is not square")
        adjoint, values = parts[..., m:-1, :].swapaxes(-1, -2).conj(), parts[..., -1, :]
        return parts[..., :m, :], values.real if values.dtype.kind == "c" else values, adjoint

    def array(self, x: Any, dtype: Any = None, ndmin: int = 0) -> Any:
        if not isinstance(x, RecordedArray):
            return self._plain.array(x, dtype, ndmin=ndmin)
        return x.reshape((1,) * (ndmin - x.ndim) + x.shape).copy()


class _Add:
    """`add`, and `add.at`."""

    def __init__(self, plain: Any):
        self._plain = plain

    def __call__(self, x: Any, y: Any) -> Any:
        return x + y

    def at(self, x: Any, index: Any, values: Any) -> None:
        if not isinstance(x, RecordedArray):
            self._plain.add.at(x, index, values)
        else:
            x.tensor = OPS["put"](x.tensor, _operand(values), index=index, accumulate=True)


def _creation(name: str) -> Callable:
    def create(self: RecordedModule, *args: Any, **static: Any) -> Any:
        made = getattr(self._plain, name)(*map(_values, args), **static)
        return RecordedArray(wrap(made)) if made.dtype.kind in "fc" else made

    return create


for _name in ("zeros", "ones", "empty", "full", "eye"):
    setattr(RecordedModule, _name, _creation(_name))
    if _name != "eye":
        setattr(RecordedModule, f"{_name}_like", _creation(f"{_name}_like"))
