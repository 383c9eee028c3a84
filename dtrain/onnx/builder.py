"""`Builder`: adds nodes to one ONNX graph; a form of a primitive is written with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.onnx.proto import (
    Names,
    Unsupported,
    make_graph,
    make_node,
    make_tensor,
    make_value,
    onnx_type,
)
from dtrain.onnx.sizes import Dim, Repeated

#: An index after the end of every axis, for Slice.
END = np.iinfo(np.int64).max


class Wire:
    """A value of an ONNX graph.

    shape : of values of dtrain's graph, with a Dim where a size is dynamic; None of intermediates
    is_weak : a Python number, which does not decide the dtype of results
    """

    __slots__ = ("dtype", "is_weak", "name", "shape")

    def __init__(
        self, name: str, dtype: Any, shape: tuple[Any, ...] | None = None, is_weak: bool = False
    ):
        self.name: str = name
        self.is_weak: bool = is_weak
        self.dtype: Any = np.dtype(dtype)
        self.shape: Any = shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


class Builder:
    """The nodes of one graph, or of the body of a Scan in it.

    ``b.Add(x, y)`` adds a node and returns its output. Operands may be Wires, Python numbers or
    arrays, which become constants; a number has the dtype of the first Wire.
    """

    def __init__(self, names: Names, outer: Builder | None = None):
        self.names: Names = names
        self.nodes: list[Any] = []
        self.initializers: list[Any] = [] if outer is None else outer.initializers
        self._sizes: dict[Dim, Wire] = {} if outer is None else dict(outer._sizes)
        #: the first value, and its axis, that has each dynamic size
        self.sources: dict[Dim, tuple[Wire, int]] = {} if outer is None else dict(outer.sources)
        self._constants: dict[Any, Wire] = {} if outer is None else outer._constants

    # --- nodes ---

    def node(
        self, kind: str, inputs: Sequence[Any], outputs: Sequence[Any], **attributes: Any
    ) -> list[Wire]:
        """Add a node with outputs of the given dtypes."""
        dtype = next((x.dtype for x in inputs if isinstance(x, Wire)), np.dtype("float32"))
        names = ["" if x is None else self.wire(x, dtype).name for x in inputs]
        while names and not names[-1]:
            names.pop()
        made = [Wire(self.names.new(kind), dtype) for dtype in outputs]
        self.nodes.append(make_node(kind, names, [wire.name for wire in made], attributes))
        return made

    def __getattr__(self, kind: str) -> Callable[..., Wire]:
        if not kind[:1].isupper():
            raise AttributeError(kind)

        def add(*inputs: Any, dtype: Any = None, **attributes: Any) -> Wire:
            if dtype is None:
                dtype = _BOOLEAN.get(kind) or next(x.dtype for x in inputs if isinstance(x, Wire))
            return self.node(kind, inputs, [dtype], **attributes)[0]

        return add

    def wire(self, value: Any, dtype: Any = None) -> Wire:
        """A value as a Wire; a number gets `dtype`."""
        if isinstance(value, Wire):
            return value
        if isinstance(value, Dim):
            return self.cast(self.size(value), dtype or np.int64)
        if isinstance(value, (list, tuple)):
            return self.ints(value)
        if isinstance(value, (np.ndarray, np.generic)):
            return self.constant(np.asarray(value))
        return self.constant(np.asarray(value, dtype))

    def constant(self, array: np.ndarray, name: str = "") -> Wire:
        """An array as an initializer."""
        key = (array.dtype, array.shape, array.tobytes()) if array.size <= 64 and not name else None
        if key in self._constants:
            return self._constants[key]
        name = self.names.take(name) if name else self.names.new("constant")
        made = Wire(name, array.dtype, array.shape)
        self.initializers.append(make_tensor(array, name))
        if key is not None:
            self._constants[key] = made
        return made

    def subgraph(self, inputs: Sequence[Wire], outputs: Sequence[Wire]) -> Any:
        """This builder's nodes as the body of a node of the outer builder."""
        outputs = [self.Identity(wire) for wire in outputs]
        given = [make_value(wire.name, wire.dtype, _known_sizes(wire)) for wire in inputs]
        made = [make_value(wire.name, wire.dtype) for wire in outputs]
        return make_graph(self.names.new("body"), self.nodes, given, made, [])

    # --- sizes ---

    def size(self, dim: Dim) -> Wire:
        """A dynamic size as an int64 scalar."""
        if dim not in self._sizes:
            self._sizes[dim] = self._compute_size(dim)
        return self._sizes[dim]

    def note_sizes(self, x: Wire) -> None:
        """Note that the dynamic sizes of a value's shape can be had from it."""
        for axis, size in enumerate(x.shape or ()):
            if isinstance(size, Dim):
                self.sources.setdefault(size, (x, axis))

    def _compute_size(self, dim: Dim) -> Wire:
        """The size of an axis of a known value, or a multiple of one or two of them."""
        if dim in self.sources:
            x, axis = self.sources[dim]
            return self.Gather(self.Shape(x, dtype=np.int64), self.wire(axis, np.int64))
        for source in self.sources:
            found = source.affine_to(dim)
            if found is not None:
                factor, offset = found
                out = self.size(source)
                out = out if factor == 1 else self.Mul(out, factor)
                return out if offset == 0 else self.Add(out, offset)
        for first in self.sources:
            for second in self.sources:
                product = Dim(tuple(a * b for a, b in zip(first.values, second.values)))
                found = product.affine_to(dim)
                if found is not None and found[1] == 0:
                    return self.Mul(self.Mul(self.size(first), self.size(second)), found[0])
        raise Unsupported(
            f"a number that is {', '.join(map(str, dim.values))} for the sizes that were tried "
            "cannot be computed from the dynamic sizes"
        )

    def ints(self, items: Any) -> Wire:
        """Ints and Dims as a vector of int64."""
        if isinstance(items, Repeated):
            return self.Expand(self.ints([items.item]), self.ints([items.count]))
        items = list(items)
        if not any(isinstance(item, (Dim, Wire)) for item in items):
            return self.constant(np.asarray(items, np.int64).reshape(-1))
        parts = [self.Reshape(self.wire(item, np.int64), np.asarray([1])) for item in items]
        return parts[0] if len(parts) == 1 else self.Concat(*parts, axis=0)

    def shape_of(self, x: Wire) -> Wire:
        """The shape of a value as a vector: a constant where it is known."""
        return self.Shape(x, dtype=np.int64) if x.shape is None else self.ints(x.shape)

    def numel(self, items: Sequence[Any]) -> Any:
        """The product of ints and Dims: an int, or an int64 scalar."""
        known, dims = 1, [item for item in items if isinstance(item, Dim)]
        for item in items:
            known *= 1 if isinstance(item, Dim) else int(item)
        if not dims:
            return known
        out = self.size(dims[0])
        for dim in dims[1:]:
            out = self.Mul(out, self.size(dim))
        return out if known == 1 else self.Mul(out, known)

    # --- what most forms use ---

    def cast(self, x: Wire, dtype: Any) -> Wire:
        """A value as another dtype; the same one if it has that."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        made = self.Cast(x, dtype=dtype, to=onnx_type(dtype))
        made.shape = x.shape
        return made

    def promoted(self, *values: Any, dtype: Any = None) -> list[Wire]:
        """Operands in the dtype that NumPy gives their sum, or in `dtype`."""
        if dtype is None:
            dtype = np.result_type(*map(_kind, values))
        return [self.cast(self.wire(value, dtype), dtype) for value in values]

    def reshape(self, x: Wire, shape: Sequence[Any]) -> Wire:
        """A value in another shape, of ints and Dims."""
        made = self.Reshape(x, self.ints(shape), allowzero=1)
        made.shape = tuple(shape)
        return made

    def transpose(self, x: Wire, axes: Sequence[int]) -> Wire:
        """A value with its axes in another order."""
        if list(axes) == list(range(len(axes))):
            return x
        made = self.Transpose(x, perm=[int(axis) for axis in axes])
        made.shape = None if x.shape is None else tuple(x.shape[axis] for axis in axes)
        return made

    def squeeze(self, x: Wire, *axes: int) -> Wire:
        """A value without axes of length 1."""
        return self.Squeeze(x, self.ints(axes))

    def unsqueeze(self, x: Wire, *axes: int) -> Wire:
        """A value with further axes of length 1."""
        return self.Unsqueeze(x, self.ints(axes))

    def slice(self, x: Wire, axis: int, start: Any, stop: Any, step: int = 1) -> Wire:
        """A part of an axis."""
        return self.Slice(x, self.ints([start]), self.ints([stop]), self.ints([axis]),
                          self.ints([step]))  # fmt: skip

    def where(self, condition: Any, x: Any, y: Any, dtype: Any = None) -> Wire:
        """x where the condition holds, y elsewhere."""
        x, y = self.promoted(x, y, dtype=dtype)
        condition = self.cast(self.wire(condition), bool)
        if x.dtype == bool:  # ONNX Runtime has no Where of them
            return self.Or(self.And(condition, x), self.And(self.Not(condition), y))
        return self.Where(condition, x, y, dtype=x.dtype)

    def any_of(self, *conditions: Wire) -> Wire:
        """Whether one of several conditions holds."""
        out = conditions[0]
        for other in conditions[1:]:
            out = self.Or(out, other)
        return out

    def is_nan(self, x: Wire) -> Wire:
        """Whether each element is NaN."""
        return self.IsNaN(x) if x.dtype.kind == "f" else self.Not(self.Equal(x, x))

    def arange(self, count: Any) -> Wire:
        """0, 1, ... up to a count: an int, a Dim, or an int64 scalar."""
        if not isinstance(count, (Dim, Wire)):
            return self.constant(np.arange(count, dtype=np.int64))
        count = self.size(count) if isinstance(count, Dim) else count
        return self.Range(self.wire(0, np.int64), count, self.wire(1, np.int64))

    def full(self, shape: Sequence[Any], value: Any, dtype: Any) -> Wire:
        """A value in a shape of ints and Dims."""
        if not any(isinstance(item, Dim) for item in shape):
            return self.constant(np.full([int(n) for n in shape], value, dtype))
        return self.expand(self.constant(np.asarray(value, dtype)), shape)

    def expand(self, x: Wire, shape: Sequence[Any]) -> Wire:
        """A value broadcast to a shape of ints and Dims."""
        if any(isinstance(size, int) and size == 0 for size in shape):  # ONNX Runtime keeps 1
            return self.cast(self.ConstantOfShape(self.ints(shape), dtype=np.float32), x.dtype)
        return self.Expand(x, self.ints(shape))


def _known_sizes(wire: Wire) -> list[Any] | None:
    if wire.shape is None:
        return None
    return [None if isinstance(size, Dim) else int(size) for size in wire.shape]


_BOOLEAN = dict.fromkeys(
    ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor", "Not",
     "IsNaN", "IsInf"),
    np.dtype(bool),
)  # fmt: skip


def _kind(value: Any) -> Any:
    """What NumPy promotes by: a dtype, or a Python number."""
    if isinstance(value, Wire) and value.is_weak:
        return 1.0 if value.dtype.kind == "f" else 1
    if isinstance(value, Dim):
        return 1
    return value.dtype if isinstance(value, (Wire, np.ndarray, np.generic)) else value


def fixed(value: Any, what: str) -> Any:
    """A number that the form needs to know; refuses a dynamic size."""
    if isinstance(value, (Dim, Wire)):
        raise Unsupported(f"{what} depends on a dynamic size; leave that axis out of dynamic_axes")
    return value
