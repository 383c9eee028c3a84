"""Views and writes in place: a view's history follows its base's, and a base's its views'.

As in PyTorch, a write to a view is a write to part of its base, and whatever is a view of that
base is made again, from the base's new history, when it is next used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtrain.autograd.graph import Node
from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array, array_module


@dataclass
class View:
    """View metadata: the base tensor, and how the view is made from it.

    base : the tensor whose memory the view shares; not a view itself
    history : the node that had made the base when the view's own history was made
    operation : makes the view of the base, by recorded operations
    part : the view of an array of the base's shape
    """

    base: Tensor
    history: Node | None
    operation: Callable[[Tensor], Tensor]
    part: Callable[[Array], Array]


def set_view_metadata(
    result: Tensor,
    source: Any,
    operation: Callable[[Tensor], Tensor],
    part: Callable[[Array], Array],
) -> None:
    """Record `result` as a view, made by `operation(source)`, if they share memory."""
    shared = isinstance(source, Tensor) and array_module(result.array).may_share_memory(
        result.array, source.array
    )
    if not shared:
        return
    result._version = source._version
    outer = source._view
    if outer is None:
        result._view = View(source, source._node, operation, part)
    else:
        result._view = View(
            outer.base,
            outer.history,
            lambda base: operation(outer.operation(base)),
            lambda array: part(outer.part(array)),
        )


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

    edges = (base._graph_edge(), result._graph_edge())
    base._node = Node("write to a view", edges, (grad_base, grad_result), base.array)
    base._requires_grad = True
