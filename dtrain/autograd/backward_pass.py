"""The backward pass over the graph of recorded operations.

The gradient of a complex tensor z = x + iy is dL/dx + i dL/dy in PyTorch, which users, hooks and
custom Functions see. Between the nodes its conjugate runs, dL/dx - i dL/dy: it is mapped by the
transposed derivative alone, so that a holomorphic operation needs no other rule than a real one.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.anomaly import refuse_nan, state as anomaly
from dtrain.autograd.gradient_array import (
    conjugate,
    convert,
    is_host_float,
    is_unshared,
    owns_memory,
    sum_to,
)
from dtrain.autograd.gradient_memory import find_memory
from dtrain.autograd.graph import Node
from dtrain.autograd.primitive import VJP, Primitive
from dtrain.autograd.sliced_gradient import SlicedGradient, add_on_device, add_slice
from dtrain.backend import Array, on_device_of


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] | None = None


_running = _PerThread()


def is_backward_running() -> bool:
    """Whether this thread is inside a backward pass, as recomputed segments are."""
    return _running.callbacks is not None


def call_after_backward(callback: Callable[[], None]) -> None:
    """Call `callback` once at the end of the backward pass that runs on this thread."""
    assert _running.callbacks is not None, "no backward pass is running"
    if callback not in _running.callbacks:
        _running.callbacks.append(callback)


def run_backward(
    roots: Sequence[tuple[Any, Array]],
    keep_graph: bool,
    wanted: Sequence[Any] | None = None,
    record_vjps: Callable[[Node], Sequence[Callable[..., Any]]] | None = None,
) -> list[Array | None]:
    """Run the backward pass: visit each node between roots and leaves once, newest first.

    Parameters
    ----------
    roots : (Node or leaf Tensor, gradient) pairs
    keep_graph : keep the saved values for another backward pass
    wanted : Nodes and leaf Tensors whose gradients are returned, without accumulation; if None the
        gradients accumulate in the leaves
    record_vjps : returns vjps of a node whose operations are recorded; gradients are then
        RecordedArrays
    """
    nodes, leaf_uses = _reachable([root for root, _ in roots])
    if record_vjps is not None and any(node.yields_parts for node in nodes):
        for node in nodes:
            node.expand()
        nodes, leaf_uses = _reachable([root for root, _ in roots])
    relevant = None if wanted is None else _nodes_leading_to(wanted, nodes)
    wanted_ids = {id(want) for want in wanted or ()}
    pending: dict[int, Any] = {}  # arrays, or SlicedGradients
    summed: set[int] = set()  # gradients in arrays of their own, to which adding in place is safe
    found: dict[int, Array] = {}
    check_nan = anomaly.enabled and anomaly.check_nan
    takes_parts = wanted is None and not check_nan
    may_add = record_vjps is None and not check_nan
    outer, _running.callbacks = _running.callbacks, []
    lent: dict[int, tuple[Any, Array]] = {}  # leaves, and memory of their buckets for their sums

    def add_gradient(target: Any, like: Any, grad: Array) -> None:
        """Add to the pending gradient of a node or leaf; `like` has its shape and dtype."""
        if grad.shape != like.shape:
            grad = sum_to(grad, like.shape)
        if grad.dtype is not like.dtype and grad.dtype != like.dtype:
            grad = convert(grad, like.dtype)
        key = id(target)
        if type(pending.get(key)) is SlicedGradient:
            pending[key] = pending[key].whole()
            summed.discard(key)
        if key not in pending:
            if leaf_uses.get(key, 1) > 1 and type(grad) is np.ndarray:
                memory = borrow_memory(target)
                if memory is not None and memory is not grad:
                    memory[...] = grad
                    grad = memory
            pending[key] = grad
        elif key in summed or key in lent:
            pending[key] += grad
        else:
            pending[key] = pending[key] + grad
            summed.add(key)

    def add_part(target: Any, vjp: VJP, grad: Array) -> bool:
        """Have a vjp add to the pending gradient of a target; False if none can be added to."""
        key = id(target)
        is_alone = leaf_uses.get(key) == 1 and key not in pending
        if may_add and not is_alone and add_slice(target, vjp, grad, pending):
            return True
        whole = pending.get(key)
        if type(whole) is SlicedGradient:
            pending[key] = whole = whole.whole()
        if type(whole) is not np.ndarray or not whole.ndim or not is_host_float(grad):
            return False
        if whole.dtype is not grad.dtype:
            return False
        if key not in summed:  # -0 becomes 0, as where a whole gradient is added
            pending[key] = whole = np.add(whole, 0, whole if key in lent else None)
            summed.add(key)
        vjp(grad, whole)
        return True

    def count_down(leaf: Any) -> None:
        """Count one use of a leaf as done; after the last one accumulate its gradient."""
        key = id(leaf)
        leaf_uses[key] -= 1
        if not leaf_uses[key] and key in pending:
            grad = pending.pop(key)
            unshared = key in summed and key not in lent and not leaf.hooks
            if type(grad) is SlicedGradient:
                grad, unshared = grad.whole(), not leaf.hooks
            grad = conjugate(complete(leaf, grad))
            if wanted is None and leaf._requires_grad:  # not if it was frozen since
                leaf.accumulate_grad(grad, unshared and owns_memory(grad))

    def accumulate_parts(node: Node, grad: Any) -> None:
        """Run a node that yields the gradient of each parent in turn."""
        memory = find_memory(node.parents, leaf_uses, pending)
        for parent, place, part in zip(
            node.parents, memory, node.take_parts(grad, keep_graph, memory)
        ):
            if place is not None and part is place:
                leaf_uses[id(parent)] = 0
                parent._bucket.take_grad(parent._bucket_index)
            elif parent is not None and not accumulate_whole(parent, part):
                is_leaf = not isinstance(parent, Node)
                if part is not None:
                    add_gradient(parent, parent.array if is_leaf else parent, part)
                if is_leaf:
                    count_down(parent)

    def accumulate_whole(leaf: Any, part: Any) -> bool:
        """Accumulate the whole gradient of a leaf without hooks; False if it may be a part."""
        if (
            leaf_uses.get(id(leaf)) != 1
            or type(part) is not np.ndarray
            or part.shape != leaf.array.shape
            or (part.dtype is not leaf.array.dtype and part.dtype != leaf.array.dtype)
            or id(leaf) in pending
            or leaf.hooks
            or not leaf._requires_grad
            or part.dtype.kind == "c"
        ):
            return False
        leaf_uses[id(leaf)] = 0
        bucket = leaf._bucket
        if bucket is None or leaf._after_accumulate:
            unshared = leaf._grad is None and is_unshared(part)
            leaf.accumulate_grad(part, unshared)
        else:
            bucket.accumulate(leaf._bucket_index, part)
        return True

    def borrow_memory(leaf: Any) -> Array | None:
        """The bucket's memory for the first gradient of a leaf, to which its others are added."""
        key, bucket = id(leaf), leaf._bucket
        if bucket is None or leaf._grad is not None or wanted is not None or key in pending:
            return None
        if key in lent:
            return lent[key][1]
        if leaf.hooks or leaf._after_accumulate:  # they may look, or change others' gradients
            return None
        memory = bucket.lend_memory(leaf._bucket_index)
        if memory is not None:
            lent[key] = leaf, memory
        return memory

    def complete(target: Any, grad: Array) -> Array:
        """Run the hooks on the complete gradient of a node or leaf; returns the gradient."""
        if isinstance(grad, np.generic):  # NumPy's operators return scalars for 0-d arrays
            grad = np.asarray(grad)
        if target.hooks or id(target) in wanted_ids:
            seen = conjugate(grad)
            for hook in target.hooks or ():
                seen = hook(seen)
            if id(target) in wanted_ids:
                found[id(target)] = seen
            grad = conjugate(seen)
        summed.discard(id(target))
        return grad

    try:
        # as in PyTorch, no warnings for NaN and infinity
        with np.errstate(all="ignore"), on_device_of(*(grad for _, grad in roots)):
            for root, grad in roots:
                grad = conjugate(grad)
                if isinstance(root, Node):
                    add_gradient(root, root, grad)
                else:
                    add_gradient(root, root.array, grad)
                    count_down(root)
            while nodes:
                node = nodes.pop()
                key = id(node)
                if key not in pending or (relevant is not None and key not in relevant):
                    # not wanted, or a custom Function returned None as its gradient
                    for parent in node.parents:
                        if parent is not None and not isinstance(parent, Node):
                            count_down(parent)
                    continue
                grad = pending.pop(key)
                if type(grad) is SlicedGradient:
                    grad = grad.whole()
                if node.hooks or wanted_ids or summed or type(grad) is not np.ndarray:
                    grad = complete(node, grad)
                if takes_parts and node.yields_parts:
                    accumulate_parts(node, grad)
                    continue
                vjps: Iterable[Any] = node.take_vjps(grad, keep_graph, record_vjps)
                primitive = None if check_nan else node.primitive
                adds = type(primitive) is Primitive and primitive.adds
                into_memory = None
                if type(primitive) is Primitive and is_host_float(grad):
                    into_memory = primitive.into_memory
                on_device = may_add and type(grad) is not np.ndarray and not node.yields_parts
                for index, (parent, vjp) in enumerate(zip(node.parents, vjps)):
                    if parent is None:
                        continue
                    leaf = None if isinstance(parent, Node) else parent
                    if (relevant is None or id(parent) in relevant) and not (
                        adds and add_part(parent, vjp, grad)
                    ):
                        if (
                            on_device
                            and leaf is None
                            and add_on_device(parent, vjp, grad, pending, summed)
                        ):
                            continue
                        if (
                            index == into_memory
                            and leaf is not None
                            and leaf.array.dtype is grad.dtype
                            and (memory := borrow_memory(leaf)) is not None
                        ):
                            part = vjp(grad, memory)
                        else:
                            part = vjp if node.yields_parts else vjp(grad)
                        if takes_parts and leaf is not None and accumulate_whole(leaf, part):
                            continue
                        if check_nan:
                            refuse_nan(node.name, node.stack, index, part)
                        if part is not None:
                            add_gradient(parent, parent if leaf is None else leaf.array, part)
                    if leaf is not None:
                        count_down(leaf)
        callbacks, _running.callbacks = _running.callbacks, []
        for callback in callbacks:
            callback()
    finally:
        for leaf, _ in lent.values():
            leaf._bucket.take_memory_back(leaf._bucket_index)
        _running.callbacks = outer
    return [found.get(id(want)) for want in wanted or ()]


def _reachable(roots: Sequence[Any]) -> tuple[list[Node], dict[int, int]]:
    """All nodes reachable from the roots, oldest first, and the number of uses of each leaf."""
    seen: dict[int, Node] = {}
    leaf_uses: dict[int, int] = {}
    new: list[Sequence[Any]] = [roots]
    while new:
        for item in new.pop():
            if item is None:
                continue
            key = id(item)
            if not isinstance(item, Node):
                leaf_uses[key] = leaf_uses.get(key, 0) + 1
            elif key not in seen:
                seen[key] = item
                new.append(item.parents)
    return sorted(seen.values(), key=operator.attrgetter("order")), leaf_uses


def _nodes_leading_to(wanted: Sequence[Any], nodes: Sequence[Node]) -> set[int]:
    """The ids of the wanted, and of the nodes from which one of them is reachable."""
    relevant = {id(want) for want in wanted}
    for node in nodes:  # parents come first
        if any(id(parent) in relevant for parent in node.parents):
            relevant.add(id(node))
    return relevant
