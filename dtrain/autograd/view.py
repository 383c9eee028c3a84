"""Views and writes in place: a view's history follows its base's, and a base's its views'.

As in PyTorch, a write to a view is a write to part of its base, and whatever is a view of that
base is made again, from the base's new history, when it is next used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.autograd.gradient_array import conjugate
from dtrain.autograd.graph import Node
from dtrain.autograd.tensor import Tensor, is_recorded
from dtrain.backend import Array, array_module


@dataclass
class View:
    """View metadata: the base tensor, and how the view is made from it.

    base : the tensor whose memory the view shares; not a view itself
    history : the node that had made the base when the view's own history was made
    operation : makes the view of the base, by recorded operations
    part : the view of an array of the base's shape
    keeps_dtype : False if it goes from complex numbers to their parts, or back
    """

    base: Tensor
    history: Node | None
    operation: Callable[[Tensor], Tensor]
    part: Callable[[Array], Array]
    keeps_dtype: bool = True


def set_view_metadata(
    result: Tensor,
    source: Any,
    operation: Callable[[Tensor], Tensor],
    part: Callable[[Array], Array],
    keeps_dtype: bool = True,
) -> None:
    """Record `result` as a view, made by `operation(source)`, if they share memory."""
    if not isinstance(source, Tensor) or not _share_memory(result.array, source.array):
        return
    result._version = source._version
    outer = source._view
    if outer is None:
        result._view = View(source, source._node, operation, part, keeps_dtype)
    else:
        result._view = View(
            outer.base,
            outer.history,
            lambda base: operation(outer.operation(base)),
            lambda array: part(outer.part(array)),
            keeps_dtype and outer.keeps_dtype,
        )


def _share_memory(array: Array, source: Array) -> bool:
    if type(array) is np.ndarray and array.size:
        base = array.base
        if base is not None and (base is source or base is source.base):  # most views
            return True
    return array_module(array).may_share_memory(array, source)


def rebase_history(target: Tensor, result: Tensor) -> None:
    """Rebase `target`'s autograd history onto `result` after an in-place write."""
    view = target._view
    if view is None:
        target._node, target._requires_grad = result._node, True
        return
    base, shape = view.base, target.shape
    whole, xp = base.shape, array_module(base.array)

    def indices() -> Array:
        """The indices of the view's elements in the flat base."""
        return view.part(xp.arange(math.prod(whole)).reshape(whole)).reshape(-1)

    def grad_base(g: Array) -> Array:
        flat = xp.array(g).reshape(-1)
        flat[indices()] = 0
        return flat.reshape(g.shape)

    def grad_result(g: Array) -> Array:
        return g.reshape(-1)[indices()].reshape(shape)

    def part_of(g: Array) -> Array:
        if not is_recorded(g):
            return view.part(g)
        part = view.operation(g.tensor)
        set_view_metadata(part, g.tensor, view.operation, view.part, keeps_dtype=False)
        return type(g)(part)

    def grad_base_of_parts(g: Array) -> Array:
        rest = array_module(g).array(g)
        part_of(rest)[...] = 0
        return rest

    def grad_result_of_parts(g: Array) -> Array:
        return conjugate(part_of(conjugate(g)))

    of_parts = (grad_base_of_parts, grad_result_of_parts)
    vjps = (grad_base, grad_result) if view.keeps_dtype else of_parts
    edges = (base._graph_edge(), result._graph_edge())
    base._node = Node("write to a view", edges, vjps, base.array)
    base._requires_grad = True
