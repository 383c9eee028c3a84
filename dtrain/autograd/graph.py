"""The graph of recorded operations and the backward pass over it.

Nodes link to nodes, and to the leaf tensors whose gradients are wanted; arrays are held by the
gradient functions alone, so what no gradient function needs is freed during the forward pass.
"""

from __future__ import annotations

import itertools
import operator
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.anomaly import call_stack, refuse_nan, state as anomaly
from dtrain.autograd.primitive import VJP, Primitive
from dtrain.backend import Array, on_device_of
from dtrain.backend.dtypes import float32, is_half

_order = itertools.count()


class Node:
    """One recorded operation: from the gradient of its output to those of its inputs.

    primitive : the Primitive that was run; the name of an operation that is none
    parents : for each input the Node that made it, the leaf Tensor that it is, or None
    vjps : the gradient functions, one for each input; None once they are freed
    saved : for each value that a vjp keeps (its index, its version counter, its version then);
        None for one that is no Tensor
    call : (function, arrays, static arguments), where second derivatives run the primitive again
    stack : the lines that called the operation, in anomaly mode
    """

    hooks: list[Callable[..., Any]] | None = None
    saved: Sequence[tuple[int, list[int], int] | None] = ()
    stack: traceback.StackSummary | None = None
    call: Iterable[Any] | None = None

    def __init__(
        self,
        primitive: Primitive | str,
        parents: Sequence[Any],
        vjps: Sequence[Callable[..., Any]],
        out: Array,
    ):
        self.primitive = primitive
        self.parents = parents
        self.vjps: Iterable[Callable[..., Any]] | None = vjps
        self.shape: tuple[int, ...] = out.shape
        self.dtype: np.dtype = out.dtype
        self.order: int = next(_order)
        if anomaly.enabled:
            self.stack = call_stack()

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.primitive if isinstance(self.primitive, str) else self.primitive.name

    def __repr__(self) -> str:
        return f"<{self.name} backward>"

    def take_vjps(
        self, grad: Array, keep: bool, record_vjps: Callable[[Node], Iterable[VJP]] | None
    ) -> Iterable[VJP]:
        """The vjps, to be called with `grad`; without `keep` they are freed here.

        `record_vjps` makes of them those that are recorded themselves (double backward).
        """
        vjps = self.vjps
        if vjps is None:
            raise RuntimeError(
                f"backward: the values saved by {self.name} were freed by an earlier backward "
                "pass; to go through this graph again, call backward(retain_graph=True) first"
            )
        for saved in self.saved:
            if saved is not None and saved[1][0] != saved[2]:
                self._refuse_modified(vjps, saved, record_vjps is not None)
        if record_vjps is not None:
            vjps = record_vjps(self)
        if not keep:
            self.vjps = None
            if self.call is not None:
                self.call = None
        return vjps

    def _refuse_modified(
        self, vjps: Iterable[VJP], saved: tuple[int, list[int], int], double_backward: bool
    ) -> None:
        """Raise if a wanted gradient needs a value that was modified in place since.

        All inputs are needed where the primitive is run again.
        """
        index, (now,), then = saved
        assert not isinstance(self.primitive, str)
        wanted = [vjp for parent, vjp in zip(self.parents, vjps) if parent is not None]
        inputs = None if self.call is None else list(self.call)[1]
        runs_again = double_backward and inputs is not None
        if runs_again or self.primitive.keeps(index, wanted, inputs):
            raise RuntimeError(
                f"backward: {self.name} needs its `{self.primitive.value_name(index)}`, of which "
                f"one was modified by an in-place operation after {self.name} had used it (it is "
                f"at version {now}, expected version {then}); write to a clone() instead"
            )


def sum_to(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which a value of `shape` was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and grad.shape[extra + i] != 1
    )
    if isinstance(grad, np.ndarray) and is_half(grad.dtype):
        return grad.sum(axes, float32, keepdims=True).astype(grad.dtype).reshape(shape)
    return grad.sum(axes, keepdims=True).reshape(shape)


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] | None = None


_running = _PerThread()


def call_after_backward(callback: Callable[[], None]) -> None:
    """Call `callback` once when the backward pass that runs on this thread has ended."""
    assert _running.callbacks is not None, "no backward pass is running"
    if callback not in _running.callbacks:
        _running.callbacks.append(callback)


def run_backward(
    roots: Sequence[tuple[Any, Array]],
    keep_graph: bool,
    wanted: Sequence[Any] | None = None,
    record_vjps: Callable[[Node], Sequence[Callable[..., Any]]] | None = None,
) -> list[Array | None]:
    """Go through the graph from its roots to the leaves, each node once, newest first.

    Parameters
    ----------
    roots : (Node or leaf Tensor, gradient) pairs
    keep_graph : whether the graph can be gone through once more
    wanted : Nodes and leaf Tensors whose gradients are returned, and nothing is accumulated;
        if None the leaves accumulate
    record_vjps : makes a node's gradient functions such that what they do is recorded; then the
        gradients are RecordedArrays
    """
    nodes, leaf_uses = _reachable([root for root, _ in roots])
    on_the_way = None if wanted is None else _leading_to(wanted, nodes)
    wanted_ids = {id(want) for want in wanted or ()}
    pending: dict[int, Array] = {}
    summed: set[int] = set()  # gradients that are sums made here, so that adding in place is safe
    found: dict[int, Array] = {}
    check_nan = anomaly.enabled and anomaly.check_nan
    outer, _running.callbacks = _running.callbacks, []

    def deliver(target: Any, like: Any, grad: Array) -> None:
        """Add to the gradient of a node or leaf; `like` has its shape and dtype."""
        if grad.shape != like.shape:
            grad = sum_to(grad, like.shape)
        if grad.dtype is not like.dtype and grad.dtype != like.dtype:
            grad = grad.astype(like.dtype)
        key = id(target)
        if key not in pending:
            pending[key] = grad
        elif key in summed:
            pending[key] += grad
        else:
            pending[key] = pending[key] + grad
            summed.add(key)

    def count_down(leaf: Any) -> None:
        """One use of a leaf less to wait for."""
        key = id(leaf)
        leaf_uses[key] -= 1
        if not leaf_uses[key] and key in pending:
            grad = arrive(leaf, pending.pop(key))
            if wanted is None and leaf._requires_grad:  # not if it was frozen since
                leaf.accumulate_grad(grad)

    def arrive(target: Any, grad: Array) -> Array:
        """The whole gradient of a node or leaf, as its hooks leave it."""
        if isinstance(grad, np.generic):  # what NumPy's operators give for 0-d arrays
            grad = np.asarray(grad)
        for hook in target.hooks or ():
            grad = hook(grad)
        if id(target) in wanted_ids:
            found[id(target)] = grad
        summed.discard(id(target))
        return grad

    try:
        # NaN and infinity are values here, as in PyTorch.
        with np.errstate(all="ignore"), on_device_of(*(grad for _, grad in roots)):
            for root, grad in roots:
                if isinstance(root, Node):
                    deliver(root, root, grad)
                else:
                    deliver(root, root.array, grad)
                    count_down(root)
            while nodes:
                node = nodes.pop()
                key = id(node)
                if key not in pending or (on_the_way is not None and key not in on_the_way):
                    # no gradient is wanted, or a custom Function has returned None for it
                    for parent in node.parents:
                        if parent is not None and not isinstance(parent, Node):
                            count_down(parent)
                    continue
                grad = pending.pop(key)
                if node.hooks or wanted_ids or summed or type(grad) is not np.ndarray:
                    grad = arrive(node, grad)
                vjps = node.take_vjps(grad, keep_graph, record_vjps)
                for parent, vjp in zip(node.parents, vjps):
                    if parent is None:
                        continue
                    leaf = None if isinstance(parent, Node) else parent
                    if on_the_way is None or id(parent) in on_the_way:
                        part = vjp(grad)
                        if check_nan:
                            place = [id(other) for other in node.parents].index(id(parent))
                            refuse_nan(node.name, node.stack, place, part)
                        if part is not None:
                            deliver(parent, parent if leaf is None else leaf.array, part)
                    if leaf is not None:
                        count_down(leaf)
        callbacks, _running.callbacks = _running.callbacks, []
        for callback in callbacks:
            callback()
    finally:
        _running.callbacks = outer
    return [found.get(id(want)) for want in wanted or ()]


def _reachable(roots: Sequence[Any]) -> tuple[list[Node], dict[int, int]]:
    """All nodes behind the roots, oldest first, and how often each leaf is used (roots too)."""
    seen: dict[int, Node] = {}
    leaf_uses: dict[int, int] = {}
    new: list[Node] = []

    def meet(items: Sequence[Any]) -> None:
        for item in items:
            if item is None:
                continue
            key = id(item)
            if not isinstance(item, Node):
                leaf_uses[key] = leaf_uses.get(key, 0) + 1
            elif key not in seen:
                seen[key] = item
                new.append(item)

    meet(roots)
    while new:
        meet(new.pop().parents)
    return sorted(seen.values(), key=operator.attrgetter("order")), leaf_uses


def now() -> int:
    """The place in the order of nodes that those made from now on come after."""
    return next(_order)


def nodes_since(start: int, edges: Sequence[Node]) -> list[Node]:
    """The nodes behind `edges` that were made after `start`, oldest first."""
    seen: dict[int, Node] = {}
    new = [edge for edge in edges if edge.order > start]
    while new:
        node = new.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            new.extend(p for p in node.parents if isinstance(p, Node) and p.order > start)
    return sorted(seen.values(), key=operator.attrgetter("order"))


def _leading_to(wanted: Sequence[Any], nodes: Sequence[Node]) -> set[int]:
    """The ids of the wanted, and of the nodes that lead to one of them."""
    on_the_way = {id(want) for want in wanted}
    for node in nodes:  # a parent comes before what was made of it
        if any(id(parent) in on_the_way for parent in node.parents):
            on_the_way.add(id(node))
    return on_the_way
