"""Views and writes in place: a view's history follows its base's, and a base's its views'.

As in PyTorch, a write to a view is a write to part of its base, and whatever is a view of that
base is made again, from the base's new history, when it is next used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.autograd.gradient_array import conjugate
from dtrain.autograd.graph import Node
from dtrain.autograd.tensor import Tensor, is_recorded
from dtrain.backend import Array, array_module


class View:
    """View metadata: the base tensor, and how the view is made from it.

    base : the tensor whose memory the view shares; not a view itself
    history : the node that had made the base when the view's own history was made
    keeps_dtype : False if it goes from complex numbers to their parts, or back
    """

    __slots__ = ("_function", "_make", "_outer", "_static", "base", "history", "keeps_dtype")

    base: Tensor
    history: Node | None
    keeps_dtype: bool
    _outer: View | None
    _make: Callable[..., Tensor]
    _function: Callable[..., Any]
    _static: dict[str, Any]

    def operation(self, base: Tensor) -> Tensor:
        """The view of the base, by recorded operations."""
        source = base if self._outer is None else self._outer.operation(base)
        return self._make(source, **self._static)

    def part(self, array: Array) -> Array:
        """The view of an array of the base's shape."""
        source = array if self._outer is None else self._outer.part(array)
        return self._function(source, **self._static)[0]


def set_view_metadata(
    result: Tensor,
    source: Tensor,
    make: Callable[..., Tensor],
    function: Callable[..., Any],
    static: dict[str, Any],
    keeps_dtype: bool = True,
) -> Tensor:
    """Record `result` as a view of `source`, if they share memory; returns `result`.

    make, function : the operation, and the primitive, that made it with the `static` arguments
    """
    array, whole = result.array, source.array
    owner = array.base if type(array) is np.ndarray and array.size else None
    known = owner is not None and (owner is whole or owner is whole.base)  # of most views
    if not known and not array_module(array).may_share_memory(array, whole):
        return result
    result._version = source._version
    result._view = view = _new(View)  # what View(...) would do: a call less
    view._outer = outer = source._view
    view._make, view._function, view._static = make, function, static
    if outer is None:
        view.base, view.history, view.keeps_dtype = source, source._node, keeps_dtype
    else:
        view.base, view.history = outer.base, outer.history
        view.keeps_dtype = keeps_dtype and outer.keeps_dtype
    return result


_new = object.__new__


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
        set_view_metadata(
            part, g.tensor, view.operation, lambda array: (view.part(array), ()), {}, False
        )
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
