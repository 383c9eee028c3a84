"""Items of tensors by indices that are tensors of one number: those of a loop's turn, as a rule."""

from __future__ import annotations

import operator
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.places import find_place
from dtrain.onnx.proto import Unsupported

_EVERY = slice(None)


def get_item(value: Any, index: Any) -> Any:
    """``value[index]``."""
    found = _split(value, index)
    if found is None:
        return operator.getitem(value, index)
    part, numbers = found
    for axis, number in reversed(numbers):
        part = part[(_EVERY,) * axis + (number.reshape(1),)].squeeze(axis)
    return part


def set_item(value: Any, index: Any, new: Any) -> None:
    """``value[index] = new``."""
    found = _split(value, index)
    if found is None:
        operator.setitem(value, index, new)
        return
    part, numbers = found
    if len(numbers) > 1:
        for axis, number in numbers[:0:-1]:
            part = part.select(axis, int(number))  # refused, as it reads the number
    axis, number = numbers[0]
    if isinstance(new, Tensor) and new.ndim:
        shape = part.shape[:axis] + part.shape[axis + 1 :]
        new = new.expand(shape).unsqueeze(axis)
    part[(_EVERY,) * axis + (number.reshape(1),)] = new


def _split(value: Any, index: Any) -> tuple[Tensor, list[tuple[int, Tensor]]] | None:
    """What the other parts of an index give, and the (axis, index) of each number; None if there
    is none, or it stands beside arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, slice) and _has_tensor(part) for part in parts):
        raise Unsupported(f"{find_place()}: a slice between tensors has no size that is known")
    if not isinstance(value, Tensor) or not any(map(_is_number, parts)):
        return None
    if not all(_is_number(p) or _is_basic(p) for p in parts):
        return None
    used = sum(part is not None and part is not Ellipsis for part in parts)
    axis, numbers = 0, []
    for part in parts:
        if _is_number(part):
            numbers.append((axis, part))
        if part is Ellipsis:
            axis += value.ndim - used
        elif not isinstance(part, int):
            axis += 1
    basic = tuple(_EVERY if _is_number(part) else part for part in parts)
    return (value if all(part == _EVERY for part in basic) else value[basic]), numbers


def _is_number(part: Any) -> bool:
    return isinstance(part, Tensor) and not part.ndim and part.dtype.kind in "iu"


def _is_basic(part: Any) -> bool:
    return isinstance(part, slice) or part is None or part is Ellipsis or type(part) is int


def _has_tensor(part: slice) -> bool:
    return any(isinstance(x, (Tensor, NumberProxy)) for x in (part.start, part.stop, part.step))
