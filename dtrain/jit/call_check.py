"""`has_bits_of`: whether a row of a table gives the bits of the call that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_places import Place
from dtrain.jit.native_calls import Rows

#: The most rows of a table for one call.
MAX_ROWS = 64


def has_bits_of(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> bool:
    """Whether a row for a call gives the bits of the call itself."""
    from dtrain.backend.kernels.cpu import call_table

    given: list[np.ndarray] = []
    rng = np.random.default_rng(0)

    def stand_in(place: Any) -> Any:
        """The Place of a new array of random numbers for a Place; any other argument itself."""
        if not isinstance(place, Place):
            return place
        size = sum((n - 1) * s for n, s in zip(place.shape, place.strides))
        drawn: Any = place.dtype.type if place.dtype.char in "fd" else np.float64
        flat = rng.standard_normal(size // place.dtype.itemsize + 1, drawn)
        flat = flat.astype(place.dtype, copy=False)
        flat[:: flat.size // 7 + 1] = -0.0
        given.append(flat)
        return place._replace(memory=len(given), offset=0)

    places = [stand_in(arg) for arg in args]
    arrays = [_array(given, place) for place in places]
    results = [stand_in(place) for place in outputs]
    rows = Rows(len(given) + 1)
    if not rows.add(call, places, results) or len(rows.rows) > MAX_ROWS:
        return False
    everything = (*given, *rows.constants)
    with np.errstate(all="ignore"):
        kwargs = {} if isinstance(call.function, np.ufunc) else call.kwargs
        function: Callable[..., Any] = call.function
        expected = function(*arrays, **kwargs)
    memory = np.empty(len(everything) + 1, np.int64)
    if not call_table.run_table(rows.table(), 0, id(everything), memory):
        return False
    expected = expected if type(expected) is tuple else (expected,)
    found = [_array(given, place) for place in results]
    return all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in zip(expected, found))


def _array(given: Sequence[np.ndarray], place: Any) -> Any:
    if not isinstance(place, Place):
        return place
    return np.ndarray(place.shape, place.dtype, given[place.memory - 1], 0, place.strides)
