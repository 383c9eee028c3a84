"""Places of a sparse tensor's values in row-major order, and sums of values at one place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating
from dtrain.primitives import embedding as primitives
from dtrain.primitives.complex_numbers import view_as_complex, view_as_real


def row_major_places(coordinates: Array, sizes: Sequence[int]) -> Array:
    """The flat, row-major index of each value in the sparse dimensions."""
    places = array_module(coordinates).zeros(coordinates.shape[1], "int64")
    for row, size in zip(coordinates, sizes):
        places = places * size + row
    return places


def sum_by_place(values: Tensor, places: Array, count: int) -> Tensor:
    """The sums of the values at each of `count` places, (count, *dense sizes)."""
    if values.is_complex():
        return view_as_complex(sum_by_place(view_as_real(values), places, count))
    dense = tuple(values.shape[1:])
    if is_floating(values.dtype):
        flat = values.reshape(len(places), math.prod(dense))
        return primitives.bag_sum(flat, bag=places, count=count).reshape(count, *dense)
    xp = array_module(places)
    sums = xp.zeros((count, *dense), values.dtype)
    xp.add.at(sums, places, values.array)
    return wrap(sums)
