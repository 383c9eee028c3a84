"""`Size`: the shape of a tensor, a tuple with `numel()`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


class Size(tuple[int, ...]):
    """A tuple of dimensions (torch.Size).

    >>> Size([2, 3]), Size([2, 3]).numel(), Size([2, 3])[1:]
    (dtrain.Size([2, 3]), 6, dtrain.Size([3]))
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size((*self, *other))

    def __radd__(self, other: Iterable[int]) -> Size:
        return Size((*other, *self))

    def __mul__(self, times: Any) -> Size:
        return Size(tuple(self) * times)

    def __rmul__(self, times: Any) -> Size:
        return self * times

    def __repr__(self) -> str:
        return f"dtrain.Size({list(self)})"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:  # error messages show a plain tuple
        return format(str(tuple(self)), spec)
