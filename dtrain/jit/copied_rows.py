"""Calls that move elements, as copies of one array into a part of another (`row_blocks.py`)."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import call_method
from dtrain.jit.array_places import Place, c_strides, place_view


def as_copies(
    call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]
) -> list[tuple[ArrayCall, list[Any], list[Place]]]:
    """The copies that a call consists of, each with arguments and outputs; the call itself if it
    does more; none if it moves elements in a way that is not foreseen."""
    function: Any = call.function
    if function is operator.setitem:
        target, index, source = args
        get = ArrayCall("array.getitem", operator.getitem, (target, index), {}, [], False, "")
        part = place_view(get, target)
        return _copies([(source, part)])
    if function is call_method and args[0] == "reshape":
        (out,), source = outputs, args[1]
        strides = c_strides(source.shape, source.dtype)
        part = out._replace(shape=source.shape, strides=strides) if out.is_ordered else None
        return _copies([(source, part)])
    if function is np.concatenate:
        (out,), (sources, *axes) = outputs, args
        axis = (axes[0] if axes else 0) % len(out.shape)
        pairs, start = [], 0
        for source in sources:
            shape = (*out.shape[:axis], source.shape[axis], *out.shape[axis + 1 :])
            part = out._replace(offset=out.offset + start * out.strides[axis], shape=shape)
            pairs.append((source, part))
            start += source.shape[axis]
        return _copies(pairs)
    return [(call, list(args), list(outputs))]


def _copies(pairs: Sequence[tuple[Any, Place | None]]) -> list[Any]:
    if not all(
        isinstance(source, Place) and part is not None and (source[2::2] == part[2::2])
        for source, part in pairs
    ):
        return []
    copy = ArrayCall("numpy.positive", np.positive, (), {}, [], False, "")
    return [(copy, [source], [part]) for source, part in pairs]
